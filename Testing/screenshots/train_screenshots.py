"""Pictures of AGUNETR Train in use: a small experiment is really trained, on phantoms, by clicking.

    python Testing/screenshots/train_screenshots.py [--output FOLDER]

It takes about three minutes on two cores. The pictures go to ``Resources/Screenshots``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "Testing"), str(ROOT / "Testing" / "demo"), str(ROOT / "Testing" / "slicer_side"),
                str(ROOT / "AGUNETRSegment")]
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")

import host  # noqa: E402
import vtk  # noqa: E402
from drawn_view import drawViews  # noqa: E402
from packaging_stand_in import RealLook  # noqa: E402

SECONDS = 1200.0
SECTIONS = ("experiment", "data", "run", "log", "jobs", "curves", "results", "model")
EPOCHS = 12


def experiment(folder: Path) -> Path:
    """The shipped smoke experiment with one split, one seed and longer trainings, so that curves have a shape."""
    values = json.loads((ROOT / "AGUNETRTrain" / "Resources" / "Experiments" / "smoke.json").read_text())
    values["name"] = "phantoms"
    values["description"] = "A tiny network without gates and with the study's gates, on phantoms."
    values["split"] = {"validation": 2, "test": 3, "seed": 0}
    values["seeds"] = [0]
    values["defaults"]["epochs"] = EPOCHS
    path = folder / "phantoms.json"
    path.write_text(json.dumps(values), encoding="utf-8")
    return path


class TrainTour:
    """The way through the module, with a picture at each stop.

    :param app: the running application.
    :param folder: for the run.
    :param output: folder of the pictures.
    """

    def __init__(self, app: host.Application, folder: Path, output: Path) -> None:
        self.app, self.folder, self.output = app, folder, output
        self.widget = app.openModule("AGUNETRTrain")
        self.ui, self.panel = self.widget.ui, self.widget.panel
        app.window.resize(1400, 900)

    def picture(self, name: str, *sections: str) -> None:
        """Open these sections alone, draw the views, and save the window."""
        for section in SECTIONS:
            button = getattr(self.ui, f"{section}CollapsibleButton")
            if button.visible and button.collapsed == (section in sections):
                host.click(button)
        drawViews(self.app)
        self.app.window.grab().save(str(self.output / f"{name}.png"))
        print(f"  {name}.png", flush=True)

    def train(self) -> None:
        """Choose, start, and look at the curves while the training goes on."""
        host.answer(str(experiment(self.folder)))
        host.click(self.ui.experimentFileButton)
        host.type_(self.ui.runFolderPathLineEdit, str(self.folder / "run"))
        self.picture("9-train-experiment", "experiment", "data", "run")
        host.click(self.ui.startButton)
        self.app.wait(lambda: self._epochs(0) >= 2, True, SECONDS)
        host.click(self.ui.curvesButton)
        self.app.wait(lambda: self._epochs(1) >= EPOCHS // 2, True, SECONDS)
        self.picture("10-train-running", "run", "jobs", "curves")
        self.app.wait(lambda: self.panel.training.running, False, SECONDS)
        self.app.wait(lambda: self.ui.casesTable.rowCount > 0, True, SECONDS)

    def results(self) -> None:
        """The table of the cases, one of them in the views."""
        self.ui.casesTable.setCurrentCell(0, 0)
        host.click(self.ui.loadCaseButton)
        self.app.wait(lambda: "is in the scene" in self.ui.resultsStatusLabel.text, True, SECONDS)
        self.app.processEvents()
        self.picture("11-train-results", "jobs", "results")

    def _epochs(self, job: int) -> int:
        return self.panel.record.jobs[job].epochsDone if self.panel.record else 0


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Take pictures of AGUNETR Train in use.")
    parser.add_argument("--output", type=Path, default=ROOT / "Resources" / "Screenshots", help="their folder")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    vtk.vtkObject.GlobalWarningDisplayOff()  # the bare core warns of plug-ins that only the application has
    sys.modules["slicer.packaging"] = RealLook()
    with tempfile.TemporaryDirectory(prefix="agunetr-train-") as temporary:
        print("Pictures:")
        with host.application() as app:
            tour = TrainTour(app, Path(temporary), arguments.output.resolve())
            tour.train()
            tour.results()


if __name__ == "__main__":
    main()

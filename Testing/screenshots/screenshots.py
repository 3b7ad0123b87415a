"""Pictures of the module in use, taken by using it: every step is a click, and the worker is the real one.

    python Testing/screenshots/screenshots.py [--ct FILE] [--output FOLDER]

Without a CT of your own the phantom is drawn and segmented. The pictures go to ``Resources/Screenshots``.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "Testing"), str(ROOT / "Testing" / "demo")]
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")

import host  # noqa: E402
import numpy as np  # noqa: E402
import slicer  # noqa: E402
import slicer.util  # noqa: E402
import vtk  # noqa: E402
from drawn_view import drawViews  # noqa: E402

RUN_SECONDS = 1800.0
SECTIONS = ("setup", "inputs", "models", "options", "log", "results", "compare", "attention", "batch")


class Tour:
    """The way through the module, with a picture at each stop.

    :param app: the running application.
    :param output: folder of the pictures.
    """

    def __init__(self, app: host.Application, output: Path) -> None:
        self.app, self.output = app, output
        self.widget = app.openModule("AGUNETRSegment")
        self.ui, self.logic = self.widget.ui, self.widget.logic
        app.window.resize(1400, 900)

    def picture(self, name: str, *sections: str) -> None:
        """Open these sections alone, draw the views, and save the window.

        :param name: the file's name, without its ending.
        """
        for section in SECTIONS:
            button = getattr(self.ui, f"{section}CollapsibleButton")
            if button.enabled and button.collapsed == (section in sections):
                host.click(button)
        drawViews(self.app)
        path = self.output / f"{name}.png"
        self.app.window.grab().save(str(path))
        print(f"  {path.relative_to(ROOT) if path.is_relative_to(ROOT) else path}", flush=True)

    def idle(self) -> None:
        """Wait until the worker has nothing to do."""
        self.app.wait(lambda: self.logic.busy, False, RUN_SECONDS)

    def showInViews(self, volumeNode) -> None:
        """What loading a volume does in the application: it is shown in the slice views."""
        if volumeNode.GetDisplayNode() is None:
            volumeNode.CreateDefaultDisplayNodes()
        display = volumeNode.GetDisplayNode()
        display.SetAutoWindowLevel(False)
        display.SetWindowLevelMinMax(-160, 240)  # soft tissue
        slicer.util.setSliceViewerLayers(background=volumeNode, fit=True)

    def load(self, ct: Path):
        """Load a CT and open the module on it."""
        volumeNode = slicer.util.loadVolume(str(ct), {"name": "CT"})
        self.showInViews(volumeNode)
        host.choose(self.ui.inputSelector, "CT")
        self.idle()
        # The health check of the first start; with it the setup's lines are green.
        self.app.wait(lambda: self.widget.panel.sections["setup"]._health.running, False, RUN_SECONDS)
        self.picture("1-loaded", "inputs", "models", "options")
        return volumeNode

    def cancel(self) -> None:
        """Begin a run and give it up."""
        host.click(self.ui.segmentButton)
        self.app.wait(lambda: self.ui.progressBar.value > 0, True, RUN_SECONDS)
        self.picture("2-running", "inputs", "models")
        host.click(self.ui.segmentButton)
        self.idle()
        self.picture("7-cancelled", "inputs", "models")

    def segment(self) -> None:
        """Segment with both models."""
        host.click(self.ui.segmentButton)
        self.idle()
        if self.ui.resultsTable.rowCount == 0:
            raise SystemExit(f"The run failed: {self.ui.statusLabel.text}")
        self.picture("3-results", "inputs", "results")

    def compare(self) -> None:
        """Both results side by side, with their differences."""
        host.click(self.ui.compareButton)
        if not self.ui.differenceCheckBox.checked:
            host.click(self.ui.differenceCheckBox)
        self.app.processEvents()
        host.click(self.ui.nextDifferenceButton)
        self.picture("4-compare", "results", "compare")

    def attention(self) -> None:
        """A gate's map over the slices, beside the comparison and in the ordinary views."""
        host.click(self.ui.attentionShownCheckBox)
        self.picture("5-attention-compare", "compare", "attention")
        host.click(self.ui.compareButton)
        self.picture("6-attention", "results", "attention")
        host.click(self.ui.attentionShownCheckBox)

    def error(self) -> None:
        """A volume that is no CT by its values."""
        voxels = np.random.default_rng(1).integers(0, 256, (40, 64, 64)).astype(np.int16)
        picture = slicer.util.addVolumeFromArray(voxels, name="MR")
        picture.SetSpacing(4, 4, 4)
        self.showInViews(picture)
        host.choose(self.ui.inputSelector, "MR")
        self.app.processEvents()
        self.picture("8-not-a-ct", "inputs", "models")


def phantom(folder: Path) -> Path:
    """Draw the phantom and return its CT."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "AGUNETRSegment")}
    patient = ["--seed", "4", "--contrast", "portal"]
    command = [sys.executable, "-m", "agunetr", "phantom", "--output", str(folder), *patient]
    subprocess.run([*command, "--spacing", "1.5", "1.5", "3"], env=environment, check=True, stdout=subprocess.DEVNULL)
    return folder / "ct.nii.gz"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Take pictures of the module in use.")
    parser.add_argument("--ct", type=Path, help="a CT (NIfTI, NRRD or MHA); default: the phantom")
    parser.add_argument("--output", type=Path, default=ROOT / "Resources" / "Screenshots", help="their folder")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    vtk.vtkObject.GlobalWarningDisplayOff()  # the bare core warns of plug-ins that only the application has
    with tempfile.TemporaryDirectory(prefix="agunetr-screenshots-") as temporary:
        ct = arguments.ct or phantom(Path(temporary) / "phantom")
        if not ct.is_file():
            raise SystemExit(f"{ct} is not there.")
        print("Pictures:")
        with host.application() as app:
            tour = Tour(app, arguments.output.resolve())
            tour.load(ct)
            tour.cancel()
            tour.segment()
            tour.compare()
            tour.attention()
            tour.error()


if __name__ == "__main__":
    main()

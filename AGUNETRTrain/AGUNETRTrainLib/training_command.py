"""The training command that the panel shows and runs, and what keeps it from being run."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from AGUNETRSegmentLib.translation import _


@dataclass(frozen=True)
class TrainingSettings:
    """What the user chose.

    :ivar experiment: name of a shipped experiment.
    :ivar dataFolder: folder of the labelled cases.
    :ivar runFolder: folder of the run: made where missing, resumed where it holds the same experiment.
    :ivar device: ``cpu``, ``cuda`` or ``mps``.
    """

    experiment: str
    dataFolder: str
    runFolder: str
    device: str = "cpu"


def pythonExecutable() -> str:
    """The Python that runs the engine: Slicer's own where there is one, else the one running now."""
    return shutil.which("PythonSlicer") or sys.executable


def trainingCommand(settings: TrainingSettings, python: str | None = None) -> list[str]:
    """The command as a list of arguments."""
    return [
        python or pythonExecutable(),
        *("-m", "agunetr", "train", settings.experiment),
        *("--data", settings.dataFolder),
        *("--run", settings.runFolder),
        *("--device", settings.device),
    ]


def commandText(command: Sequence[str]) -> str:
    """The command as one would type it in this system's terminal."""
    return subprocess.list2cmdline(command) if os.name == "nt" else shlex.join(command)


def engineEnvironment(moduleFolder: Path) -> dict[str, str]:
    """The child's environment: it finds the engines installed beside the module, or beside it in the source tree."""
    folders = [moduleFolder, moduleFolder.parent / "AGUNETRSegment"]
    known = [str(folder) for folder in folders if folder.is_dir()]
    environment = dict(os.environ)
    environment["PYTHONPATH"] = os.pathsep.join([*known, *filter(None, [environment.get("PYTHONPATH")])])
    environment["PYTHONUNBUFFERED"] = "1"
    environment["PYTHONIOENCODING"] = "utf-8"  # what TrainingProcess decodes; Windows would print its code page
    return environment


def reasonNotToStart(settings: TrainingSettings) -> str:
    """One sentence on what is missing, or an empty text where training can start."""
    if not settings.experiment:
        return _("Choose an experiment.")
    if not settings.dataFolder:
        return _("Choose the folder of the labelled cases.")
    if not Path(settings.dataFolder).is_dir():
        return _("There is no folder {path}: choose the one of the labelled cases.").format(path=settings.dataFolder)
    if not settings.runFolder:
        return _("Choose a folder for the run.")
    if not Path(settings.runFolder).absolute().parent.is_dir():
        return _("The folder for the run cannot be made, since {path} is missing: make it or choose another.").format(
            path=Path(settings.runFolder).absolute().parent
        )
    if Path(settings.runFolder).exists() and not Path(settings.runFolder).is_dir():
        return _("{path} is a file: choose a folder for the run.").format(path=settings.runFolder)
    return ""

"""The training command that the panel shows and runs, and what keeps it from being run."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from AGUNETRSegmentLib.engine_command import engineCommand
from AGUNETRSegmentLib.translation import _

from .experiments import FOLDER, ExperimentSummary

MODULE_FOLDER = Path(__file__).resolve().parents[1]
EXPERIMENT_FILE = "experiment.json"
FIRST_FILES = (EXPERIMENT_FILE, "environment.json")


@dataclass(frozen=True)
class TrainingRequest:
    """What the user chose.

    :ivar experiment: name of a shipped experiment, or an experiment file.
    :ivar dataFolder: folder of the labelled cases; empty where the experiment brings its own.
    :ivar runFolder: folder of the run: made where missing, gone on with where it holds the same experiment.
    :ivar device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
    :ivar atOnce: how many jobs at a time.
    """

    experiment: str
    dataFolder: str
    runFolder: str
    device: str = "auto"
    atOnce: int = 1

    def arguments(self) -> list[str]:
        """What stands behind ``python -m agunetr``, as in a terminal."""
        arguments = ["train", self.experiment, "--run", _whole(self.runFolder)]
        if self.dataFolder:
            arguments += ["--data", _whole(self.dataFolder)]
        arguments += ["--device", self.device]
        return arguments + (["--at-once", str(self.atOnce)] if self.atOnce > 1 else [])


def _whole(path: str) -> str:
    """A name that begins with a dash would be taken for an option."""
    return os.path.abspath(path)


def commandText(arguments: Sequence[str]) -> str:
    """The command as one would type it in this system's terminal.

    :raises SegmentationError: kind ``start``, Slicer's Python was not found.
    """
    command = engineCommand(arguments)[:-1]  # people need no --json
    return subprocess.list2cmdline(command) if os.name == "nt" else shlex.join(command)


def engineEnvironment(moduleFolder: Path = MODULE_FOLDER) -> dict[str, str]:
    """The child's environment: it finds the engines installed beside the module, or beside it in the source tree."""
    folders = [moduleFolder, moduleFolder.parent / "AGUNETRSegment"]
    known = [str(folder) for folder in folders if folder.is_dir()]
    environment = dict(os.environ)
    environment["PYTHONPATH"] = os.pathsep.join([*known, *filter(None, [environment.get("PYTHONPATH")])])
    environment["PYTHONUNBUFFERED"] = "1"
    environment["PYTHONIOENCODING"] = "utf-8"  # what the pipe is decoded as; Windows would print its code page
    return environment


def reasonNotToStart(request: TrainingRequest, experiment: ExperimentSummary | None) -> str:
    """One sentence on what is missing, or an empty text where training can start."""
    if experiment is None:
        return _("Choose an experiment.")
    if not request.dataFolder and experiment.dataSource == FOLDER:
        return _("Choose the folder of the labelled cases under Data.")
    if request.dataFolder and not os.path.isdir(request.dataFolder):
        return _('There is no folder "{path}": choose the one of the labelled cases under Data.').format(
            path=request.dataFolder)
    if not request.runFolder:
        return _("Choose a folder for the run.")
    return _reasonAgainstRunFolder(Path(request.runFolder).absolute(), experiment)


def _reasonAgainstRunFolder(folder: Path, experiment: ExperimentSummary) -> str:
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        return _('"{path}" is a file: choose another folder for the run.').format(path=there)
    if not os.access(there, os.W_OK):
        return _('Nothing can be written to "{path}": choose another folder for the run.').format(path=there)
    if there != folder:
        return ""
    name = runName(folder)
    if name is None and any(path.name not in FIRST_FILES for path in folder.iterdir()):
        return _('"{path}" is no run and not empty: choose another folder for the run.').format(path=folder)
    if name not in (None, experiment.name):
        return _('"{path}" holds a run of {other}: choose another folder, or that experiment.').format(
            path=folder, other=name)
    return ""


def runName(folder: Path) -> str | None:
    """The name of the experiment whose run lies in *folder*; None where it holds none."""
    try:
        return str(json.loads((folder / EXPERIMENT_FILE).read_text(encoding="utf-8"))["name"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def suggestedRunFolder(documents: str, experimentName: str) -> str:
    """A folder of the user's own for a new run; the engine makes it."""
    return str(Path(documents) / "AGUNETR runs" / experimentName) if documents and experimentName else ""

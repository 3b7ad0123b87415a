"""Opens AGUNETR Train in the host, with stand-ins for the engine's commands."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import types
from pathlib import Path

import host
from fake_training import EXPERIMENT
from packaging_stand_in import Packaging, PyTorch

HERE = Path(__file__).resolve().parent
PACKAGES = ("monai", "einops", "safetensors", "openvino", "pytorch-ignite", "tensorboard", "nibabel", "matplotlib",
            "jinja2", "pydantic", "psutil", "filelock")

# Slicer's Python: which of the stand-ins it runs depends on what it is asked to run.
PYTHON_SLICER = f"""#!/bin/sh
case "$*" in
  *agunetr.worker*) exec {sys.executable} {HERE / "thresholding_worker.py"} ;;
  *) exec {sys.executable} {HERE / "fake_training.py"} "$@" ;;
esac
"""


@contextlib.contextmanager
def openedTrain(folder: Path, monkeypatch, installed=PACKAGES, standIn: bool = True):
    """The open module's widget, with ``app``, ``packaging`` and ``folder`` beside its own attributes.

    :param installed: names of the packages that are there.
    :param standIn: whether the engine's commands are the stand-in's.
    """
    program = folder / "programs" / "PythonSlicer"
    program.parent.mkdir()
    program.write_text(PYTHON_SLICER)
    program.chmod(0o755)
    packaging, torch = Packaging(installed), types.ModuleType("PyTorchUtils")
    torch.PyTorchUtilsLogic = PyTorch
    monkeypatch.setitem(sys.modules, "slicer.packaging", packaging)
    monkeypatch.setitem(sys.modules, "PyTorchUtils", torch)
    with host.application(folder) as app, monkeypatch.context() as context:
        if standIn:
            context.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")  # before the host's own
        context.setattr(
            "qt.QStandardPaths.writableLocation", staticmethod(lambda _kind: str(folder / "documents")), raising=False)
        widget = app.openModule("AGUNETRTrain")
        widget.app, widget.packaging, widget.folder = app, packaging, folder
        yield widget


def chooseTraining(widget, behaviour: str) -> Path:
    """Choose the made-up experiment, data whose name is what the stand-in does, and a folder; the run's is returned."""
    experiment, data, run = (widget.folder / name for name in ("made-up.json", behaviour, "run"))
    experiment.write_text(json.dumps(EXPERIMENT), encoding="utf-8")
    data.mkdir(exist_ok=True)
    host.answer(str(experiment))
    host.click(widget.ui.experimentFileButton)
    host.type_(widget.ui.dataFolderPathLineEdit, str(data))
    host.type_(widget.ui.runFolderPathLineEdit, str(run))
    return run


def cells(table) -> list[list[str]]:
    """The texts of a table."""
    return [[table.item(row, column).text() for column in range(table.columnCount)] for row in range(table.rowCount)]

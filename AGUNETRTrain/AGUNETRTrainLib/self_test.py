"""What the module's self test does in Slicer: no data, no network, no training."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import slicer

from .curve_nodes import DICE, LOSS, CurveNodes
from .experiments import planText
from .run_reading import RunReader
from .training_command import TrainingRequest, commandText, reasonNotToStart

EXPERIMENT = {
    "name": "self-test", "description": "", "defaults": {"epochs": 3},
    "stages": [{"name": "base", "variant": "unetr"}, {"name": "gated", "variant": "agunetr-v2"}],
}


def checkExperiments(test, logic) -> None:
    """Every shipped experiment can be read and is described."""
    experiments = logic.experiments()
    test.assertIn("smoke", experiments)
    for experiment in experiments.values():
        test.assertTrue(experiment.description and experiment.jobs and planText(experiment))


def checkStart(test, logic) -> None:
    """What keeps a training from starting is a sentence; parameters are kept in the scene."""
    experiments = logic.experiments()
    with tempfile.TemporaryDirectory() as folder:
        run = str(Path(folder) / "run")
        test.assertTrue(reasonNotToStart(TrainingRequest("study-v1", "", ""), experiments["study-v1"]))
        test.assertEqual(reasonNotToStart(TrainingRequest("smoke", "", run), experiments["smoke"]), "")
        test.assertIn("train smoke", commandText(TrainingRequest("smoke", "", run).arguments()))
    logic.getParameterNode().dataFolder = slicer.app.temporaryPath
    test.assertEqual(logic.getParameterNode().dataFolder, slicer.app.temporaryPath)


def showCurves(test) -> None:
    """The nodes of a run that grows."""
    before = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLTableNode")
    with tempfile.TemporaryDirectory() as folder:
        _write(Path(folder), "base", 1)
        curves, reader = CurveNodes(slicer.mrmlScene), RunReader(Path(folder))
        curves.show(reader.read())
        _write(Path(folder), "base", 2)
        _write(Path(folder), "gated", 2)
        curves.show(reader.read())
        for kind in (LOSS, DICE):
            chart = curves.chart(kind)
            test.assertEqual(chart.GetNumberOfPlotSeriesNodes(), 2)
            table = chart.GetNthPlotSeriesNode(0).GetTableNode()
            test.assertEqual(table.GetNumberOfRows(), 2)
            test.assertFalse(table.GetSaveWithScene())
        test.assertEqual(slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLTableNode"), before + 4)
        curves.remove()
    test.assertEqual(slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLTableNode"), before)


def _write(folder: Path, job: str, epochs: int) -> None:
    """The records of a job after some epochs, as training writes them."""
    (folder / "experiment.json").write_text(json.dumps(EXPERIMENT), encoding="utf-8")
    (folder / job).mkdir(exist_ok=True)
    rows = []
    for epoch in range(1, epochs + 1):
        rows += [{"epoch": epoch, "loss": 1.0 / epoch, "seconds": 1.0}, {"epoch": epoch, "validation_dice": 0.5}]
    (folder / job / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")

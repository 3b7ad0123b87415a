"""Train's panel with the engine's own commands: a tiny experiment on phantoms, its report, and the model in Segment."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

pytest.importorskip("slicer")
pytest.importorskip("PySide6")

import host
import slicer
import slicer.util
from train_panel_builder import cells, openedTrain

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Slicer's Python is a shell script here")
HERE = Path(__file__).resolve().parent
EXPERIMENT = {
    "name": "tiny", "description": "for tests", "spacing_mm": 8.0,
    "data": {"source": "phantoms", "cases": 3, "size": [48, 40, 40], "spacing_mm": [7.0, 7.0, 7.0]},
    "split": {"training": 1, "validation": 1, "test": 1},
    "network": {"size": "compact", "window": [32, 32, 32], "feature_size": 4, "hidden_size": 24, "mlp_dim": 48,
                "heads": 2, "layers": 4},
    "stages": [{"name": "gated", "variant": "agunetr-v2", "epochs": 2, "steps_per_epoch": 1, "warm_up_steps": 1,
                "validate_every": 1, "validation_overlap": 0.0, "augmentation": {"p_affine": 0.0}}],
    "licence": "CC0 1.0: trained on drawn phantoms",
}  # fmt: skip


def test_from_an_experiment_file_to_a_model_in_segment(tmp_path, monkeypatch):
    monkeypatch.setenv("AGUNETR_MODELS", str(tmp_path / "models"))
    experiment, run = tmp_path / "tiny.json", tmp_path / "a run"
    experiment.write_text(json.dumps(EXPERIMENT), encoding="utf-8")
    with openedTrain(tmp_path, monkeypatch, standIn=False) as train:
        ui = train.ui
        from AGUNETRSegmentLib import worker_client

        monkeypatch.setattr(
            worker_client, "defaultCommand", lambda: [sys.executable, str(HERE / "thresholding_worker.py")])
        for name in ("AGUNETRSegment", "AGUNETRTrain"):
            train.app.openModule(name)
        host.answer(str(experiment))
        host.click(ui.experimentFileButton)
        host.type_(ui.runFolderPathLineEdit, str(run))
        host.choose(ui.deviceComboBox, "Processor (CPU)")
        host.click(ui.startButton)
        train.app.wait(lambda: train.panel.training.running, False, 240)
        assert ui.statusLabel.text == "The training is finished.", ui.statusLabel.text
        train.app.wait(lambda: ui.casesTable.rowCount, 4)
        row = cells(ui.jobsTable)[0]
        assert row[:3] == ["gated", "Finished", "2 of 2"] and all(float(cell) >= 0 for cell in row[3:])
        assert "Cases: 3" in ui.dataReportText.plainText or "3 cases" in ui.dataReportText.plainText
        assert cells(ui.casesTable)[0][1] == row[6], "one test case: its Dice is the job's"

        host.click(ui.curvesButton)
        series = slicer.util.getNodesByClass("vtkMRMLPlotSeriesNode")
        assert [node.GetTableNode().GetNumberOfRows() for node in series] == [2, 2]
        ui.casesTable.setCurrentCell(0, 0)
        host.click(ui.loadCaseButton)
        train.app.wait(lambda: "with 2 new segmentations" in ui.resultsStatusLabel.text)

        host.type_(ui.modelNameLineEdit, "mine")
        host.click(ui.exportButton)
        train.app.wait(lambda: not train.panel.sections["model"]._command.running, True, 120)
        assert "lists it" in ui.modelStatusLabel.text, ui.modelStatusLabel.text
        assert (tmp_path / "models" / "mine" / "models" / "model.safetensors").is_file()
        segment = slicer.util.getModuleWidget("AGUNETRSegment")
        assert segment.parent.isEntered and "mine" in list(segment.panel.parameterNode.models)
        train.app.wait(lambda: segment.logic.busy, False)

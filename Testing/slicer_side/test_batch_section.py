"""The panel's batch, by clicking, with stand-ins for the worker and for the engine's command line."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("slicer")

import host
import SimpleITK as sitk
import slicer
import slicer.util

HERE = Path(__file__).resolve().parent

# Slicer's Python: which of the stand-ins it runs depends on what it is asked to run.
PYTHON_SLICER = f"""#!/bin/sh
case "$*" in
  *agunetr.worker*) exec {sys.executable} {HERE / "fake_worker.py"} ;;
  *"agunetr segment"*) exec {sys.executable} {HERE / "fake_batch.py"} "$@" ;;
  *) exit 1 ;;
esac
"""

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-in is a shell script")


@pytest.fixture
def panel(tmp_path, monkeypatch):
    """The open module, its only model ticked."""
    program = tmp_path / "bin" / "PythonSlicer"
    program.parent.mkdir()
    program.write_text(PYTHON_SLICER)
    program.chmod(0o755)
    with host.application(tmp_path) as app, monkeypatch.context() as context:
        context.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")  # before the host's own
        widget = app.openModule("AGUNETRSegment")
        app.wait(lambda: bool(widget.panel.models))
        widget.panel.parameterNode.models = ["compact-base"]
        context.setattr(widget.panel.sections["setup"], "problem", str)
        widget.panel.update()
        widget.app = app
        host.click(widget.ui.batchCollapsibleButton)
        yield widget


def chooseFolder(widget, behaviour, tmp_path):
    folder = tmp_path / behaviour
    folder.mkdir()
    host.type_(widget.ui.batchInputPathLineEdit, str(folder))
    return folder


def rows(widget):
    table = widget.ui.batchTable
    return [[table.item(row, column).text() for column in range(5)] for row in range(table.rowCount)]


def test_a_folder_is_segmented_and_every_case_is_in_the_table(panel, tmp_path):
    ui = panel.ui
    assert "Choose the folder" in ui.batchButton.toolTip and not ui.batchButton.enabled
    folder = chooseFolder(panel, "all", tmp_path)
    assert ui.batchOutputPathLineEdit.currentPath == f"{folder} AGUNETR"
    host.click(ui.batchButton)
    assert ui.batchButton.text == "Stop" and not ui.batchInputPathLineEdit.enabled
    panel.app.wait(lambda: ui.batchButton.text, "Segment folder")
    assert [row[:2] for row in rows(panel)] == [
        ["a", "Finished before"], ["b", "Done"], ["c", "Failed"], ["d", "Left out"], ["e", "Done"]]
    assert rows(panel)[1][2:4] == ["201.2 / 198.5", "3.2"]
    assert ui.batchStatusLabel.text == "Finished: 2 done, 1 finished before, 1 failed, 1 left out."
    assert not ui.batchOpenButton.enabled, "the stand-in made no folder"


def test_the_panel_stays_usable_and_stop_stops(panel, tmp_path):
    ui = panel.ui
    chooseFolder(panel, "polite", tmp_path)
    host.click(ui.batchButton)
    panel.app.wait(lambda: len(rows(panel)) > 1 and rows(panel)[1][1], "Running")
    assert not panel.logic.busy, "the worker is free"
    host.click(ui.batchButton)
    assert ui.batchStatusLabel.text == "Stopping..."
    panel.app.wait(lambda: ui.batchButton.text, "Segment folder")
    assert [row[1] for row in rows(panel)] == ["Finished before", "Done", "Stopped", "Not started", "Not started"]
    assert ui.batchStatusLabel.text.startswith("Stopped: 1 done")


def test_another_module_and_a_closed_scene_leave_the_batch_alone(panel, tmp_path):
    folder = chooseFolder(panel, "polite", tmp_path)
    host.click(panel.ui.batchButton)
    panel.app.wait(lambda: len(rows(panel)), 5)
    panel.app.leaveModule()
    slicer.mrmlScene.Clear(0)
    section = panel.panel.sections["batch"]
    assert section.running
    panel.app.openModule("AGUNETRSegment")
    assert panel.panel.parameterNode.batch.inputFolder in ("", str(folder))
    assert section.running and panel.ui.batchButton.text == "Stop"


def test_the_end_of_the_application_ends_the_batch(panel, tmp_path):
    chooseFolder(panel, "until the end", tmp_path)
    host.click(panel.ui.batchButton)
    panel.app.wait(lambda: len(rows(panel)), 5)
    section = panel.panel.sections["batch"]
    panel.cleanup()
    assert not section.running


def test_what_is_missing_is_said(panel, tmp_path):
    ui = panel.ui
    chooseFolder(panel, "all", tmp_path)
    host.type_(ui.batchOutputPathLineEdit, str(tmp_path / "no" / "such"))
    assert not ui.batchButton.enabled and "cannot hold the results" in ui.batchButton.toolTip
    host.type_(ui.batchOutputPathLineEdit, str(tmp_path / "out"))
    panel.panel.parameterNode.models = []
    assert not ui.batchButton.enabled and "Tick at least one model" in ui.batchButton.toolTip
    panel.panel.parameterNode.models = ["compact-base"]
    assert ui.batchButton.enabled
    host.type_(ui.batchInputPathLineEdit, str(tmp_path / "gone"))
    assert "There is no folder" in ui.batchButton.toolTip
    host.type_(ui.batchInputPathLineEdit, "")
    assert "Choose the folder" in ui.batchButton.toolTip, "an emptied field is no folder, not the former one"


def writeFinishedCase(folder):
    """A CT and its results, as the engine's command line leaves them."""
    (folder / "out" / "a").mkdir(parents=True)
    voxels = np.full((20, 18, 16), -1000, np.int16)
    voxels[5:12, 4:10, 3:9] = 100
    for path, values in (("a.nrrd", voxels), ("out/a/base.nii.gz", (voxels > 0).astype(np.uint8))):
        image = sitk.GetImageFromArray(values)
        image.SetSpacing((2.0, 2.0, 3.0))
        sitk.WriteImage(image, str(folder / path))
    (folder / "out" / "a" / "result.json").write_text(json.dumps({"format": 1, "models": [
        {"name": "base", "title": "Base", "mask": "base.nii.gz", "volume_ml": 3.0, "warnings": []}]}))


def test_a_finished_case_comes_into_the_scene(panel, tmp_path):
    ui, section, scene = panel.ui, panel.panel.sections["batch"], slicer.mrmlScene
    writeFinishedCase(tmp_path)
    for event in (
            {"event": "listed", "cases": [{"case": name, "input": str(tmp_path / f"{name}.nrrd"),
                                           "output": str(tmp_path / "out" / name)} for name in ("a", "b")]},
            {"event": "result", "case": "a", "result": {"models": [{"name": "base", "volume_ml": 3.0}]}}):
        section._run.table.take(event)
    section._onChanged()
    ui.batchTable.setCurrentCell(1, 0)
    assert not ui.batchLoadButton.enabled and "finished" in ui.batchLoadButton.toolTip
    ui.batchTable.setCurrentCell(0, 0)

    def segmentations():
        return scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")

    host.click(ui.batchLoadButton)
    panel.app.wait(segmentations, 1)
    panel.app.wait(lambda: section.loading, False)
    assert panel.panel.parameterNode.inputVolume.GetName() == "a" and ui.resultsTable.rowCount == 1
    segmentationNode = scene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
    assert segmentationNode.GetName() == "a base spleen"
    assert slicer.util.arrayFromSegmentBinaryLabelmap(
        segmentationNode, "spleen", panel.panel.parameterNode.inputVolume).sum() == 7 * 6 * 6
    host.click(ui.batchLoadButton)
    panel.app.wait(segmentations, 2)
    panel.app.wait(lambda: section.loading, False)
    assert scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 1, "the CT is there already"
    (tmp_path / "out" / "a" / "result.json").unlink()
    host.click(ui.batchLoadButton)
    assert "cannot be read" in ui.statusLabel.text and segmentations() == 2 and ui.batchLoadButton.enabled


def test_replacing_results_is_asked_for(panel, tmp_path):
    ui = panel.ui
    chooseFolder(panel, "all", tmp_path)
    output = tmp_path / "out"
    output.mkdir()
    (output / "cases.csv").touch()
    host.type_(ui.batchOutputPathLineEdit, str(output))
    host.click(ui.batchOverwriteCheckBox)
    host.answer("Cancel")
    host.click(ui.batchButton)
    assert ui.batchButton.text == "Segment folder" and not rows(panel)
    host.answer("Ok")
    host.click(ui.batchButton)
    panel.app.wait(lambda: ui.batchButton.text, "Segment folder")
    assert len(rows(panel)) == 5
    host.click(ui.batchOpenButton)
    assert panel.app.opened == [f"file://{output}"]

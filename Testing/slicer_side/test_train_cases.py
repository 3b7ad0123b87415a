"""A test case of a run comes into the scene, with its reference and what the networks found."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

pytest.importorskip("slicer")
pytest.importorskip("PySide6")

import host
import SimpleITK as sitk
import slicer
import slicer.util
from fake_training import EXPERIMENT, begin, finish, write_report
from scene_builder import nodeNames
from train_panel_builder import openedTrain

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-in is a shell script")
SPLEEN = (slice(5, 12), slice(4, 10), slice(3, 9))


def writeImage(path, voxels) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing((2.0, 2.0, 3.0))
    image.SetOrigin((-10.0, 20.0, 30.0))
    sitk.WriteImage(image, str(path))


@pytest.fixture
def train(tmp_path, monkeypatch, capsys):
    """The module with a finished run whose case c10 has all its files."""
    run, data = tmp_path / "run", tmp_path / "data"
    run.mkdir()
    (run / "experiment.json").write_text(json.dumps(EXPERIMENT), encoding="utf-8")
    mask = np.zeros((20, 18, 16), np.uint8)
    mask[SPLEEN] = 1
    writeImage(data / "c10.nrrd", np.where(mask, 100, -1000).astype(np.int16))
    writeImage(data / "label.nii.gz", mask)
    for job in ("base", "gated"):
        begin(run, job)
        finish(run, job)
        writeImage(run / job / "test" / "c10.nii.gz", mask if job == "base" else np.roll(mask, 1, axis=2))
    write_report(run)
    cases = {"c10": {"image": str(data / "c10.nrrd"), "label": str(data / "label.nii.gz")}}
    (run / "data.json").write_text(json.dumps({"cases": cases}), encoding="utf-8")
    with openedTrain(tmp_path, monkeypatch) as widget:
        host.type_(widget.ui.runFolderPathLineEdit, str(run))
        widget.app.wait(lambda: widget.ui.casesTable.rowCount, 5)
        yield widget


def load(train, row: int) -> None:
    train.ui.casesTable.setCurrentCell(row, 0)
    host.click(train.ui.loadCaseButton)
    train.app.wait(lambda: train.panel.sections["results"]._loading.working, False)


def test_the_scan_comes_with_its_reference_and_every_networks_mask(train):
    load(train, 1)
    assert train.ui.resultsStatusLabel.text == "c10 is in the scene, with 3 new segmentations."
    volume = slicer.util.getNode("c10")
    segmentations = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    assert [node.GetName() for node in segmentations] == [
        "c10 reference spleen", "c10 base spleen", "c10 gated spleen"]
    for node, shift in zip(segmentations, (0, 0, 1), strict=True):
        voxels = slicer.util.arrayFromSegmentBinaryLabelmap(node, "spleen", volume)
        found = np.argwhere(voxels)
        assert found.min(axis=0).tolist() == [5, 4, 3 + shift] and len(found) == 7 * 6 * 6
    colours = {node.GetSegmentation().GetSegment("spleen").GetColor() for node in segmentations}
    assert len(colours) == 3
    before = nodeNames(slicer.mrmlScene)
    load(train, 1)
    assert nodeNames(slicer.mrmlScene) == before, "what is there is not loaded again"


def test_what_is_missing_is_a_sentence(train):
    before = nodeNames(slicer.mrmlScene)
    load(train, 0)
    assert "does not say where the scan of c2 lies" in train.ui.resultsStatusLabel.text
    (train.folder / "data" / "c10.nrrd").rename(train.folder / "moved.nrrd")
    load(train, 1)
    assert "The scan of c10 is not there" in train.ui.resultsStatusLabel.text
    assert nodeNames(slicer.mrmlScene) == before
    train.ui.casesTable.setCurrentCell(2, 0)  # the mean is no case
    assert not train.ui.loadCaseButton.enabled and "Select a case" in train.ui.loadCaseButton.toolTip


def test_a_mask_that_stands_elsewhere_leaves_no_segmentation(train):
    writeImage(train.folder / "run" / "gated" / "test" / "c10.nii.gz", np.zeros((3, 3, 3), np.uint8))
    load(train, 1)
    assert "does not fit the scan" in train.ui.resultsStatusLabel.text
    assert slicer.util.getNodesByClass("vtkMRMLSegmentationNode") == []

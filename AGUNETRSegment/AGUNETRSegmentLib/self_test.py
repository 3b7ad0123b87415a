"""What Slicer's self test of the module tries; needs no internet, and the engine only where it is installed."""

from __future__ import annotations

import shutil
import time
import unittest
from pathlib import Path

import numpy as np
import slicer
import slicer.util

from .errors import SegmentationError
from .nodes import exportVolume, importResult
from .sample_data import loadPhantom

PHANTOM_SECONDS = 300.0


def exportAndImport(test: unittest.TestCase) -> None:
    """A mask that stands on the voxels of a volume becomes a segmentation beside it; no engine is needed."""
    voxels = np.zeros((20, 30, 40), np.int16)
    voxels[5:10, 10:20, 15:30] = 100
    volumeNode = slicer.util.addVolumeFromArray(voxels, name="CT")
    volumeNode.SetSpacing(0.8, 0.8, 2.5)
    folder = Path(slicer.util.tempDirectory())
    try:
        job = exportVolume(volumeNode, folder)
        maskNode = slicer.util.addVolumeFromArray((voxels > 0).astype(np.uint8), name="mask")
        maskNode.CopyOrientation(volumeNode)
        slicer.util.saveNode(maskNode, str(folder / "model.nii.gz"))
        slicer.mrmlScene.RemoveNode(maskNode)
        entry = {"name": "model", "mask": "model.nii.gz", "volume_ml": 1.2, "voxels": 750}
        imported = importResult(slicer.mrmlScene, {"format": 1, "models": [entry]}, folder, job)
    finally:
        shutil.rmtree(folder)
    segment = slicer.util.arrayFromSegmentBinaryLabelmap(imported.segmentations["model"], "spleen", volumeNode)
    test.assertTrue(np.array_equal(segment > 0, voxels > 0))
    test.assertEqual(imported.table.GetNumberOfRows(), 1)


def segmentPhantom(test: unittest.TestCase, logic) -> None:
    """The models that came with the module find the phantom's spleen.

    :param logic: an ``AGUNETRSegmentLogic``.
    """
    try:
        volumeNode, trueSpleen = _phantom()
        models = [model["name"] for model in logic.models() if model.get("embedded")]
        imported, result = logic.segment(
            volumeNode, models, attentionMaps=True, reference=trueSpleen, options={"device": "cpu"})
    except SegmentationError as error:
        if error.kind in ("start", "dependencies"):
            test.delayDisplay(f"Not tested, the engine is not installed here: {error}")
            return
        raise
    finally:
        logic.stop()
    truth = slicer.util.arrayFromSegmentBinaryLabelmap(
        trueSpleen, trueSpleen.GetSegmentation().GetNthSegmentID(0), volumeNode) > 0
    for entry in result["models"]:
        found = slicer.util.arrayFromSegmentBinaryLabelmap(
            imported.segmentations[entry["name"]], "spleen", volumeNode) > 0
        dice = 2 * np.count_nonzero(found & truth) / (np.count_nonzero(found) + np.count_nonzero(truth))
        test.assertGreater(dice, 0.8, entry["name"])
    test.assertTrue(imported.attention)


def _phantom() -> tuple[object, object]:
    outcome = []
    loadPhantom(loaded=lambda *nodes: outcome.append(nodes), failed=outcome.append)
    deadline = time.monotonic() + PHANTOM_SECONDS
    while not outcome and time.monotonic() < deadline:
        slicer.app.processEvents()
        time.sleep(0.03)
    if not outcome:
        raise AssertionError("The phantom did not come.")
    if isinstance(outcome[0], SegmentationError):
        raise outcome[0]
    return outcome[0]

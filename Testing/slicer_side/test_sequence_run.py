"""A sequence is segmented frame by frame into sequences that play along with it; all of them or none."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("slicer")

import slicer
import slicer.util
from bare_slicer import newScene
from scene_builder import addTransform, addVolume, nodeNames, orientationMatrix, rotation

from AGUNETRSegmentLib.result_sets import resultSets
from AGUNETRSegmentLib.result_texts import exportedRows
from AGUNETRSegmentLib.segmentation_run import RunCallbacks, SegmentationRunner
from AGUNETRSegmentLib.sequence_frames import FrameSource
from AGUNETRSegmentLib.worker_client import WorkerClient

WORKER = [sys.executable, str(Path(__file__).with_name("thresholding_worker.py"))]
COUNT = 3


@pytest.fixture
def scene():
    """A scene with a sequence of three CTs, the second of which is shown under a transform."""
    scene = newScene()
    scene.logic = slicer.vtkSlicerSequencesLogic()
    scene.logic.SetMRMLScene(scene)
    sequenceNode = scene.AddNewNodeByClass("vtkMRMLSequenceNode", "CTs")
    sequenceNode.SetIndexName("time")
    for index in range(COUNT):
        frame = addVolume(scene, orientationMatrix((0, 1, 2), (-1, -1, 1)), name="frame")
        voxels = np.full((8, 10, 12), -1000, np.int16)
        voxels[2:4, 3:6, 1 : 4 + index] = 100
        slicer.util.updateVolumeFromArray(frame, voxels)
        sequenceNode.SetDataNodeAtValue(frame, str(index))
        scene.RemoveNode(frame)
    browserNode = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", "Player")
    browserNode.AddSynchronizedSequenceNode(sequenceNode)
    scene.logic.UpdateProxyNodesFromSequences(browserNode)
    browserNode.SetSelectedItemNumber(1)
    scene.logic.UpdateProxyNodesFromSequences(browserNode)
    volumeNode = browserNode.GetProxyNode(sequenceNode)
    volumeNode.SetAndObserveTransformNodeID(addTransform(scene, rotation(15)).GetID())
    scene.browserNode, scene.volumeNode = browserNode, volumeNode
    return scene


@pytest.fixture
def client():
    client = WorkerClient(WORKER, dict(os.environ))
    yield client
    client.stop()


def run(scene, client, folder, model="compact-base", until=lambda progress: False):
    finished, failed, progress = [], [], []
    runner = SegmentationRunner(scene, client, folder)
    runner.start(scene.volumeNode, [model], {"attention": ["all"]}, RunCallbacks(
        progress.append, lambda *outcome: finished.append(outcome), failed.append), allFrames=True)
    deadline = time.monotonic() + 60
    while not (finished or failed):
        assert time.monotonic() < deadline
        client.pump()
        if until(progress):
            runner.cancel()
        time.sleep(0.005)
    return finished, failed, progress


def test_a_volume_that_is_no_frame_has_no_source():
    assert FrameSource.of(addVolume(newScene(), np.eye(4))) is None


def test_every_frame_becomes_a_frame_of_the_results(scene, client, tmp_path):
    assert FrameSource.of(scene.volumeNode).count == COUNT
    finished, failed, progress = run(scene, client, tmp_path)
    assert not failed, str(failed[0])
    imported, result = finished[0]
    assert result["frames"] == COUNT and progress[-1].stage.startswith("Frame 3 of 3: ")
    segmentationNode = imported.segmentations["compact-base"]
    sequenceNode = scene.browserNode.GetSequenceNode(segmentationNode)
    assert sequenceNode.GetNumberOfDataNodes() == COUNT and sequenceNode.GetIndexName() == "time"
    # One segmentation, one map and one table in the scene, whatever the number of frames.
    assert [scene.GetNumberOfNodesByClass(f"vtkMRML{name}Node") for name in ("Segmentation", "Table")] == [1, 1]
    for index in (2, 0, 1):
        scene.browserNode.SetSelectedItemNumber(index)
        scene.logic.UpdateProxyNodesFromSequences(scene.browserNode)
        mask = slicer.util.arrayFromSegmentBinaryLabelmap(segmentationNode, "spleen", scene.volumeNode)
        assert np.array_equal(mask > 0, slicer.util.arrayFromVolume(scene.volumeNode) > 0), index
    assert [results.run for results in resultSets(scene)] == [imported.run]
    rows = exportedRows(resultSets(scene)[0])
    assert rows[0][2] == "Frame" and [row[2] for row in rows[1:]] == ["0", "1", "2"], "copy and save take all frames"
    assert [row[rows[0].index("Voxels")] for row in rows[1:]] == ["18", "24", "30"]
    assert not list(tmp_path.iterdir())


def test_the_frames_come_into_the_scene_one_a_turn(scene, client, tmp_path):
    """A long sequence must not hold up the application; cancelled in the middle of it, nothing of it stays."""
    before, counts, due, outcome = nodeNames(scene), [], [], []
    runner = SegmentationRunner(scene, client, tmp_path, lambda _milliseconds, function: due.append(function))
    for cancelled in (True, False):
        runner.start(scene.volumeNode, ["compact-base"], {"attention": ["all"]}, RunCallbacks(
            finished=lambda *_: outcome.append("finished"), failed=lambda error: outcome.append(error.kind)),
            allFrames=True)
        outcome.clear()
        deadline = time.monotonic() + 60
        while not outcome and time.monotonic() < deadline:
            client.pump()
            if due:
                due.pop(0)()
            sequences = scene.GetNumberOfNodesByClass("vtkMRMLSequenceNode")
            if sequences > 1 and not cancelled:
                counts.append(scene.GetNodesByClass("vtkMRMLSequenceNode").GetItemAsObject(1).GetNumberOfDataNodes())
            elif sequences > 1:
                runner.cancel()
            time.sleep(0.002)
        assert outcome == ["cancelled" if cancelled else "finished"]
        if cancelled:
            assert nodeNames(scene) == before
    assert list(dict.fromkeys(counts)) == [1, 2, 3]


def test_without_the_choice_only_the_frame_shown_is_segmented(scene, client, tmp_path):
    finished = []
    SegmentationRunner(scene, client, tmp_path).start(
        scene.volumeNode, ["compact-base"], {"attention": []},
        RunCallbacks(finished=lambda *outcome: finished.append(outcome)))
    deadline = time.monotonic() + 60
    while not finished and time.monotonic() < deadline:
        client.pump()
        time.sleep(0.005)
    assert "frames" not in finished[0][1]
    assert scene.browserNode.GetSequenceNode(finished[0][0].segmentations["compact-base"]) is None


def test_cancel_in_the_middle_leaves_the_scene_as_it_was(scene, client, tmp_path):
    before = nodeNames(scene)
    finished, failed, _progress = run(
        scene, client, tmp_path, until=lambda progress: progress and progress[-1].stage.startswith("Frame 2"))
    assert not finished and failed[0].kind == "cancelled"
    assert nodeNames(scene) == before and not list(tmp_path.iterdir())


def test_a_result_that_does_not_fit_leaves_the_scene_as_it_was(scene, client, tmp_path):
    before = nodeNames(scene)
    finished, failed, _progress = run(scene, client, tmp_path, "wrong-grid")
    assert not finished and failed[0].kind == "result"
    assert nodeNames(scene) == before and not list(tmp_path.iterdir())

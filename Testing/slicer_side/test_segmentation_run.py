"""A whole run on real MRML: export, worker process, import; and what remains when it does not end well."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("slicer")

from bare_slicer import newScene
from scene_builder import addTransform, addVolume, nodeNames, orientationMatrix, rotation

from AGUNETRSegmentLib.errors import SegmentationError
from AGUNETRSegmentLib.segmentation_run import RunCallbacks, SegmentationRunner
from AGUNETRSegmentLib.worker_client import WorkerClient

WORKER = [sys.executable, str(Path(__file__).with_name("thresholding_worker.py"))]


class Run:
    """A runner with its scene, CT and temporary folder; collects what is announced."""

    def __init__(self, folder: Path) -> None:
        self.scene = newScene()
        self.volumeNode = addVolume(self.scene, orientationMatrix((1, 0, 2), (-1, 1, -1)))
        self.volumeNode.SetAndObserveTransformNodeID(addTransform(self.scene, rotation(15)).GetID())
        self.client = WorkerClient(WORKER, dict(os.environ))
        self.folder = folder / "Tëmp 一時"
        self.runner = SegmentationRunner(self.scene, self.client, self.folder)
        self.progress, self.finished, self.failed = [], [], []
        self.callbacks = RunCallbacks(
            self.progress.append, lambda *outcome: self.finished.append(outcome), self.failed.append)

    def start(self, models=("compact-base",)):
        self.runner.start(self.volumeNode, list(models), {"attention": ["all"]}, self.callbacks)

    def pumpUntil(self, condition, seconds=60.0):
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "the run did not end in time"
            self.client.pump()
            time.sleep(0.005)

    def ended(self) -> bool:
        return bool(self.finished or self.failed)


@pytest.fixture
def run(tmp_path):
    run = Run(tmp_path)
    yield run
    run.client.stop()


def test_a_volume_becomes_a_segmentation_and_the_job_folder_goes(run):
    run.start()
    assert run.runner.running and len(list(run.folder.iterdir())) == 1
    run.pumpUntil(run.ended)
    imported, result = run.finished[0]
    assert imported.segmentations["compact-base"].GetScene() is run.scene and not run.failed
    assert imported.attention.keys() == {("compact-base", "enc1")}
    assert result["models"][0]["voxels"] > 0 and run.progress
    assert not run.runner.running and not list(run.folder.iterdir())


def test_a_second_run_adds_to_the_first(run):
    for _count in range(2):
        run.finished.clear()
        run.start()
        run.pumpUntil(run.ended)
    assert run.scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 2


@pytest.mark.parametrize("model, kind", [("refuse", "input"), ("crash", "crash"), ("wrong-grid", "result")])
def test_a_run_that_fails_leaves_the_scene_and_the_folder_as_they_were(run, model, kind):
    before = nodeNames(run.scene)
    run.start([model])
    run.pumpUntil(run.ended)
    assert [error.kind for error in run.failed] == [kind] and not run.finished
    assert nodeNames(run.scene) == before and not list(run.folder.iterdir())
    assert not run.runner.running


def test_cancel_leaves_the_scene_and_the_folder_as_they_were(run):
    before = nodeNames(run.scene)
    run.start(["wait"])
    run.pumpUntil(lambda: run.progress)
    with pytest.raises(SegmentationError, match="busy"):
        run.start()
    run.runner.cancel()
    run.pumpUntil(run.ended)
    assert run.failed[0].kind == "cancelled"
    assert nodeNames(run.scene) == before and not list(run.folder.iterdir())


def test_closing_the_scene_cancels(run):
    run.start(["wait"])
    run.pumpUntil(lambda: run.progress)
    run.scene.Clear(False)
    run.pumpUntil(run.ended)
    assert run.failed[0].kind == "cancelled"
    assert run.scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0


def test_removing_the_volume_cancels_and_says_so(run):
    run.start(["wait"])
    run.pumpUntil(lambda: run.progress)
    run.scene.RemoveNode(run.volumeNode)
    run.pumpUntil(run.ended)
    assert run.failed[0].kind == "cancelled" and "left the scene" in run.failed[0].message
    assert run.scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0
    assert not run.runner.running and not list(run.folder.iterdir())


def test_what_cannot_begin_leaves_no_folder(run):
    with pytest.raises(SegmentationError, match="Tick"):
        run.start([])
    run.volumeNode.SetAndObserveImageData(None)
    with pytest.raises(SegmentationError, match="no voxels"):
        run.start()
    assert not run.runner.running and not (run.folder.exists() and list(run.folder.iterdir()))


def test_a_temporary_folder_that_cannot_be_made_is_named(run, tmp_path):
    (tmp_path / "file").write_text("")
    runner = SegmentationRunner(run.scene, run.client, tmp_path / "file" / "folder")
    with pytest.raises(SegmentationError, match="temporary folder"):
        runner.start(run.volumeNode, ["compact-base"], {}, run.callbacks)

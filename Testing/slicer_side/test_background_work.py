"""Large files and surfaces beside the application: they come out the same, and it goes on meanwhile."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("slicer")

import slicer
import slicer.util
from bare_slicer import newScene
from scene_builder import addTransform, addVolume, ballMask, nodeNames, orientationMatrix, rotation, writeResult
from vtk.util import numpy_support

from AGUNETRSegmentLib import segmentation_run
from AGUNETRSegmentLib.background_work import BackgroundWork
from AGUNETRSegmentLib.nodes import exportVolume, importResult, surfaceMatrix
from AGUNETRSegmentLib.result_files import readResult
from AGUNETRSegmentLib.segmentation_nodes import addSegmentation
from AGUNETRSegmentLib.segmentation_run import RunCallbacks, SegmentationRunner
from AGUNETRSegmentLib.volume_job import VolumeExport, prepareExport
from AGUNETRSegmentLib.worker_client import WorkerClient

WORKER = [sys.executable, str(Path(__file__).with_name("thresholding_worker.py"))]
CLOSED_SURFACE = slicer.vtkSegmentationConverter.GetSegmentationClosedSurfaceRepresentationName()
ALLOWED_SECONDS = 1.0  # 0.1 is what the user may feel; other tests and the worker share the computer


class EventLoop:
    """What ``qt.QTimer.singleShot`` does, without Qt; :attr:`longest` is how long a turn took at most."""

    def __init__(self) -> None:
        self._due: list[tuple[float, object]] = []
        self.longest = 0.0

    def schedule(self, milliseconds, function) -> None:
        self._due.append((time.monotonic() + milliseconds / 1000, function))

    def runUntil(self, condition, seconds=60.0) -> None:
        deadline = last = time.monotonic()
        deadline += seconds
        while not condition():
            assert time.monotonic() < deadline, "it did not happen in time"
            now = time.monotonic()
            ready = [entry for entry in self._due if entry[0] <= now]
            self._due = [entry for entry in self._due if entry[0] > now]
            for _time, function in ready:
                function()
            time.sleep(0.002)
            self.longest, last = max(self.longest, time.monotonic() - last), time.monotonic()


@pytest.fixture
def loop():
    return EventLoop()


def test_what_comes_of_the_work_is_told_on_the_callers_thread(loop):
    told = []
    work = BackgroundWork(loop.schedule)
    work.start(threading.get_ident, lambda ident: told.append((ident, threading.get_ident())), told.append)
    assert work.working and not told
    loop.runUntil(lambda: told)
    assert told[0][0] != told[0][1] == threading.get_ident() and not work.working
    work.start(lambda: 1 / 0, told.append, told.append)
    loop.runUntil(lambda: len(told) == 2)
    assert isinstance(told[1], ZeroDivisionError)


def test_without_a_schedule_the_work_is_done_at_once():
    told = []
    work = BackgroundWork()
    work.start(lambda: 7, told.append, told.append)
    work.start(lambda: 1 / 0, told.append, told.append)
    assert told[0] == 7 and isinstance(told[1], ZeroDivisionError)


def test_what_was_given_up_tells_nobody_and_is_tidied_up_when_it_is_over(loop):
    told, tidied, go = [], [], threading.Event()
    work = BackgroundWork(loop.schedule)
    assert not work.abandon(lambda: tidied.append(True))
    work.start(go.wait, told.append, told.append)
    assert work.abandon(lambda: tidied.append(True)) and not work.working and not tidied
    go.set()
    work.wait()
    assert tidied == [True]
    loop.schedule(100, lambda: told.append("end"))
    loop.runUntil(lambda: told)
    assert told == ["end"]


def test_other_python_code_goes_on_while_a_ct_is_written_and_a_result_is_read(tmp_path, loop):
    matrix = orientationMatrix((0, 1, 2), (-1, -1, 1), (0.8, 0.8, 1.0))
    volumeNode = addVolume(newScene(), matrix, shape=(160, 400, 400))
    work, told = BackgroundWork(loop.schedule), []
    export = prepareExport(volumeNode, tmp_path)
    work.start(export.write, told.append, told.append)
    loop.runUntil(lambda: told)
    assert told == [None] and export.job.path.stat().st_size > volumeNode.GetImageData().GetNumberOfPoints() * 2
    k, j, i = np.ogrid[:160, :400, :400]
    ball = (((k - 80) / 50) ** 2 + ((j - 200) / 60) ** 2 + ((i - 230) / 55) ** 2 < 1).astype(np.uint8)
    result = writeResult(tmp_path / "result", export.job, ball, attention=False)
    onCt = surfaceMatrix(export.job)
    work.start(lambda: readResult(result, tmp_path / "result", export.job, onCt), told.append, told.append)
    loop.runUntil(lambda: len(told) == 2)
    models = told[1]
    assert models[0].mask.sum() == ball.sum() and models[0].surface.polyData.GetNumberOfPoints() > 1000
    assert loop.longest < ALLOWED_SECONDS


@pytest.mark.parametrize("moved", [False, True])
def test_the_surface_is_the_one_that_slicer_makes(tmp_path, moved):
    scene = newScene()
    volumeNode = addVolume(scene, rotation(20) @ orientationMatrix((1, 0, 2), (-1, 1, -1)))
    volumeNode.SetAndObserveTransformNodeID(addTransform(scene, rotation(15)).GetID())
    job = exportVolume(volumeNode, tmp_path)
    result = writeResult(tmp_path / "result", job, ballMask())
    models = readResult(result, tmp_path / "result", job, surfaceMatrix(job))
    if moved:
        volumeNode.HardenTransform()
    imported = importResult(scene, result, tmp_path / "result", job, models=models)
    made = points(imported.segmentations["compact-base"])
    expected = points(addSegmentation(scene, ballMask(), volumeNode, "Slicer's"))
    assert made.shape == expected.shape
    np.testing.assert_allclose(np.sort(made, axis=0), np.sort(expected, axis=0), atol=1e-3)


def points(segmentationNode) -> np.ndarray:
    """The points of the spleen's surface, in the node's frame."""
    surface = segmentationNode.GetSegmentation().GetSegment("spleen").GetRepresentation(CLOSED_SURFACE)
    assert not surface.GetPointData().HasArray("ImageScalars")
    return numpy_support.vtk_to_numpy(surface.GetPoints().GetData())


def test_no_surface_is_made_of_nothing_or_unasked(tmp_path):
    scene = newScene()
    job = exportVolume(addVolume(scene, orientationMatrix((0, 1, 2), (-1, -1, 1))), tmp_path)
    result = writeResult(tmp_path / "empty", job, np.zeros_like(ballMask()))
    assert readResult(result, tmp_path / "empty", job, surfaceMatrix(job))[0].surface is None
    result = writeResult(tmp_path / "full", job, ballMask())
    assert readResult(result, tmp_path / "full", job)[0].surface is None


class Run:
    """A runner that works in the background, with its scene and CT."""

    def __init__(self, folder: Path, loop: EventLoop) -> None:
        self.scene, self.folder, self.loop = newScene(), folder / "temporary", loop
        self.volumeNode = addVolume(self.scene, orientationMatrix((1, 0, 2), (-1, 1, -1)))
        self.client = WorkerClient(WORKER, dict(os.environ), loop.schedule)
        self.runner = SegmentationRunner(self.scene, self.client, self.folder, loop.schedule)
        self.told = []

    def start(self, model="compact-base") -> None:
        self.runner.start(self.volumeNode, [model], {"attention": ["all"]}, RunCallbacks(
            finished=lambda imported, _result: self.told.append(imported), failed=self.told.append))


@pytest.fixture
def run(tmp_path, loop):
    run = Run(tmp_path, loop)
    yield run
    run.client.stop()
    run.runner.stop()


def test_a_run_in_the_background_comes_to_the_same_end(run):
    run.start()
    assert run.runner.running and not run.client.segmenting  # the CT is being written
    run.loop.runUntil(lambda: run.told)
    segmentation = run.told[0].segmentations["compact-base"].GetSegmentation()
    assert segmentation.ContainsRepresentation(CLOSED_SURFACE)
    assert not run.runner.running and not list(run.folder.iterdir())


@pytest.mark.parametrize("model, kind", [("refuse", "input"), ("wrong-grid", "result")])
def test_a_run_that_fails_in_the_background_leaves_nothing(run, model, kind):
    before = nodeNames(run.scene)
    run.start(model)
    run.loop.runUntil(lambda: run.told)
    assert run.told[0].kind == kind
    assert nodeNames(run.scene) == before and not list(run.folder.iterdir())


@pytest.mark.parametrize("how", ["cancel", "stop", "close the scene", "remove the CT"])
def test_a_run_can_be_given_up_while_its_ct_is_written(run, monkeypatch, how):
    writing, go = VolumeExport.write, threading.Event()
    monkeypatch.setattr(VolumeExport, "write", lambda self: (go.wait(10), writing(self)))
    run.start()
    if how == "cancel":
        run.runner.cancel()
    elif how == "stop":
        threading.Timer(0.1, go.set).start()
        run.runner.stop()
    elif how == "close the scene":
        run.scene.Clear(False)
    else:
        run.scene.RemoveNode(run.volumeNode)
    run.loop.runUntil(lambda: run.told, seconds=2.0)
    assert run.told[0].kind == "cancelled" and not run.runner.running and run.client.pid is None
    go.set()
    run.loop.runUntil(lambda: not list(run.folder.iterdir()), seconds=10.0)


def test_a_run_can_be_given_up_while_its_result_is_read(run, monkeypatch):
    reading, begun = segmentation_run.readResult, threading.Event()

    def slowly(*arguments):
        begun.set()
        time.sleep(0.3)
        return reading(*arguments)

    monkeypatch.setattr(segmentation_run, "readResult", slowly)
    before = nodeNames(run.scene)
    run.start()
    run.loop.runUntil(begun.is_set)
    run.runner.cancel()
    run.loop.runUntil(lambda: run.told, seconds=2.0)
    run.loop.runUntil(lambda: not list(run.folder.iterdir()), seconds=10.0)
    assert run.told[0].kind == "cancelled" and nodeNames(run.scene) == before

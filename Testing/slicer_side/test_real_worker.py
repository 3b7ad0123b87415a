"""The Slicer side with the engine's own worker: scene to scene through the real child process, with tiny models."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import numpy as np
import pytest

pytest.importorskip("slicer")

import slicer
import slicer.util
from bare_slicer import newScene
from scene_builder import addTransform, nodeNames, orientationMatrix, rotation

from AGUNETRSegmentLib import worker_process
from AGUNETRSegmentLib.segmentation_run import RunCallbacks, SegmentationRunner
from AGUNETRSegmentLib.worker_client import JobCallbacks, WorkerClient

# The models are made in a process of their own: torch and Slicer's core never share one.
MAKE_MODELS = """
import sys, torch
from agunetr.models.bundle import save_bundle
from agunetr.networks.variants import NetworkConfig, build_network
for name, variant in (("tiny-base", "unetr"), ("tiny-gated", "agunetr-v2")):
    torch.manual_seed(5)
    network = build_network(NetworkConfig(variant=variant, window=(32, 32, 32), feature_size=4, hidden_size=24,
                                          mlp_dim=48, heads=2, layers=4))
    save_bundle(f"{sys.argv[1]}/{name}", network, name=name, title=f"Untrained {variant}", spacing_mm=(6.0, 6.0, 6.0),
                intensity_range=(-175.0, 250.0))
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """The worker's environment, with a folder of two untrained models."""
    models = tmp_path_factory.mktemp("models")
    environment = worker_process.defaultEnvironment()
    subprocess.run([sys.executable, "-c", MAKE_MODELS, str(models)], env=environment, check=True)
    return {**environment, "AGUNETR_MODELS": str(models), "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def client(environment):
    """One worker for all the tests, so that torch is imported once."""
    command = [sys.executable, "-m", "agunetr.worker", "--parent-pid", str(os.getpid())]
    client = WorkerClient(command, environment)
    yield client
    client.stop()


def addAbdomen(scene):
    """A volume of 160 x 140 x 120 mm with a body of water and a bright organ, oblique and under a transform."""
    k, j, i = np.mgrid[:30, :36, :40].astype(np.float32)
    voxels = np.full(k.shape, -1000, np.int16)
    voxels[((i - 20) / 18) ** 2 + ((j - 18) / 15) ** 2 < 1] = 20
    voxels[((i - 28) / 6) ** 2 + ((j - 22) / 5) ** 2 + ((k - 16) / 6) ** 2 < 1] = 120
    volumeNode = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Abdomen")
    slicer.util.updateVolumeFromArray(volumeNode, voxels)
    matrix = rotation(8) @ orientationMatrix((0, 1, 2), (-1, -1, 1), spacing=(4.0, 4.0, 4.0))
    volumeNode.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix))
    volumeNode.SetAndObserveTransformNodeID(addTransform(scene, rotation(12)).GetID())
    return volumeNode


def pumpUntil(client, condition, seconds=400.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the worker did not answer in time"
        client.pump()
        time.sleep(0.01)


def test_the_models_are_listed(client):
    answers, errors = [], []
    client.listModels(JobCallbacks(result=answers.append, error=errors.append))
    pumpUntil(client, lambda: answers or errors)
    assert not errors, str(errors[0])
    names = {model["name"] for model in answers[0]["models"]}
    assert {"tiny-base", "tiny-gated"} <= names and all(model["title"] for model in answers[0]["models"])


def test_two_models_from_scene_to_scene(client, tmp_path):
    scene = newScene()
    volumeNode = addAbdomen(scene)
    runner = SegmentationRunner(scene, client, tmp_path)
    for _run in range(2):  # the second finds the worker warm and must add to the first
        progress, outcomes = [], []
        runner.start(volumeNode, ["tiny-base", "tiny-gated"], {"attention": ["all"], "overlap": 0.25}, RunCallbacks(
            progress.append, lambda *outcome, end=outcomes: end.append(outcome), outcomes.append))
        pumpUntil(client, lambda end=outcomes: end)
        assert isinstance(outcomes[0], tuple), str(outcomes[0])
        imported, result = outcomes[0]
        assert set(imported.attention) == {("tiny-gated", "enc1"), ("tiny-gated", "enc2")}
        for entry in result["models"]:
            voxels = slicer.util.arrayFromSegmentBinaryLabelmap(
                imported.segmentations[entry["name"]], "spleen", volumeNode)
            assert np.count_nonzero(voxels) == entry["voxels"]
        assert imported.table.GetNumberOfRows() == 2 and progress
    assert scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 4
    assert not [path for path in tmp_path.iterdir()]


def test_the_engines_refusal_reaches_the_user(client, tmp_path):
    scene = newScene()
    volumeNode = addAbdomen(scene)
    slicer.util.updateVolumeFromArray(volumeNode, np.full((20, 20, 20), 7, np.int16))
    before = nodeNames(scene)
    errors = []
    SegmentationRunner(scene, client, tmp_path).start(
        volumeNode, ["tiny-base"], {}, RunCallbacks(failed=errors.append))
    pumpUntil(client, lambda: errors)
    assert errors[0].kind == "input" and errors[0].message
    assert nodeNames(scene) == before


def test_cancel_keeps_the_worker(client, tmp_path):
    scene = newScene()
    volumeNode = addAbdomen(scene)
    errors, finished = [], []
    runner = SegmentationRunner(scene, client, tmp_path)
    before, pid = nodeNames(scene), client.pid
    runner.start(volumeNode, ["tiny-base"], {"overlap": 0.9}, RunCallbacks(
        finished=lambda *outcome: finished.append(outcome), failed=errors.append))
    runner.cancel()
    pumpUntil(client, lambda: errors or finished)
    assert not finished and errors[0].kind == "cancelled"
    assert nodeNames(scene) == before and not list(tmp_path.iterdir())
    assert client.pid in (pid, None)

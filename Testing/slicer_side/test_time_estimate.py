"""How long a run will take: counted in windows, learnt from finished runs."""

from __future__ import annotations

import types

import numpy as np
import pytest

pytest.importorskip("slicer")
pytest.importorskip("PySide6")

import host
import slicer
from scene_builder import addVolume

MODEL = {"name": "small", "checksum": "a" * 64, "spacing_mm": [1.0, 1.0, 1.0], "window": [96, 96, 96],
         "size_bytes": 5_000_000}
OPTIONS = types.SimpleNamespace(device="auto", overlapPercent=50, localise=True)


@pytest.fixture
def estimates(tmp_path):
    with host.application(tmp_path):
        from AGUNETRSegmentLib.time_estimate import TimeEstimates

        yield TimeEstimates()


def largeVolume():
    return addVolume(slicer.mrmlScene, np.diag([10.0, 10.0, 10.0, 1.0]), shape=(40, 40, 40))


@pytest.mark.parametrize("extent, overlap, windows", [
    ((50, 50, 50), 0.5, 1), ((96, 96, 96), 0.5, 1), ((97, 96, 96), 0.5, 2), ((192, 192, 192), 0.5, 27),
    ((192, 192, 192), 0.0, 8)])
def test_windows_are_counted(estimates, extent, overlap, windows):
    from AGUNETRSegmentLib.time_estimate import windowCount

    assert windowCount(np.array(extent), MODEL, overlap) == windows


def test_a_first_run_is_guessed_and_larger_networks_take_longer(estimates):
    volumeNode = largeVolume()
    small = estimates.estimate(volumeNode, [MODEL], OPTIONS)
    large = estimates.estimate(volumeNode, [{**MODEL, "size_bytes": 370_000_000}], OPTIONS)
    assert not small.measured and large.seconds > 5 * small.seconds


def test_a_finished_run_is_remembered_for_its_device_and_its_search(estimates):
    from AGUNETRSegmentLib.time_estimate import TimeEstimates

    volumeNode = largeVolume()
    windows = 8 * 8 * 8
    estimates.learn({"device": "cpu", "models": [
        {"name": "small", "windows_of_dense": 100, "search": "localised", "seconds": {"windows": 150.0, "write": 50.0}},
        {"name": "another", "windows_of_dense": 0, "seconds": {}}]}, [MODEL])
    for device in ("auto", "cpu"):
        options = types.SimpleNamespace(device=device, overlapPercent=50, localise=True)
        estimate = TimeEstimates().estimate(volumeNode, [MODEL], options)
        assert estimate.measured and estimate.seconds == pytest.approx(2.0 * windows)
    dense = types.SimpleNamespace(device="cpu", overlapPercent=50, localise=False)
    assert not estimates.estimate(volumeNode, [MODEL], dense).measured


def test_a_model_that_does_not_describe_itself_gives_no_estimate(estimates):
    assert estimates.estimate(largeVolume(), [{"name": "bare"}], OPTIONS) is None

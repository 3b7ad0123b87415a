"""The segmenter on a device with too little memory: what is told with the result, and when the CPU takes over."""

from __future__ import annotations

import argparse
import dataclasses

import numpy as np
import pytest
from bright_scan import bright_scan
from intensity_models import IntensityBundle
from small_device import CPU, GPU, SmallDevice

from agunetr.commands import segment
from agunetr.errors import MemoryExhausted
from agunetr.inference import engines, precision
from agunetr.inference import segmenter as segmenter_module
from agunetr.inference.backends import TorchBackend
from agunetr.inference.device_memory import MOST_WINDOWS
from agunetr.inference.memory_ladder import NOTICE
from agunetr.inference.segmenter import Segmenter, SegmentOptions
from agunetr.inference.warm_networks import WarmNetworks

WINDOW_BYTES = 1_000_000
PLENTY = 1 << 40


@pytest.fixture
def gpu_for_segmenter(monkeypatch):
    """Let the segmenter believe in a small GPU; networks that run on it are counted by the :class:`SmallDevice`."""

    def made(budget: int) -> SmallDevice:
        small = SmallDevice(budget, WINDOW_BYTES).install(monkeypatch)

        class Backend(TorchBackend):
            def __init__(self, network, device, precision):
                super().__init__(network, CPU, precision)
                self._predict = small.predictor(super().predict) if device == GPU else super().predict
                if device == GPU:
                    small.check(1)

            def predict(self, windows, gates=()):
                return self._predict(windows)

        monkeypatch.setattr(engines, "TorchBackend", Backend)
        choose = engines.choose_device
        monkeypatch.setattr(
            engines, "choose_device", lambda name: (GPU, "A GPU was found.") if name != "cpu" else choose(name)
        )
        return small

    return made


OPTIONS = SegmentOptions(device="auto", precision="exact", engine="torch")


def test_the_cpu_takes_over_where_it_may(gpu_for_segmenter):
    small = gpu_for_segmenter(WINDOW_BYTES - 1)
    scan, bundle = bright_scan(), IntensityBundle()
    segmenter = Segmenter(OPTIONS)
    with pytest.raises(MemoryExhausted, match="even with one window"):
        segmenter.segment(scan, bundle)
    asked = dataclasses.replace(OPTIONS, allow_cpu=True)
    told = []
    answer = segmenter.segment(scan, bundle, lambda *step: told.append(step), options=asked)
    assert answer.device == "cpu" and "the CPU took over" in answer.device_reason
    steps = [notice.message for notice in answer.notices if notice.kind == NOTICE]
    assert len(steps) == 2 and "machine's own memory" in steps[0] and steps[1] == answer.device_reason
    assert not any(str(GPU) in key for key in segmenter._warm)
    assert small.failed == 4
    assert [step for step in told if step[0] == "windows"][-1] == ("windows", answer.windows, answer.windows)
    expected = Segmenter(dataclasses.replace(OPTIONS, device="cpu")).segment(scan, bundle)
    np.testing.assert_array_equal(answer.mask, expected.mask)


def test_the_cpu_also_takes_over_where_the_network_does_not_fit(gpu_for_segmenter):
    gpu_for_segmenter(0)
    answer = Segmenter(dataclasses.replace(OPTIONS, allow_cpu=True)).segment(bright_scan(), IntensityBundle())
    assert answer.device == "cpu" and answer.mask.any()
    assert [notice.kind for notice in answer.notices] == [NOTICE]


def test_steps_on_the_device_are_told_with_the_result(gpu_for_segmenter):
    small = gpu_for_segmenter(3 * WINDOW_BYTES)
    options = dataclasses.replace(OPTIONS, window_batch=4)
    answer = Segmenter(options).segment(bright_scan(), IntensityBundle())
    assert answer.device == str(GPU) and answer.window_batch == 2
    assert [notice.kind for notice in answer.notices] == [NOTICE]
    small.budget = PLENTY
    chosen = Segmenter(OPTIONS).segment(bright_scan(), IntensityBundle())
    assert chosen.window_batch == MOST_WINDOWS and chosen.notices == []


def test_the_cpu_does_not_take_over_from_itself(monkeypatch):
    def too_large(*args, **keywords):
        raise MemoryError

    monkeypatch.setattr(segmenter_module, "prepare", too_large)
    options = dataclasses.replace(OPTIONS, device="cpu", allow_cpu=True)
    with pytest.raises(MemoryExhausted, match="memory of this machine"):
        Segmenter(options).segment(bright_scan(), IntensityBundle())


def test_the_options_are_checked():
    assert SegmentOptions().window_batch is None and SegmentOptions().allow_cpu is False
    with pytest.raises(ValueError, match="allow_cpu"):
        SegmentOptions(allow_cpu="yes")


def test_the_command_line_asks_for_the_cpu_only_when_told():
    parser = argparse.ArgumentParser()
    segment.add_arguments(parser)
    plain = segment.segment_options(parser.parse_args(["ct.nii", "-o", "out"]))
    asked = segment.segment_options(parser.parse_args(["ct.nii", "-o", "out", "--allow-cpu", "--window-batch", "3"]))
    assert SegmentOptions(**plain) == SegmentOptions()
    assert SegmentOptions(**asked) == SegmentOptions(allow_cpu=True, window_batch=3)


def test_a_gpu_that_was_full_once_is_tried_again(monkeypatch):
    found = [(CPU, "The GPU was full, so the CPU was taken."), (GPU, "A GPU was found.")]
    monkeypatch.setattr(engines, "choose_device", lambda _: found.pop(0))
    networks = WarmNetworks()
    assert networks.engine(OPTIONS).device == CPU
    assert networks.engine(OPTIONS).device == GPU
    assert networks.engine(OPTIONS).device == GPU and not found


def test_other_models_leave_a_gpu_that_is_full(gpu_for_segmenter):
    small = gpu_for_segmenter(WINDOW_BYTES + 100_000)
    scan, segmenter = bright_scan(), Segmenter(OPTIONS)
    segmenter.segment(scan, IntensityBundle())
    small.budget = 1

    class Other(IntensityBundle):
        checksum = "other"

    with pytest.raises(MemoryExhausted):
        segmenter.segment(scan, Other())
    assert [key[0] for key in segmenter._warm] == ["other"]


def test_fast_on_a_gpu_becomes_what_the_cpu_does_well(gpu_for_segmenter, monkeypatch):
    gpu_for_segmenter(WINDOW_BYTES - 1)
    monkeypatch.setattr(precision, "computes_in_bfloat16", lambda device: device.type != "cpu")
    monkeypatch.setattr(precision, "device_title", str)
    asked = dataclasses.replace(OPTIONS, precision="fast", allow_cpu=True)
    answer = Segmenter(asked).segment(bright_scan(), IntensityBundle())
    assert (answer.device, answer.precision) == ("cpu", "exact") and "no bfloat16" in answer.precision_reason

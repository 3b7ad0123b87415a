"""Devices and precisions are chosen for a reason, and memory that runs out says what to do."""

from __future__ import annotations

import pytest
import torch
from intensity_models import IntensityNetwork
from tiny_models import tiny_network

from agunetr.errors import DeviceError, MemoryExhausted, ModelError
from agunetr.inference import backends
from agunetr.inference.backends import TorchBackend, choose_device, choose_precision, memory_guard

CPU = torch.device("cpu")


def _no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


def _broken_gpu(monkeypatch, count=1):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Old Card")
    monkeypatch.setattr(backends, "_fault_of", lambda device: "no kernel image is available")


def test_auto_without_a_gpu_is_the_cpu_and_says_so(monkeypatch):
    _no_gpu(monkeypatch)
    device, reason = choose_device("auto")
    assert device == CPU and "CPU was taken" in reason


def test_auto_passes_over_a_gpu_that_cannot_run_a_kernel_and_says_so(monkeypatch):
    _broken_gpu(monkeypatch)
    device, reason = choose_device("auto")
    assert device == CPU
    assert "Old Card" in reason and "no kernel image" in reason and "CPU was taken" in reason


def test_auto_takes_a_gpu_that_works(monkeypatch):
    _broken_gpu(monkeypatch)
    monkeypatch.setattr(backends, "_fault_of", lambda device: "")
    assert choose_device("auto") == (torch.device("cuda"), "The GPU Old Card was found.")
    assert choose_device("cuda:0")[0] == torch.device("cuda:0")


@pytest.mark.parametrize("wanted", ["cuda", "cuda:0", "mps"])
def test_a_device_that_is_absent_is_refused_never_replaced(monkeypatch, wanted):
    _no_gpu(monkeypatch)
    with pytest.raises(DeviceError, match="auto or cpu"):
        choose_device(wanted)


@pytest.mark.parametrize("wanted", ["gpu", "cuda:x", "cuda:-1", "mps:0", "", "cpu:0"])
def test_a_name_that_is_no_device_is_refused(wanted):
    with pytest.raises(DeviceError, match="There is no device called"):
        choose_device(wanted)


def test_a_broken_or_missing_gpu_that_was_named_is_refused(monkeypatch):
    _broken_gpu(monkeypatch, count=2)
    with pytest.raises(DeviceError, match="no kernel image"):
        choose_device("cuda")
    with pytest.raises(DeviceError, match="number from 0 to 1"):
        choose_device("cuda:2")


def test_the_probe_of_a_device_that_works_finds_no_fault():
    assert backends._fault_of(CPU) == ""
    assert backends._fault_of(torch.device("cuda")) != "" or torch.cuda.is_available()


@pytest.mark.parametrize(("features", "expected"), [({"avx512_bf16": True}, "fast"), ({"avx2": True}, "exact")])
def test_auto_precision_is_fast_only_with_bfloat16_hardware(monkeypatch, features, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: features)
    precision, reason = choose_precision("auto", CPU)
    assert precision == expected and "bfloat16" in reason
    assert choose_precision("exact", CPU)[0] == "exact"
    precision, reason = choose_precision("fast", CPU)
    assert precision == "fast" and ("slower" in reason) == (expected == "exact")


def test_precisions_that_are_not_there_are_refused():
    with pytest.raises(DeviceError, match="half"):
        choose_precision("half", CPU)
    with pytest.raises(DeviceError, match="MPS"):
        choose_precision("fast", torch.device("mps"))
    with pytest.raises(ValueError, match="precision"):
        TorchBackend(IntensityNetwork(), CPU, "auto")


def test_exact_and_fast_differ_by_no_more_than_bfloat16_rounding():
    windows = torch.rand((1, 1, 16, 16, 16), generator=torch.Generator().manual_seed(1))
    exact, nothing = TorchBackend(tiny_network(window=(16, 16, 16)), CPU, "exact").predict(windows)
    fast, _ = TorchBackend(tiny_network(window=(16, 16, 16)), CPU, "fast").predict(windows)
    assert nothing == {} and exact.dtype == torch.float32
    difference = (exact - fast.float()).abs().max()
    assert 0 < difference < 0.1 * exact.abs().max()


def test_gate_maps_come_only_when_asked_for():
    network = tiny_network("agunetr-v2", window=(16, 16, 16))
    backend = TorchBackend(network)
    _, maps = backend.predict(torch.zeros(2, 1, 16, 16, 16), gates=("enc2",))
    assert list(maps) == ["enc2"] and maps["enc2"].shape == (2, 1, 16, 16, 16)
    with pytest.raises(RuntimeError):
        network.gate_maps()
    with pytest.raises(ModelError, match="enc4.*enc1, enc2"):
        backend.predict(torch.zeros(1, 1, 16, 16, 16), gates=("enc4",))


def test_exact_switches_tf32_off_only_while_it_runs(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    seen = []

    class Spy(torch.nn.Module):
        def forward(self, windows):
            seen.append(torch.backends.cudnn.allow_tf32)
            return windows

    TorchBackend(Spy(), CPU, "exact").predict(torch.zeros(1, 1, 2, 2, 2))
    TorchBackend(Spy(), CPU, "fast").predict(torch.zeros(1, 1, 2, 2, 2))
    assert seen == [False, True] and torch.backends.cudnn.allow_tf32


@pytest.mark.parametrize(
    "error",
    [MemoryError(), torch.OutOfMemoryError("CUDA out of memory."), RuntimeError("Failed to allocate memory.")],
)
def test_lack_of_memory_names_a_remedy(error):
    with pytest.raises(MemoryExhausted, match="compact model"), memory_guard(CPU):
        raise error


def test_the_real_allocators_refusal_is_recognised():
    with pytest.raises(MemoryExhausted), memory_guard(CPU):
        torch.empty(2**58)


def test_other_errors_pass_the_memory_guard_unchanged():
    with pytest.raises(RuntimeError, match="shapes"), memory_guard(CPU):
        raise RuntimeError("shapes do not match")

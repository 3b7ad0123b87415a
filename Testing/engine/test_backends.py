"""Devices and precisions are chosen for a reason, and memory that runs out says what to do."""

from __future__ import annotations

import pytest
import torch
from intensity_models import IntensityNetwork
from tiny_models import tiny_network

from agunetr.errors import DeviceError, MemoryExhausted, ModelError
from agunetr.inference import devices
from agunetr.inference.backends import TorchBackend, choose_device, choose_precision, memory_guard

CPU = torch.device("cpu")


def _no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


def _broken_gpu(monkeypatch, count=1):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Old Card")
    monkeypatch.setattr(devices, "_fault_of", lambda device: "no kernel image is available")


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
    monkeypatch.setattr(devices, "_fault_of", lambda device: "")
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
    assert devices._fault_of(CPU) == ""
    assert devices._fault_of(torch.device("cuda")) != "" or torch.cuda.is_available()


@pytest.mark.parametrize(("features", "expected"), [({"avx512_bf16": True}, "fast"), ({"avx2": True}, "exact")])
def test_auto_precision_is_fast_only_with_bfloat16_hardware(monkeypatch, features, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: features)
    precision, reason = choose_precision("auto", CPU)
    assert precision == expected and "bfloat16" in reason
    assert choose_precision("exact", CPU)[0] == "exact"
    precision, reason = choose_precision("fast", CPU)
    assert precision == "fast" and ("slower" in reason) == (expected == "exact")
    precision, reason = choose_precision("fast", CPU, "openvino")
    assert precision == expected and ("does not emulate" in reason) == (expected == "exact")


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


@pytest.mark.parametrize(("variant", "window"), [("unetr", (16, 32, 48)), ("agunetr-v1", (16, 16, 16))])
def test_the_faster_form_gives_what_the_plain_network_gives(variant, window):
    windows = torch.rand((2, 1, *window), generator=torch.Generator().manual_seed(2))
    plain = tiny_network(variant, window=window)
    backend = TorchBackend(tiny_network(variant, window=window), CPU, "exact")
    with torch.inference_mode(), plain.recording_gates():
        expected, expected_maps = plain(windows), plain.gate_maps()
    logits, maps = backend.predict(windows, plain.gate_names)
    assert (logits - expected).abs().max() < 1e-5 * expected.abs().max()
    assert list(maps) == list(expected_maps)
    for gate, expected_map in expected_maps.items():
        torch.testing.assert_close(maps[gate], expected_map, rtol=0, atol=1e-5)


def test_the_faster_form_is_taken_and_keeps_every_weight():
    plain = tiny_network(window=(16, 16, 16))
    form = TorchBackend(tiny_network(window=(16, 16, 16))).network
    kinds = [type(module).__name__ for module in form.modules()]
    assert "ChannelsLastInstanceNorm3d" in kinds and "InstanceNorm3d" not in kinds
    for (name, weight), (other, same) in zip(plain.state_dict().items(), form.state_dict().items(), strict=True):
        assert name == other and torch.equal(weight, same)


def test_fast_rounds_the_weights_as_autocast_does():
    windows = torch.rand((1, 1, 16, 16, 16), generator=torch.Generator().manual_seed(1))
    rounded = TorchBackend(tiny_network(window=(16, 16, 16)), CPU, "fast")
    every_time = TorchBackend(tiny_network(window=(16, 16, 16)), CPU, "exact")
    every_time.precision = "fast"
    assert rounded.network.vit.blocks[0].mlp.linear1.weight.dtype == torch.bfloat16
    assert every_time.network.vit.blocks[0].mlp.linear1.weight.dtype == torch.float32
    for gates in ((), ("enc1", "enc2")):
        (first, maps), (second, other_maps) = rounded.predict(windows, gates), every_time.predict(windows, gates)
        assert torch.equal(first, second)
        assert all(torch.equal(maps[gate], other_maps[gate]) for gate in gates)


def test_a_network_is_compiled_only_where_that_was_asked_for(monkeypatch):
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda module: compiled.append(module) or module)
    windows = torch.zeros(1, 1, 16, 16, 16)
    TorchBackend(tiny_network(window=(16, 16, 16))).predict(windows)
    assert compiled == []
    monkeypatch.setenv("AGUNETR_TORCH_COMPILE", "1")
    backend = TorchBackend(tiny_network(window=(16, 16, 16)))
    backend.predict(windows)
    backend.predict(windows)
    assert len(compiled) == 1
    TorchBackend(tiny_network(window=(16, 16, 16)), compile_network=False).predict(windows)
    assert len(compiled) == 1


def test_a_network_that_cannot_be_compiled_says_so(monkeypatch):
    from torch._dynamo.exc import TorchDynamoException

    def compile_nothing(module):
        def fail(windows):
            raise TorchDynamoException("No C++ compiler was found.\nMore of it.")

        return fail

    monkeypatch.setattr(torch, "compile", compile_nothing)
    backend = TorchBackend(tiny_network(window=(16, 16, 16)), compile_network=True)
    with pytest.raises(DeviceError, match=r"No C\+\+ compiler was found\. Remove AGUNETR_TORCH_COMPILE"):
        backend.predict(torch.zeros(1, 1, 16, 16, 16))


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
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("Failed to allocate memory."),
        RuntimeError("Exception from src/core: std::bad_alloc"),
    ],
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

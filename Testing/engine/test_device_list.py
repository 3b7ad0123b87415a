"""The devices that a user can choose from."""

from __future__ import annotations

import pytest
import torch

from agunetr.errors import DeviceError
from agunetr.inference import device_list
from agunetr.inference.devices import choose_device


def test_the_cpu_is_there_with_its_memory():
    cpu = device_list.found_devices()[-1]
    assert cpu.name == "cpu" and cpu.title.startswith("CPU") and not cpu.fault
    assert 0 < cpu.free_bytes <= cpu.total_bytes


def test_every_device_without_a_fault_can_be_chosen():
    for device in device_list.found_devices():
        if not device.fault:
            assert choose_device(device.name)[0].type == device.name.partition(":")[0]


def test_a_gpu_that_cannot_compute_is_listed_with_its_fault(monkeypatch):
    def refuse(name):
        raise DeviceError(f"{name} has no kernels.", "Choose the device cpu.")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Model T")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda name: (3, 4))
    monkeypatch.setattr(device_list, "choose_device", lambda name: refuse(name) if name == "cuda:1" else None)
    first, second, _cpu = device_list.found_devices()
    assert (first.name, first.title, first.free_bytes, first.total_bytes) == ("cuda:0", "Model T (cuda:0)", 3, 4)
    assert second.fault == "cuda:1 has no kernels." and second.free_bytes is None


def test_a_system_that_does_not_tell_its_memory_does_no_harm(monkeypatch):
    def unknown():
        raise OSError

    monkeypatch.setattr(device_list, "memory_bytes", unknown)
    assert device_list.found_devices()[-1].to_dict()["free_bytes"] is None


@pytest.mark.parametrize("field", ["name", "title", "free_bytes", "total_bytes", "fault"])
def test_the_json_form_has_every_field(field):
    assert field in device_list.found_devices()[-1].to_dict()

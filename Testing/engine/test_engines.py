"""The engine is chosen for a reason, and one that fails is never replaced in silence."""

from __future__ import annotations

import pytest
import torch
from intensity_models import IntensityBundle

from agunetr.errors import DeviceError, MemoryExhausted
from agunetr.inference import devices, engines, openvino_backend
from agunetr.inference.engines import LoadedNetwork, choose_all, choose_engine
from agunetr.inference.openvino_runtime import EngineFault
from agunetr.inference.torch_backend import TorchBackend

CPU, GPU = torch.device("cpu"), torch.device("cuda:1")


@pytest.fixture
def working(monkeypatch):
    monkeypatch.setattr(engines, "openvino_fault", lambda: "")
    monkeypatch.setattr(engines, "openvino_version", lambda parts: "2026.4")


@pytest.fixture
def missing(monkeypatch):
    monkeypatch.setattr(engines, "openvino_fault", lambda: "it is not installed")


class Scripted:
    """Stands in for :class:`OpenVinoBackend`; fails where the test's list of errors has one."""

    def __init__(self, errors):
        self.errors, self.prepared = errors, []

    def __call__(self, bundle, precision):
        self.opened_with = (bundle, precision)
        return self

    def prepare(self, gates=()):
        self.prepared.append(tuple(gates))
        error = self.errors.get(bool(gates))
        if error is not None:
            raise error


def scripted(monkeypatch, errors=None):
    backend = Scripted(errors or {})
    monkeypatch.setattr(openvino_backend, "OpenVinoBackend", backend)
    return backend


def test_auto_takes_openvino_on_a_cpu_where_it_works(working):
    assert choose_engine("auto", CPU) == ("openvino", "OpenVINO 2026.4 is the faster engine on CPUs.")
    assert choose_engine("openvino", CPU) == ("openvino", "OpenVINO was asked for.")
    assert choose_engine("torch", CPU) == ("torch", "PyTorch was asked for.")
    engine, reason = choose_engine("auto", GPU)
    assert engine == "torch" and "GPU" in reason


def test_auto_without_openvino_takes_pytorch_and_says_why(missing):
    engine, reason = choose_engine("auto", CPU)
    assert engine == "torch" and "not installed" in reason


def test_openvino_that_was_asked_for_and_is_not_there_is_refused_never_replaced(missing):
    with pytest.raises(DeviceError, match=r"not installed.*pip install agunetr\[fast\]"):
        choose_engine("openvino", CPU)
    with pytest.raises(DeviceError, match=r"not installed"):
        choose_all("auto", "openvino", "exact")


def test_openvino_on_a_gpu_and_words_that_are_no_engine_are_refused(working):
    with pytest.raises(DeviceError, match="cuda:1.*device cpu"):
        choose_engine("openvino", GPU)
    with pytest.raises(DeviceError, match="tensorrt"):
        choose_engine("tensorrt", CPU)


def test_openvino_that_was_asked_for_takes_the_cpu_of_a_machine_with_a_gpu(working, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Card")
    monkeypatch.setattr(devices, "_fault_of", lambda device: "")
    choice = choose_all("auto", "openvino", "exact")
    assert choice.device == CPU and "OpenVINO" in choice.device_reason and not choice.replaceable
    choice = choose_all("auto", "auto", "exact")
    assert choice.device.type == "cuda" and choice.engine == "torch" and choice.replaceable


def test_the_precision_is_chosen_for_the_engine(working, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True})
    assert choose_all("cpu", "openvino", "fast").precision == "exact"
    assert choose_all("cpu", "torch", "fast").precision == "fast"
    assert choose_all("cpu", "auto", "auto").precision == "exact"


def test_the_chosen_engine_is_opened_once_and_prepared_for_what_is_asked(working, monkeypatch):
    backend = scripted(monkeypatch)
    bundle = IntensityBundle(gate_names=("enc1",))
    loaded = LoadedNetwork(bundle, choose_all("cpu", "auto", "exact"))
    assert loaded.backend() is backend and loaded.backend(("enc1",)) is backend
    assert backend.opened_with == (bundle, "exact") and backend.prepared == [(), ("enc1",)]
    assert (loaded.engine, loaded.notices) == ("openvino", ())


@pytest.mark.parametrize("error", [EngineFault("It has an unknown operator."), MemoryExhausted("It is too large.")])
def test_under_auto_pytorch_stands_in_and_the_user_is_told(working, monkeypatch, error):
    backend = scripted(monkeypatch, {True: error})
    loaded = LoadedNetwork(IntensityBundle(gate_names=("enc1",)), choose_all("cpu", "auto", "exact"))
    assert loaded.backend() is backend and loaded.notices == ()
    stand_in = loaded.backend(("enc1",))
    assert isinstance(stand_in, TorchBackend) and loaded.engine == "torch"
    assert error.message in loaded.reason
    assert [notice.kind for notice in loaded.notices] == ["engine-replaced"]
    assert "The model bright" in loaded.notices[0].message and error.message in loaded.notices[0].message
    assert loaded.backend() is stand_in and len(loaded.notices) == 1


def test_an_engine_that_was_asked_for_is_not_replaced(working, monkeypatch):
    scripted(monkeypatch, {False: EngineFault("It has an unknown operator.", "Choose the engine torch.")})
    loaded = LoadedNetwork(IntensityBundle(), choose_all("cpu", "openvino", "exact"))
    with pytest.raises(EngineFault, match="unknown operator.*engine torch"):
        loaded.backend()
    assert loaded.engine == "openvino"

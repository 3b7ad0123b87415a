"""Which engine runs a network, and why; and what happens where the one that was chosen cannot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from agunetr.errors import DeviceError, MemoryExhausted, Notice
from agunetr.inference.backends import Backend, TorchBackend, choose_device, choose_precision
from agunetr.inference.openvino_runtime import INSTALL, EngineFault, openvino_fault, openvino_version

if TYPE_CHECKING:
    from agunetr.models.bundle import ModelBundle

ENGINES = ("auto", "torch", "openvino")


@dataclass(frozen=True)
class EngineChoice:
    """Where networks run, in what and how exactly, each with a sentence that says why.

    Attributes:
        device, device_reason: see :func:`choose_device`.
        engine, engine_reason: see :func:`choose_engine`.
        precision, precision_reason: see :func:`choose_precision`.
        replaceable: whether PyTorch may stand in where the engine cannot run a network: it was not asked for by name.
    """

    device: torch.device
    device_reason: str
    engine: str
    engine_reason: str
    precision: str
    precision_reason: str
    replaceable: bool


def choose_all(device: str, engine: str, precision: str) -> EngineChoice:
    """The choices together: the precision depends on the engine, and both on the device.

    Raises:
        DeviceError: what was asked for is not there, or does not go together.
    """
    if engine == "openvino" and device == "auto":
        where, device_reason = torch.device("cpu"), "OpenVINO, which was asked for, runs on the CPU."
    else:
        where, device_reason = choose_device(device)
    name, engine_reason = choose_engine(engine, where)
    return EngineChoice(
        where,
        device_reason,
        name,
        engine_reason,
        *choose_precision(precision, where, name),
        replaceable=engine == "auto",
    )


def choose_engine(wanted: str, device: torch.device) -> tuple[str, str]:
    """``"torch"`` or ``"openvino"``, and why.

    Args:
        wanted: ``"auto"`` takes OpenVINO on a CPU where it works, PyTorch elsewhere.
        device: where networks run.

    Raises:
        DeviceError: another word, or OpenVINO where it cannot be used.
    """
    if wanted not in ENGINES:
        raise DeviceError(f"There is no engine called '{wanted}'.", f"Choose one of {', '.join(ENGINES)}.")
    if wanted == "torch":
        return "torch", "PyTorch was asked for."
    if device.type != "cpu":
        if wanted == "openvino":
            problem = f"The engine OpenVINO runs on the CPU, not on {device}."
            raise DeviceError(problem, "Choose the device cpu, or the engine auto or torch.")
        return "torch", "PyTorch runs the networks on GPUs."
    fault = openvino_fault()
    if wanted == "openvino":
        if fault:
            raise DeviceError(f"The engine OpenVINO cannot be used: {fault}.", f"{INSTALL}; or choose the engine auto.")
        return "openvino", "OpenVINO was asked for."
    if fault:
        return "torch", f"PyTorch was taken because OpenVINO, the faster engine on CPUs, cannot be used: {fault}."
    return "openvino", f"OpenVINO {openvino_version(2)} is the faster engine on CPUs."


class LoadedNetwork:
    """A model's network in the engine that was chosen for it.

    Where ``auto`` chose OpenVINO and OpenVINO cannot run this network, PyTorch does, and :attr:`notices` says so.

    Args:
        bundle: the model.
        choice: what runs it.

    Attributes:
        engine, reason: what runs it in fact, and why.
        notices: what the user should know about that.
    """

    def __init__(self, bundle: ModelBundle, choice: EngineChoice) -> None:
        self._bundle = bundle
        self._choice = choice
        self._backend: Backend | None = None
        self.engine, self.reason = choice.engine, choice.engine_reason
        self.notices: tuple[Notice, ...] = ()

    def backend(self, gates: Sequence[str] = ()) -> Backend:
        """The backend, loaded at the first call, and ready to predict windows with the maps of these gates.

        Raises:
            EngineFault: OpenVINO was asked for and cannot run the network.
            ModelError: the weights cannot be used.
            MemoryExhausted: the device cannot hold the network.
        """
        if self.engine == "openvino" and self._choice.replaceable:
            try:
                return self._ready(gates)
            except (EngineFault, MemoryExhausted) as error:
                self._replace(error.message)
        return self._ready(gates)

    def _ready(self, gates: Sequence[str]) -> Backend:
        if self._backend is None:
            self._backend = self._open()
        self._backend.prepare(gates)
        return self._backend

    def _open(self) -> Backend:
        if self.engine == "torch":
            return TorchBackend(self._bundle.network(), self._choice.device, self._choice.precision)
        # Late: most machines do not have it.
        from agunetr.inference.openvino_backend import OpenVinoBackend

        return OpenVinoBackend(self._bundle, self._choice.precision)

    def _replace(self, problem: str) -> None:
        self.engine, self._backend = "torch", None
        self.reason = f"PyTorch was taken because OpenVINO, the faster engine on CPUs, failed. {problem}"
        self.notices = (Notice("engine-replaced", f"{self._bundle.title}: {self.reason}"),)

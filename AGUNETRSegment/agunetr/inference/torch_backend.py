"""Networks run by PyTorch."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence

import torch

from agunetr.errors import DeviceError, ModelError
from agunetr.inference.devices import memory_guard
from agunetr.inference.precision import true_float32
from agunetr.networks.inference_form import to_inference_form
from agunetr.networks.with_maps import WithMaps

COMPILE_VARIABLE = "AGUNETR_TORCH_COMPILE"
"""Set it to 1 and PyTorch compiles each network before its first window. The cost: about half a minute for a full-size
network on two cores, a C++ compiler must be there, and a new process pays again for what PyTorch's own cache lacks."""


class TorchBackend:
    """A network run by PyTorch.

    On a CPU the network takes the form of :mod:`agunetr.networks.inference_form`, which computes the same in less time,
    and a batch is computed window by window, which that form needs and a CPU loses nothing by.

    Args:
        network: a loaded network. It becomes the backend's own: it is moved to the device, put into evaluation mode
            and into the faster form; train and compare with another copy.
        device: where it runs.
        precision: ``"exact"`` (float32) or ``"fast"`` (bfloat16 autocast), as :func:`choose_precision` gives it.
        compile_network: whether ``torch.compile`` compiles it before the first window; None asks the environment, see
            :data:`COMPILE_VARIABLE`.

    Raises:
        ValueError: another precision.
        MemoryExhausted: the device cannot hold the network.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        device: torch.device | str = "cpu",
        precision: str = "exact",
        compile_network: bool | None = None,
    ) -> None:
        if precision not in ("exact", "fast"):
            raise ValueError(f"precision must be 'exact' or 'fast', not {precision!r}.")
        self.device = torch.device(device)
        self.precision = precision
        if compile_network is None:
            compile_network = os.environ.get(COMPILE_VARIABLE, "") not in ("", "0")
        self._compiles = compile_network
        self._forms: dict[tuple[str, ...], torch.nn.Module] = {}
        with memory_guard(self.device):
            self.network = network.to(self.device).eval()
            if self.device.type == "cpu":
                to_inference_form(self.network, bfloat16=precision == "fast")

    def prepare(self, gates: Sequence[str] = ()) -> None:
        """Nothing to do: the first window is as fast as the others, unless ``torch.compile`` was asked for."""

    def predict(self, windows: torch.Tensor, gates: Sequence[str] = ()) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """See :meth:`Backend.predict`; the results stay on the device.

        Raises:
            ModelError: the network lacks a gate that was named.
            DeviceError: ``torch.compile`` was asked for and fails.
            MemoryExhausted: the device has too little memory.
        """
        gates = tuple(gates)
        with memory_guard(self.device), torch.inference_mode(), self._autocast(), true_float32(self.precision):
            windows = windows.to(self.device)
            form = self._form(gates)
            # Window by window on a CPU: see the class.
            pieces = windows.split(1) if self.device.type == "cpu" else (windows,)
            outputs = [self._run(form, piece) for piece in pieces]
            logits, *maps = (torch.cat(parts) if len(parts) > 1 else parts[0] for parts in zip(*outputs, strict=True))
        return logits, dict(zip(gates, maps, strict=True))

    def _form(self, gates: tuple[str, ...]) -> torch.nn.Module:
        if gates not in self._forms:
            check_gates(gates, getattr(self.network, "gate_names", ()))
            form = WithMaps(self.network, gates)
            self._forms[gates] = torch.compile(form) if self._compiles else form
        return self._forms[gates]

    def _run(self, form: torch.nn.Module, windows: torch.Tensor) -> tuple[torch.Tensor, ...]:
        if not self._compiles:
            return form(windows)
        from torch._dynamo.exc import TorchDynamoException

        try:
            return form(windows)
        except TorchDynamoException as error:
            first_line = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
            raise DeviceError(
                f"PyTorch cannot compile the network on this machine: {first_line}.",
                f"Remove {COMPILE_VARIABLE} from the environment.",
            ) from error

    def _autocast(self) -> contextlib.AbstractContextManager:
        if self.precision == "exact":
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)


def check_gates(wanted: Sequence[str], available: Sequence[str] | Mapping[str, object]) -> None:
    """See that a network has the gates whose maps are wanted.

    Raises:
        ModelError: it lacks one; the remedy names those it has.
    """
    missing = [gate for gate in wanted if gate not in available]
    if missing:
        has = f"Its gates: {', '.join(sorted(available))}." if available else "It has none; leave the maps out."
        raise ModelError(f"The network has no gate named {missing[0]!r}.", has)

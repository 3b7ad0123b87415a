"""What runs a network: the device, the precision, and the engine behind them.

The inferer and the segmenter only know :class:`Backend`; another engine (OpenVINO, for example) is another class with
the same method. Every choice comes with a sentence that says why, because the user sees it beside the result.
"""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Iterator, Sequence
from typing import Protocol

import torch

from agunetr.errors import DeviceError, MemoryExhausted, ModelError

PRECISIONS = ("auto", "exact", "fast")

_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "cannot allocate memory",
    "failed to allocate")


class Backend(Protocol):
    """One network, ready to predict windows."""

    def predict(
        self, windows: torch.Tensor, gates: Sequence[str] = ()
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """(B, 1, R, A, S) float32 windows to logits (B, C, R, A, S) and the maps (B, 1, R, A, S) of the gates named.

        Raises:
            MemoryExhausted: the device has too little memory.
        """
        ...


class TorchBackend:
    """A network run by PyTorch.

    Args:
        network: a loaded network; it is moved to the device and put into evaluation mode.
        device: where it runs.
        precision: ``"exact"`` (float32) or ``"fast"`` (bfloat16 autocast), as :func:`choose_precision` gives it.

    Raises:
        ValueError: another precision.
        MemoryExhausted: the device cannot hold the network.
    """

    def __init__(self, network: torch.nn.Module, device: torch.device | str = "cpu", precision: str = "exact") -> None:
        if precision not in ("exact", "fast"):
            raise ValueError(f"precision must be 'exact' or 'fast', not {precision!r}.")
        self.device = torch.device(device)
        self.precision = precision
        with memory_guard(self.device):
            self.network = network.to(self.device).eval()

    def predict(
        self, windows: torch.Tensor, gates: Sequence[str] = ()
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """See :meth:`Backend.predict`; the results stay on the device."""
        with memory_guard(self.device), torch.inference_mode(), self._autocast(), _true_float32(self.precision):
            windows = windows.to(self.device)
            if not gates:
                return self.network(windows), {}
            with self.network.recording_gates():
                logits = self.network(windows)
                maps = self.network.gate_maps()
        missing = [gate for gate in gates if gate not in maps]
        if missing:
            raise ModelError(f"The network has no gate named {missing[0]!r}.", _name_them("Its gates", maps))
        return logits, {gate: maps[gate] for gate in gates}

    def _autocast(self) -> contextlib.AbstractContextManager:
        if self.precision == "exact":
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)


def choose_device(wanted: str = "auto") -> tuple[torch.device, str]:
    """The device to run on, and why.

    Args:
        wanted: ``"auto"`` (the first that works of CUDA, Apple's MPS, CPU), ``"cpu"``, ``"cuda"``, ``"cuda:N"``
            or ``"mps"``.

    Returns:
        The device and one sentence.

    Raises:
        DeviceError: the device named is absent or cannot run a convolution.
    """
    if wanted == "cpu":
        return torch.device("cpu"), "The CPU was asked for."
    if wanted == "auto":
        return _best_device()
    kind, _, number = wanted.partition(":")
    if kind not in ("cuda", "mps") or (number and (kind == "mps" or not number.isdigit())):
        raise DeviceError(f"There is no device called '{wanted}'.", "Choose auto, cpu, cuda, cuda:N or mps.")
    if kind == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if count == 0:
            raise DeviceError(_no_cuda(), "Choose the device auto or cpu, or install a CUDA build of PyTorch.")
        if number and int(number) >= count:
            raise DeviceError(f"There is no GPU number {number} here.", f"Choose a number from 0 to {count - 1}.")
    elif not torch.backends.mps.is_available():
        raise DeviceError("This machine or this build of PyTorch has no MPS device.", "Choose the device auto or cpu.")
    device = torch.device(wanted)
    fault = _fault_of(device)
    if fault:
        raise DeviceError(f"{_title(device)} cannot run the network: {fault}.", "Choose the device auto or cpu.")
    return device, f"{_title(device)} was asked for."


def choose_precision(wanted: str, device: torch.device) -> tuple[str, str]:
    """``"exact"`` (float32) or ``"fast"`` (bfloat16), and why.

    ``"auto"`` takes fast only where the hardware computes in bfloat16: elsewhere it is emulated, slower than exact.

    Raises:
        DeviceError: another word, or fast on a device that cannot do it.
    """
    if wanted not in PRECISIONS:
        raise DeviceError(f"There is no precision called '{wanted}'.", f"Choose one of {', '.join(PRECISIONS)}.")
    if wanted == "exact":
        return "exact", "Exact (float32) was asked for."
    has_bfloat16 = _has_bfloat16(device)
    if wanted == "fast":
        if device.type == "mps":
            raise DeviceError("The precision 'fast' is not available on MPS.", "Choose the precision auto or exact.")
        slow = "" if has_bfloat16 else "; this hardware has no bfloat16 arithmetic, so it may be slower than exact"
        return "fast", f"Fast (bfloat16) was asked for{slow}."
    if has_bfloat16:
        return "fast", f"{_title(device)} computes in bfloat16, so fast was taken."
    return "exact", f"{_title(device)} has no bfloat16 arithmetic, so exact (float32) was taken."


@contextlib.contextmanager
def memory_guard(device: torch.device) -> Iterator[None]:
    """Turn a lack of memory into :class:`MemoryExhausted` with a remedy; anything else passes unchanged."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError | torch.OutOfMemoryError) and not any(
            sign in str(error).lower() for sign in _OUT_OF_MEMORY
        ):
            raise
        if device.type == "cuda":
            torch.cuda.empty_cache()
        if device.type == "cpu":
            message, remedy = "The memory of this machine does not suffice.", "Close other programs"
        else:
            message, remedy = f"{_title(device)} ran out of memory.", "Choose the device cpu"
        remedy += ", set the window batch to 1, choose a compact model, or crop the scan to the abdomen."
        raise MemoryExhausted(message, remedy) from error


@contextlib.contextmanager
def _true_float32(precision: str) -> Iterator[None]:
    """PyTorch lets NVIDIA's convolutions round float32 to 10 bits (TF32) by default; exact means exact."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = before and precision != "exact"
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def _best_device() -> tuple[torch.device, str]:
    if torch.cuda.is_available():
        device = torch.device("cuda")
    elif torch.backends.mps.is_available():
        device = torch.device("mps")
    else:
        return torch.device("cpu"), f"{_no_cuda().rstrip('.')}, so the CPU was taken."
    fault = _fault_of(device)
    if fault:
        return torch.device("cpu"), f"{_title(device)} cannot run the network ({fault}), so the CPU was taken."
    return device, f"{_title(device)} was found."


def _fault_of(device: torch.device) -> str:
    """Why the device cannot do what the networks need, or nothing.

    A GPU may be listed and still fail, for example when this build of PyTorch has no kernels for it; only trying tells.
    """
    try:
        with torch.inference_mode():
            image = torch.zeros((1, 1, 4, 4, 4), device=device)
            kernel = torch.ones((1, 1, 2, 2, 2), device=device)
            raised = torch.nn.functional.conv_transpose3d(torch.nn.functional.conv3d(image, kernel), kernel)
            float(torch.nn.functional.instance_norm(raised).sum())
    except Exception as error:  # whatever it is: a device that fails in its own way fails too
        return str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
    return ""


def _has_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        features = torch.cpu.get_capabilities()
        return bool(features.get("avx512_bf16") or features.get("amx_bf16"))
    return False


def _title(device: torch.device) -> str:
    if device.type == "cuda":
        return f"The GPU {torch.cuda.get_device_name(device)}"
    if device.type == "mps":
        return "Apple's GPU (MPS)"
    return f"The CPU ({platform.machine()})" if platform.machine() else "The CPU"


def _no_cuda() -> str:
    if torch.version.cuda is None and torch.version.hip is None:
        return "This build of PyTorch runs on the CPU only."
    return "PyTorch finds no CUDA GPU on this machine."


def _name_them(what: str, names: object) -> str:
    listed = ", ".join(sorted(names))
    return f"{what}: {listed}." if listed else "It has none; leave the attention maps out."

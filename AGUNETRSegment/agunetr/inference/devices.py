"""Where networks run: the device, why that one, and what its lack of memory means to a user."""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Iterator

import torch

from agunetr.errors import DeviceError, MemoryExhausted

_OUT_OF_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "cannot allocate memory",
    "failed to allocate",
    "bad_alloc",
    "alloc_failed",  # CUBLAS_STATUS_ALLOC_FAILED, CUDNN_STATUS_ALLOC_FAILED
)


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
        raise DeviceError(f"{device_title(device)} cannot run the network: {fault}.", "Choose the device auto or cpu.")
    return device, f"{device_title(device)} was asked for."


@contextlib.contextmanager
def memory_guard(device: torch.device) -> Iterator[None]:
    """Turn a lack of memory into :class:`MemoryExhausted` with a remedy; anything else passes unchanged."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not says_out_of_memory(error):
            raise
        if device.type == "cuda":
            torch.cuda.empty_cache()
        if device.type == "cpu":
            message, remedy = "The memory of this machine does not suffice.", "Close other programs"
        else:
            message, remedy = f"{device_title(device)} ran out of memory.", "Choose the device cpu"
        remedy += ", set the window batch to 1, choose a compact model, or crop the scan to the abdomen."
        raise MemoryExhausted(message, remedy) from error


def says_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out; libraries say it in words only."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return any(sign in str(error).lower() for sign in _OUT_OF_MEMORY)


def device_title(device: torch.device) -> str:
    """The device as the subject of a sentence."""
    if device.type == "cuda":
        return f"The GPU {torch.cuda.get_device_name(device)}"
    if device.type == "mps":
        return "Apple's GPU (MPS)"
    return f"The CPU ({platform.machine()})" if platform.machine() else "The CPU"


def _best_device() -> tuple[torch.device, str]:
    if torch.cuda.is_available():
        device = torch.device("cuda")
    elif torch.backends.mps.is_available():
        device = torch.device("mps")
    else:
        return torch.device("cpu"), f"{_no_cuda().rstrip('.')}, so the CPU was taken."
    fault = _fault_of(device)
    if fault:
        return torch.device("cpu"), f"{device_title(device)} cannot run the network ({fault}), so the CPU was taken."
    return device, f"{device_title(device)} was found."


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


def _no_cuda() -> str:
    if torch.version.cuda is None and torch.version.hip is None:
        return "This build of PyTorch runs on the CPU only."
    return "PyTorch finds no CUDA GPU on this machine."

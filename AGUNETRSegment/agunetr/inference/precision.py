"""How exactly networks compute: float32 or bfloat16, and why."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from agunetr.errors import DeviceError
from agunetr.inference.devices import device_title

PRECISIONS = ("auto", "exact", "fast")


def choose_precision(wanted: str, device: torch.device, engine: str = "torch") -> tuple[str, str]:
    """``"exact"`` (float32) or ``"fast"`` (bfloat16), and why.

    ``"auto"`` takes fast only where the hardware computes in bfloat16: elsewhere it is emulated, slower than exact.

    Args:
        wanted: ``"auto"``, ``"exact"`` or ``"fast"``.
        device: where the network runs.
        engine: what runs it, ``"torch"`` or ``"openvino"``; OpenVINO does not emulate bfloat16.

    Raises:
        DeviceError: another word, or fast on a device that cannot do it.
    """
    if wanted not in PRECISIONS:
        raise DeviceError(f"There is no precision called '{wanted}'.", f"Choose one of {', '.join(PRECISIONS)}.")
    if wanted == "exact":
        return "exact", "Exact (float32) was asked for."
    has_bfloat16 = computes_in_bfloat16(device)
    if wanted == "fast":
        if device.type == "mps":
            raise DeviceError("The precision 'fast' is not available on MPS.", "Choose the precision auto or exact.")
        if not has_bfloat16 and engine == "openvino":
            lack = f"{device_title(device)} has no bfloat16 arithmetic and OpenVINO does not emulate it"
            return "exact", f"Fast (bfloat16) was asked for, but {lack}, so exact (float32) was taken."
        slow = "" if has_bfloat16 else "; this hardware has no bfloat16 arithmetic, so it may be slower than exact"
        return "fast", f"Fast (bfloat16) was asked for{slow}."
    if has_bfloat16:
        return "fast", f"{device_title(device)} computes in bfloat16, so fast was taken."
    return "exact", f"{device_title(device)} has no bfloat16 arithmetic, so exact (float32) was taken."


def computes_in_bfloat16(device: torch.device) -> bool:
    """Whether the hardware itself multiplies bfloat16 numbers."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        features = torch.cpu.get_capabilities()
        return bool(features.get("avx512_bf16") or features.get("amx_bf16"))
    return False


@contextlib.contextmanager
def true_float32(precision: str) -> Iterator[None]:
    """PyTorch lets NVIDIA's convolutions round float32 to 10 bits (TF32) by default; exact means exact."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = before and precision != "exact"
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before

"""The precision of the forward and backward pass; weights and optimiser stay float32."""

from __future__ import annotations

import torch

from agunetr.errors import DeviceError
from agunetr.inference.devices import device_title
from agunetr.inference.precision import computes_in_bfloat16


def choose_precision(wanted: str, device: torch.device | str) -> tuple[torch.dtype | None, str]:
    """The type that autocast takes, and why; None is float32 throughout.

    Args:
        wanted: ``float32``, ``bfloat16``, ``float16`` or ``auto``, which takes bfloat16 where the hardware computes in
            it and never float16, whose narrow range needs loss scaling and may still skip steps.
        device: where the training runs.

    Raises:
        DeviceError: the device cannot train in that precision.
    """
    device = torch.device(device)
    title = device_title(device)
    if wanted == "float32":
        return None, "float32 was asked for."
    if wanted == "float16":
        if device.type != "cuda":
            raise DeviceError(
                f"Training in float16 needs a GPU with CUDA; {title} is none.", "Set precision to auto or float32."
            )
        return torch.float16, "float16 with loss scaling was asked for."
    if wanted == "auto":
        if computes_in_bfloat16(device):
            return torch.bfloat16, f"{title} computes in bfloat16, so bfloat16 was taken."
        return None, f"{title} has no bfloat16 arithmetic, so float32 was taken."
    if device.type == "mps":
        raise DeviceError("Training in bfloat16 is not available on MPS.", "Set precision to auto or float32.")
    slow = "" if computes_in_bfloat16(device) else "; this hardware emulates it, so it may be slower than float32"
    return torch.bfloat16, f"bfloat16 was asked for{slow}."


def needs_scaler(dtype: torch.dtype | None) -> bool:
    """Whether gradients would vanish in that type without loss scaling."""
    return dtype is torch.float16

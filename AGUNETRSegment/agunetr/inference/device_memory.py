"""How much memory a device has left, and how many windows fit into it.

What one window takes is measured on the first one and never guessed: it depends on the network, the precision, the gate
maps, and the algorithms that the GPU's libraries choose.
"""

from __future__ import annotations

import traceback
from typing import Protocol

import torch

from agunetr.errors import MemoryExhausted

MOST_WINDOWS = 8
"""More at once are not taken however much memory there is: a cancel is only heard between batches."""

USABLE_SHARE = 0.8
"""Of the free memory: the allocator cannot use every gap, and other programs use the GPU too."""


class DeviceMemory(Protocol):
    """The memory of one device."""

    def start(self) -> None:
        """Begin to measure."""
        ...

    def peak_bytes(self) -> int:
        """The most that was taken at any one time since :meth:`start`, beyond what was held then."""
        ...

    def free_bytes(self) -> int:
        """What can still be taken."""
        ...


class CudaMemory:
    """The memory of an NVIDIA (or ROCm) GPU, as PyTorch's allocator counts it."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._held = 0

    def start(self) -> None:
        """See :meth:`DeviceMemory.start`."""
        torch.cuda.reset_peak_memory_stats(self._device)
        self._held = torch.cuda.memory_allocated(self._device)

    def peak_bytes(self) -> int:
        """See :meth:`DeviceMemory.peak_bytes`; needs no wait, as PyTorch takes memory when work is queued."""
        return torch.cuda.max_memory_allocated(self._device) - self._held

    def free_bytes(self) -> int:
        """See :meth:`DeviceMemory.free_bytes`; what PyTorch keeps for later use counts as free."""
        free, _ = torch.cuda.mem_get_info(self._device)
        return free + torch.cuda.memory_reserved(self._device) - torch.cuda.memory_allocated(self._device)


def memory_of(device: torch.device) -> DeviceMemory | None:
    """The memory of a device, or None where a window's share of it cannot be measured (CPU, MPS)."""
    return CudaMemory(device) if device.type == "cuda" else None


def windows_that_fit(free_bytes: int, window_bytes: int, most: int = MOST_WINDOWS) -> int:
    """How many windows to compute at once: at least 1, at most ``most``.

    Args:
        free_bytes: memory left beside the network and the sums.
        window_bytes: what one window takes.
        most: never more than this.
    """
    return max(1, min(most, int(free_bytes * USABLE_SHARE) // max(window_bytes, 1)))


def without_frames(error: MemoryExhausted) -> MemoryExhausted:
    """The same error, no longer holding on to what the failed functions had in their variables.

    A traceback keeps every tensor of the call that ran out of memory; the next try would find no more room than the
    first.
    """
    cause: BaseException | None = error
    while cause is not None:
        traceback.clear_frames(cause.__traceback__)
        cause = cause.__cause__ or cause.__context__
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def give_back_unused(device: torch.device) -> None:
    """Hand the memory that PyTorch keeps for later use back to the device."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()

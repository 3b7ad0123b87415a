"""How much memory a piece of work takes at most."""

from __future__ import annotations

import threading
from types import TracebackType

import psutil
import torch

INTERVAL_S = 0.02


class PeakMemory:
    """Watches this process while the context is open.

    The system's own high-water mark counts from the start of the process and would report the training that came
    before; so the memory is looked at every 20 ms.

    Args:
        device: a GPU whose memory is watched too, or the CPU.

    Attributes:
        resident_bytes: the most memory of the machine that the process held.
        device_bytes: the most memory of the GPU that tensors took; None on a CPU and where it cannot be told.
    """

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self._device = torch.device(device)
        self._process = psutil.Process()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.resident_bytes = 0
        self.device_bytes: int | None = None

    def __enter__(self) -> PeakMemory:
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
        self._look()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        self._look()
        if self._device.type == "cuda":
            self.device_bytes = torch.cuda.max_memory_allocated(self._device)

    def _watch(self) -> None:
        while not self._over.wait(INTERVAL_S):
            self._look()

    def _look(self) -> None:
        self.resident_bytes = max(self.resident_bytes, self._process.memory_info().rss)

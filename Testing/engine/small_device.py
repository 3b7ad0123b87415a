"""A device with as little memory as a test wants, played on the CPU.

Windows that are predicted and sums that are kept on it are counted against its memory; what does not fit raises the
error that a GPU's memory guard raises.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from agunetr.errors import MemoryExhausted
from agunetr.inference import inferer as inferer_module
from agunetr.inference.blending import Blend
from agunetr.inference.window_feed import WindowFeed

GPU = torch.device("cuda:0")
CPU = torch.device("cpu")


class SmallDevice:
    """The device, and its memory as :class:`agunetr.inference.device_memory.DeviceMemory` sees it.

    Args:
        budget: bytes it has; a test may change it while windows run.
        window_bytes: what the network takes for each window.

    Attributes:
        batches: how many windows each call of a predictor was given, failed calls included.
        failed: how many of these calls found too little memory.
        held: bytes of the sums.
    """

    def __init__(self, budget: int, window_bytes: int) -> None:
        self.budget, self.window_bytes = budget, window_bytes
        self.batches: list[int] = []
        self.failed = 0
        self.held = 0
        self._peak = 0

    def install(self, monkeypatch: Any) -> SmallDevice:
        """Let the inferer keep its windows and sums here wherever the device is :data:`GPU`."""
        monkeypatch.setattr(inferer_module, "WindowFeed", lambda *args: _Feed(*args))
        monkeypatch.setattr(inferer_module, "Blend", lambda *args: _Sums(self, *args))
        monkeypatch.setattr(inferer_module, "memory_of", lambda device: self if device == GPU else None)
        return self

    def predictor(self, network: Callable[[torch.Tensor], Any]) -> Callable[[torch.Tensor], Any]:
        """``network``, for which every window takes memory while it is computed."""

        def predict(windows: torch.Tensor) -> Any:
            self.batches.append(len(windows))
            try:
                self.check(len(windows) * self.window_bytes)
            except MemoryExhausted:
                self.failed += 1
                raise
            self._peak = max(self._peak, len(windows) * self.window_bytes)
            return network(windows)

        return predict

    def check(self, more: int) -> None:
        """Raise what the memory guard raises where ``more`` bytes do not fit."""
        if self.held + more > self.budget:
            raise MemoryExhausted("The GPU ran out of memory.", "Choose the device cpu.")

    def start(self) -> None:
        self._peak = 0

    def peak_bytes(self) -> int:
        return self._peak

    def free_bytes(self) -> int:
        return self.budget - self.held


class _Feed(WindowFeed):
    def __init__(self, image: torch.Tensor, window: Any, margins: Any, device: torch.device) -> None:
        super().__init__(image, window, margins, CPU)
        self._claimed = device

    @property
    def device(self) -> torch.device:
        return self._claimed


class _Sums(Blend):
    def __init__(
        self, small: SmallDevice, shape: Any, window: Any, weights: Any, corners: Sequence[Any], device: torch.device
    ) -> None:
        self._small, self._claimed, self._bytes = small, device, 0
        super().__init__(shape, window, weights, corners, CPU)

    @property
    def device(self) -> torch.device:
        return self._claimed

    def move_to(self, device: torch.device) -> None:
        self._small.held -= self._bytes
        self._claimed, self._bytes = device, 0

    def _zeros(self, shape: Sequence[int], dtype: torch.dtype = torch.float32) -> torch.Tensor:
        zeros = torch.zeros(shape, dtype=dtype)
        if self._claimed.type != "cpu":
            self._small.check(zeros.nbytes)
            self._small.held += zeros.nbytes
            self._bytes += zeros.nbytes
        return zeros

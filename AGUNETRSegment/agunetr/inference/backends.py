"""What runs a network: the device, the precision, and the engine behind them.

The inferer and the segmenter only know :class:`Backend`; each engine is a class with the same methods
(:class:`TorchBackend`, :class:`agunetr.inference.openvino_backend.OpenVinoBackend`). Every choice comes with a sentence
that says why, because the user sees it beside the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch

from agunetr.inference.devices import choose_device, memory_guard
from agunetr.inference.precision import PRECISIONS, choose_precision
from agunetr.inference.torch_backend import TorchBackend

__all__ = ["PRECISIONS", "Backend", "TorchBackend", "choose_device", "choose_precision", "memory_guard"]


class Backend(Protocol):
    """One network, ready to predict windows."""

    def prepare(self, gates: Sequence[str] = ()) -> None:
        """Do now what the first window would otherwise wait for, for predictions with or without gate maps."""
        ...

    def predict(self, windows: torch.Tensor, gates: Sequence[str] = ()) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """(B, 1, R, A, S) float32 windows to logits (B, C, R, A, S) and the maps (B, 1, R, A, S) of the gates named.

        Raises:
            MemoryExhausted: the device has too little memory.
        """
        ...

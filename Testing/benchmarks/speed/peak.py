"""The limit of this machine: the fastest matrix product and 3D convolution that PyTorch's libraries give here."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as functional

MATRIX = 2048
CONVOLUTIONS = ((64, 64, 32), (32, 32, 48), (16, 16, 96), (128, 128, 24))
"""Channels in, channels out, edge of the cube; kernels of 3x3x3, channels last."""
TYPES = {"exact": torch.float32, "fast": torch.bfloat16}


class PeakTask:
    """GFLOP/s of the best kernel of one kind of arithmetic; measured in turns with what is held against it.

    Args:
        precision: ``exact`` (float32) or ``fast`` (bfloat16).
        small: tiny sizes, for the smoke form.
    """

    def __init__(self, precision: str, small: bool = False) -> None:
        self._type = TYPES[precision]
        shrink = 16 if small else 1
        self._kernels: dict[str, tuple[float, Callable[[], torch.Tensor]]] = {}
        edge = MATRIX // shrink
        first, second = (torch.rand(edge, edge).to(self._type) for _ in range(2))
        self._kernels["matrix product"] = (2.0 * edge**3, lambda: first @ second)
        for channels, out_channels, size in CONVOLUTIONS:
            size = max(size // shrink, 4)
            work = 2.0 * 27 * channels * out_channels * size**3
            name = f"convolution {channels}->{out_channels} of {size}^3"
            self._kernels[name] = (work, _convolution(channels, out_channels, size, self._type))
        self.run()

    @torch.inference_mode()
    def run(self) -> dict[str, float]:
        """GFLOP/s of each kernel, the best of three calls."""
        rates = {}
        for name, (work, kernel) in self._kernels.items():
            best = float("inf")
            for _ in range(3):
                started = time.perf_counter()
                kernel()
                best = min(best, time.perf_counter() - started)
            rates[name] = work / best / 1e9
        return rates

    def facts(self, value: dict[str, float]) -> dict[str, Any]:
        """The rates and the best of them."""
        return {"gflops": max(value.values()), "kernels": {name: round(rate, 1) for name, rate in value.items()}}


def _convolution(channels: int, out_channels: int, size: int, kind: torch.dtype) -> Callable[[], torch.Tensor]:
    layout = torch.channels_last_3d
    image = torch.rand(1, channels, size, size, size).to(kind).contiguous(memory_format=layout)
    weight = torch.rand(out_channels, channels, 3, 3, 3).to(kind).contiguous(memory_format=layout)
    return lambda: functional.conv3d(image, weight, padding=1)


def window_gflop(network: torch.nn.Module, window: tuple[int, int, int]) -> float:
    """Billions of floating-point operations of one window, counted by PyTorch on the plain network."""
    from torch.utils.flop_counter import FlopCounterMode

    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 1, *window))
    return counter.get_total_flops() / 1e9

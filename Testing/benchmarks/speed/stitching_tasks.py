"""Putting windows together: the network is replaced by answers that are there already."""

from __future__ import annotations

import time
from typing import Any

import torch

from agunetr.inference.inferer import WindowInferer
from speed.tasks import keep_mask

OVERLAP = 0.5
ANSWERS = 5


class _Answers:
    """Logits (1, 2, R, A, S) that come round again and again; the same ones in the same order in both pipelines.

    Each is a copy, since MONAI weights what it gets in place. The copying is no part of the stitching: its seconds are
    kept, to be taken off.
    """

    def __init__(self, window: list[int], seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self._logits = [torch.randn((1, 2, *window), generator=generator) for _ in range(ANSWERS)]
        self.begin()

    def begin(self) -> None:
        """Count from 0 again."""
        self.calls, self.seconds = 0, 0.0

    def __call__(self, _windows: torch.Tensor) -> torch.Tensor:
        started = time.perf_counter()
        answer = self._logits[self.calls % ANSWERS].clone()
        self.calls += 1
        self.seconds += time.perf_counter() - started
        return answer


class _Stitching:
    """What both have in common.

    Args:
        shape: voxels of the image along (R, A, S).
        window: voxels of the window.
        seed: of the answers.
        mask_file: where the mask goes.
    """

    def __init__(self, shape: list[int], window: list[int], seed: int, mask_file: str | None = None) -> None:
        self._answers, self._mask_file, self._window = _Answers(window, seed), mask_file, tuple(window)
        self._image = torch.full((1, 1, *shape), 0.5)

    def facts(self, value: torch.Tensor) -> dict[str, Any]:
        """How many windows were put together, and the seconds that giving the answers took."""
        keep_mask(value.numpy(), self._mask_file)
        return {"windows": self._answers.calls, "answering_s": self._answers.seconds}


class OurStitching(_Stitching):
    """Our inferer: one accumulator of the logit difference."""

    def run(self) -> torch.Tensor:
        """The mask (R, A, S), 0.0 and 1.0, in the place of the logits: nobody needs those any longer."""
        self._answers.begin()
        return WindowInferer(self._window, OVERLAP).infer(self._answers, self._image).logit_difference.gt_(0)


class MonaiStitching(_Stitching):
    """``sliding_window_inference`` and argmax."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        from monai.inferers import sliding_window_inference  # here, so that our process does not hold MONAI as well

        super().__init__(*arguments, **named)
        self._infer = sliding_window_inference

    @torch.no_grad()
    def run(self) -> torch.Tensor:
        """The mask (R, A, S), 0 and 1."""
        self._answers.begin()
        logits = self._infer(self._image, self._window, 1, self._answers, overlap=OVERLAP, mode="gaussian")
        return logits.argmax(dim=1)[0]

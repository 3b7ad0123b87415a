"""Sliding-window inference that blends as it goes.

The networks give two channels, and the softmax of two logits depends on their difference alone: one accumulator of the
weighted difference replaces MONAI's two channels and its argmax, and gives the same mask. Memory is one float32 volume,
one more for each gate map, and one row of windows, however many windows there are (:mod:`agunetr.inference.blending`).

On a GPU the accumulators lie there too, the next windows travel while the network works, and as many windows are
computed at once as fit (:mod:`agunetr.inference.window_run`). Where the memory does not suffice,
:mod:`agunetr.inference.memory_ladder` says what is given up.

Equal to ``monai.inferers.sliding_window_inference(..., mode="gaussian")`` within float32 rounding (a test holds it to
1e-5).
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from agunetr.errors import Cancelled, Notice
from agunetr.inference.blending import Blend
from agunetr.inference.device_memory import DeviceMemory, memory_of
from agunetr.inference.memory_ladder import MemoryLadder
from agunetr.inference.window_feed import WindowFeed
from agunetr.inference.window_run import Predictor, WindowRun
from agunetr.inference.windows import Shape, gaussian_weights, lattice, padding

Progress = Callable[[str, int, int], None]
"""``progress(stage, done, total)``."""

CancelQuery = Callable[[], bool]
"""Asked between windows; True means that the user no longer wants the result."""


@dataclass(frozen=True)
class BlendedOutput:
    """What the windows say together, on the grid of the image.

    Attributes:
        logits: (K, R, A, S) float32 on the CPU. For C channels K = C - 1: each channel's logit less the
            background's (channel 0); a network with a single channel keeps it, K = 1.
        gate_maps: one (R, A, S) float32 map in [0, 1] for each gate asked for.
        windows: how many windows the network saw.
        skipped: how many windows of pure air were not shown to it.
        batch: how many windows were computed at once in the end.
    """

    logits: torch.Tensor
    gate_maps: dict[str, torch.Tensor]
    windows: int
    skipped: int = 0
    batch: int = 1

    @property
    def logit_difference(self) -> torch.Tensor:
        """(R, A, S): foreground less background of a two-class network; positive means foreground.

        Raises:
            ValueError: the network has more than two classes.
        """
        if self.logits.shape[0] != 1:
            raise ValueError(f"logit_difference needs two classes, the network gave {self.logits.shape[0] + 1}.")
        return self.logits[0]


class WindowInferer:
    """Covers an image with windows, predicts each, and blends the answers with Gaussian weights.

    Args:
        window: voxels of the network's window along (R, A, S).
        overlap: share of a window that neighbours have in common, 0 <= overlap < 1.
        batch: windows predicted at once, fewer where memory runs out. None: as many as the device's free memory
            allows, after the first window has shown what one takes; 1 where that cannot be measured.
        skip_air: do not show windows that hold nothing but 0 to the network; they count as background. Off by
            default, because a network is free to answer such a window as it likes and this does not ask it.
        device: where the windows are brought to; where the image lies if None.
        stitch_on: where the sums are kept; ``device`` if None.
        memory: measures the device; the device's own if None. Only asked where ``batch`` is None.

    Raises:
        ValueError: naming the argument that is out of range.
    """

    def __init__(
        self,
        window: Sequence[int],
        overlap: float = 0.5,
        batch: int | None = 1,
        skip_air: bool = False,
        device: torch.device | str | None = None,
        stitch_on: torch.device | str | None = None,
        memory: DeviceMemory | None = None,
    ) -> None:
        if not 0 <= overlap < 1:
            raise ValueError(f"overlap must be at least 0 and less than 1, not {overlap}.")
        if batch is not None and batch < 1:
            raise ValueError(f"batch must be at least 1, not {batch}.")
        self.overlap = float(overlap)
        self.batch = None if batch is None else int(batch)
        self.skip_air = bool(skip_air)
        self.device = None if device is None else torch.device(device)
        self.stitch_on = None if stitch_on is None else torch.device(stitch_on)
        self._memory = memory
        self._weights = torch.from_numpy(gaussian_weights(window))
        self.window: Shape = (int(window[0]), int(window[1]), int(window[2]))

    @torch.no_grad()
    def infer(
        self,
        predict: Predictor,
        image: torch.Tensor,
        gates: Sequence[str] = (),
        progress: Progress | None = None,
        cancelled: CancelQuery | None = None,
        corners: Sequence[Shape] | None = None,
        tell: Callable[[Notice], None] | None = None,
        make_room: Callable[[], bool] | None = None,
    ) -> BlendedOutput:
        """Segment one image; no gradients are kept.

        Args:
            predict: called with (B, 1, R, A, S) windows on the inferer's device; a network will do.
            image: (1, 1, R, A, S) float; smaller than the window it is thought to be 0 all around.
            gates: names of the gate maps to blend as well; ``predict`` must return them beside the logits.
            progress: told ("windows", done, total) before the first window and after every batch; on a GPU, which
                works on its own, one batch early.
            cancelled: asked before every batch.
            corners: first voxels, in the padded image, of the only windows to run; None runs the whole lattice. A
                voxel that none of them holds is background, with gate maps of 0.
            tell: told at once what is given up for want of memory, step by step.
            make_room: see :class:`agunetr.inference.memory_ladder.MemoryLadder`.

        Raises:
            ValueError: the image or the prediction has another shape, a gate map is missing, or a window does not lie
                in the image.
            ModelError: the prediction holds values that are not finite.
            MemoryExhausted: one window at a time and sums in the machine's memory are still too much.
            Cancelled: ``cancelled`` said so.
        """
        if image.ndim != 5 or image.shape[:2] != (1, 1):
            raise ValueError(f"image must have the shape (1, 1, R, A, S), not {tuple(image.shape)}.")
        device = self.device or image.device
        shape = tuple(image.shape[2:])
        margins = padding(shape, self.window)
        padded = tuple(size + before + after for size, (before, after) in zip(shape, margins, strict=True))
        if corners is None:
            corners = list(itertools.product(*lattice(shape, self.window, self.overlap)))
        elif outside := [corner for corner in corners if not self._lies_in(padded, corner)]:
            raise ValueError(f"corners has a window at {outside[0]}, which does not lie in an image of {padded}.")

        if progress is not None:
            progress("windows", 0, len(corners))
        feed = WindowFeed(image, self.window, margins, device)
        shown = [corner for corner in corners if feed.cut(corner).any()] if self.skip_air else corners
        ladder = MemoryLadder(device, self.batch or 1, self.stitch_on or device, tell, make_room)
        blend = Blend(padded, self.window, self._weights, corners, ladder.stitch_on)
        blend.leave_air(set(corners).difference(shown))
        memory = None if self.batch else self._memory or memory_of(device)
        run = WindowRun(predict, feed, blend, ladder, gates, memory)
        waiting = deque(shown)
        while waiting:
            if cancelled is not None and cancelled():
                raise Cancelled()
            run.step(waiting)
            if progress is not None:
                progress("windows", len(corners) - len(waiting), len(corners))
        logits, maps = run.finish()
        inside = tuple(slice(before, before + size) for (before, _), size in zip(margins, shape, strict=True))
        return BlendedOutput(
            logits=logits[(slice(None), *inside)],
            gate_maps={name: gate_map[inside] for name, gate_map in maps.items()},
            windows=len(shown),
            skipped=len(corners) - len(shown),
            batch=ladder.batch,
        )

    def _lies_in(self, padded: Sequence[int], corner: Shape) -> bool:
        return all(0 <= start <= size - edge for start, size, edge in zip(corner, padded, self.window, strict=True))

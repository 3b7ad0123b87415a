"""Sliding-window inference that blends as it goes.

The networks give two channels, and the softmax of two logits depends on their difference alone: one accumulator of the
weighted difference replaces MONAI's two channels and its argmax, and gives the same mask. The sum of the weights is the
same for every row of windows along the first axis, so one row's worth of it is kept rather than a second volume.
Memory is therefore one float32 volume, one more for each gate map, and one row of windows, however many windows there
are.

Equal to ``monai.inferers.sliding_window_inference(..., mode="gaussian")`` within float32 rounding (a test holds it to
1e-5).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as functional

from agunetr.errors import Cancelled, ModelError
from agunetr.inference.windows import Shape, gaussian_weights, lattice, padding

Progress = Callable[[str, int, int], None]
"""``progress(stage, done, total)``."""

CancelQuery = Callable[[], bool]
"""Asked between windows; True means that the user no longer wants the result."""

Prediction = torch.Tensor | tuple[torch.Tensor, Mapping[str, torch.Tensor]]
"""Logits (B, C, R, A, S), alone or with gate maps, each (B, 1, R, A, S)."""

AIR_LOGIT = -15.0
"""The logit given to a window of pure air where the user lets such windows be skipped: a probability of 3e-7."""


@dataclass(frozen=True)
class BlendedOutput:
    """What the windows say together, on the grid of the image.

    Attributes:
        logits: (K, R, A, S) float32 on the CPU. For C channels K = C - 1: each channel's logit less the
            background's (channel 0); a network with a single channel keeps it, K = 1.
        gate_maps: one (R, A, S) float32 map in [0, 1] for each gate asked for.
        windows: how many windows the network saw.
        skipped: how many windows of pure air were not shown to it.
    """

    logits: torch.Tensor
    gate_maps: dict[str, torch.Tensor]
    windows: int
    skipped: int = 0

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
        batch: windows predicted at once.
        skip_air: do not show windows that hold nothing but 0 to the network; they count as background. Off by
            default, because a network is free to answer such a window as it likes and this does not ask it.

    Raises:
        ValueError: naming the argument that is out of range.
    """

    def __init__(self, window: Sequence[int], overlap: float = 0.5, batch: int = 1, skip_air: bool = False) -> None:
        if not 0 <= overlap < 1:
            raise ValueError(f"overlap must be at least 0 and less than 1, not {overlap}.")
        if batch < 1:
            raise ValueError(f"batch must be at least 1, not {batch}.")
        self.overlap = float(overlap)
        self.batch = int(batch)
        self.skip_air = bool(skip_air)
        self._weights = torch.from_numpy(gaussian_weights(window))
        self.window: Shape = (int(window[0]), int(window[1]), int(window[2]))

    @torch.no_grad()
    def infer(
        self,
        predict: Callable[[torch.Tensor], Prediction],
        image: torch.Tensor,
        gates: Sequence[str] = (),
        progress: Progress | None = None,
        cancelled: CancelQuery | None = None,
    ) -> BlendedOutput:
        """Segment one image; no gradients are kept.

        Args:
            predict: called with (B, 1, R, A, S) windows on the image's device; a network will do.
            image: (1, 1, R, A, S) float; smaller than the window is padded with 0 on both sides.
            gates: names of the gate maps to blend as well; ``predict`` must return them beside the logits.
            progress: told ("windows", done, total) before the first window and after every batch.
            cancelled: asked before every batch.

        Raises:
            ValueError: the image or the prediction has another shape, or a gate map is missing.
            ModelError: the prediction holds values that are not finite.
            Cancelled: ``cancelled`` said so.
        """
        if image.ndim != 5 or image.shape[:2] != (1, 1):
            raise ValueError(f"image must have the shape (1, 1, R, A, S), not {tuple(image.shape)}.")
        shape = tuple(image.shape[2:])
        margins = padding(shape, self.window)
        if any(before or after for before, after in margins):
            image = functional.pad(image, [n for pair in reversed(margins) for n in pair])
        starts = lattice(shape, self.window, self.overlap)
        corners = list(itertools.product(*starts))

        blend = _Blend(tuple(image.shape[2:]), self.window, self._weights)
        done = skipped = 0
        for first in range(0, len(corners), self.batch):
            if progress is not None and first == 0:
                progress("windows", 0, len(corners))
            if cancelled is not None and cancelled():
                raise Cancelled()
            chosen = corners[first : first + self.batch]
            cut = [image[(..., *self._slices(corner))] for corner in chosen]
            seen = [not self.skip_air or bool(piece.any()) for piece in cut]
            shown = list(itertools.compress(chosen, seen))
            blend.leave_air(list(itertools.compress(chosen, (not is_seen for is_seen in seen))))
            if shown:
                pieces = list(itertools.compress(cut, seen))
                self._add(blend, shown, predict(torch.cat(pieces) if len(pieces) > 1 else pieces[0]), gates)
            skipped += len(chosen) - len(shown)
            done += len(chosen)
            if progress is not None:
                progress("windows", done, len(corners))

        inside = tuple(slice(before, before + size) for (before, _), size in zip(margins, shape, strict=True))
        logits, maps = blend.finish(starts, gates)
        return BlendedOutput(
            logits=logits[(slice(None), *inside)],
            gate_maps={name: gate_map[inside] for name, gate_map in maps.items()},
            windows=len(corners) - skipped,
            skipped=skipped,
        )

    def _slices(self, corner: Sequence[int]) -> tuple[slice, ...]:
        return tuple(slice(start, start + edge) for start, edge in zip(corner, self.window, strict=True))

    def _add(self, blend: _Blend, corners: list[Shape], prediction: Prediction, gates: Sequence[str]) -> None:
        logits, maps = (prediction, {}) if isinstance(prediction, torch.Tensor) else prediction
        expected = (len(corners), *self.window)
        if logits.ndim != 5 or (logits.shape[0], *logits.shape[2:]) != expected:
            raise ValueError(f"predict must return (B, C, R, A, S) with B, R, A, S = {expected}, not {logits.shape}.")
        logits = logits.detach().float()
        difference = logits[:, 1:] - logits[:, :1] if logits.shape[1] > 1 else logits
        # A sum is not finite where any term is not, and needs no second tensor.
        if not bool(difference.sum().isfinite()):
            raise ModelError(
                "The network gave values that are not finite numbers.",
                "Run it again with the precision 'exact'; if that does not help, the model is damaged.",
            )
        blend.add_logits(corners, difference)
        for name in gates:
            if name not in maps:
                raise ValueError(f"predict returned no map of the gate {name!r}; it has {sorted(maps)}.")
            blend.add_gate(name, corners, maps[name].detach().float())


class _Blend:
    """Running sums on the CPU: weighted logits and gate maps, divided by the sum of the weights at the end."""

    def __init__(self, shape: Shape, window: Shape, weights: torch.Tensor) -> None:
        self._shape, self._window, self._weights = shape, window, weights
        self._logits: torch.Tensor | None = None
        self._maps: dict[str, torch.Tensor] = {}
        self._air: list[Shape] = []

    def add_logits(self, corners: list[Shape], difference: torch.Tensor) -> None:
        """Add (B, K, R, A, S) logits of the windows that start at ``corners``."""
        if self._logits is None:
            self._logits = torch.zeros((difference.shape[1], *self._shape))
        self._add(self._logits, corners, difference)

    def add_gate(self, name: str, corners: list[Shape], maps: torch.Tensor) -> None:
        """Add (B, 1, R, A, S) maps of one gate."""
        if name not in self._maps:
            self._maps[name] = torch.zeros((1, *self._shape))
        self._add(self._maps[name], corners, maps)

    def leave_air(self, corners: list[Shape]) -> None:
        """Note windows that count as background; they are added at the end, when the number of classes is known."""
        self._air.extend(corners)

    def finish(
        self, starts: tuple[list[int], list[int], list[int]], gates: Sequence[str]
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The blended logits (K, R, A, S) and gate maps (R, A, S), divided in place."""
        logits = self._logits if self._logits is not None else torch.zeros((1, *self._shape))
        for corner in self._air:
            self._region(logits, corner).add_(self._weights * AIR_LOGIT)
        maps = {name: self._maps.get(name, torch.zeros((1, *self._shape))) for name in gates}
        self._divide([logits, *maps.values()], starts)
        return logits, {name: gate_map[0] for name, gate_map in maps.items()}

    def _add(self, total: torch.Tensor, corners: list[Shape], values: torch.Tensor) -> None:
        for corner, window_values in zip(corners, values.cpu(), strict=True):
            self._region(total, corner).addcmul_(window_values, self._weights)

    def _region(self, total: torch.Tensor, corner: Shape) -> torch.Tensor:
        for axis, (start, edge) in enumerate(zip(corner, self._window, strict=True), start=1):
            total = total.narrow(axis, start, edge)
        return total

    def _divide(self, totals: list[torch.Tensor], starts: tuple[list[int], list[int], list[int]]) -> None:
        rows, columns, layers = starts
        depth, width, height = self._window
        row = torch.zeros((depth, *self._shape[1:]))
        for column, layer in itertools.product(columns, layers):
            row[:, column : column + width, layer : layer + height] += self._weights
        weight = torch.empty_like(row[0])
        for plane in range(self._shape[0]):
            weight.zero_()
            for start in rows:
                if start <= plane < start + depth:
                    weight += row[plane - start]
            for total in totals:
                total[:, plane] /= weight

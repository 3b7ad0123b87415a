"""Running sums of what the windows say, divided by the sum of their weights at the end.

One weighted sum of logit differences and one of each gate map, whatever the number of windows, on the device that is
given. Only the box that the windows cover has sums. The weights have no volume of their own: on a lattice the same
plane of weights returns again and again, so each is made when it is needed and then serves all planes that have it.

The sums are float32. float16 would take half the memory; on one synthetic field it moved logits by up to 0.04 and no
voxel of the mask (bfloat16: 0.4, and 11 of 99,607 voxels). float32 fits, so it stays.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence

import torch

from agunetr.inference.windows import Shape

AIR_LOGIT = -15.0
"""The logit of a place that no network was shown (air where the user lets it be skipped): a probability of 3e-7."""

Layout = list[tuple[int, torch.Tensor]]
"""First voxels along the second axis, and the weights (..., edge, S) of the windows that begin there."""


class Blend:
    """Weighted sums of logits and gate maps.

    Args:
        shape: voxels of the grid along (R, A, S).
        window: voxels of a window.
        weights: (R, A, S) float32, how much each voxel of a window counts; all greater than 0.
        corners: first voxels of all windows that will be added or left as air.
        device: where the sums lie.
    """

    def __init__(
        self,
        shape: Sequence[int],
        window: Shape,
        weights: torch.Tensor,
        corners: Sequence[Shape],
        device: torch.device | str = "cpu",
    ) -> None:
        self._shape, self._window, self._corners = tuple(shape), window, tuple(corners)
        axes = list(zip(*corners, strict=True)) or [(0,)] * 3
        edges = window if corners else (0, 0, 0)
        self._origin = tuple(min(axis) for axis in axes)
        self._covered = tuple(max(axis) - min(axis) + edge for axis, edge in zip(axes, edges, strict=True))
        self._weights = weights.to(device)
        self._logits: torch.Tensor | None = None
        self._maps: dict[str, torch.Tensor] = {}
        self._air: list[Shape] = []
        self._divided = False

    @property
    def device(self) -> torch.device:
        """Where the sums lie."""
        return self._weights.device

    def add(self, corners: Sequence[Shape], logits: torch.Tensor, maps: Mapping[str, torch.Tensor]) -> None:
        """Add what the windows that start at ``corners`` say: either all of it, or nothing when memory runs out.

        Args:
            corners: first voxels of B windows.
            logits: (B, K, R, A, S) float32, on any device.
            maps: gate maps, each (B, 1, R, A, S) float32.
        """
        # Everything that takes memory comes before the first sum changes: a batch that failed can then be repeated.
        said = [logits.to(self._weights.device)]
        if self._logits is None:
            self._logits = self._zeros((logits.shape[1], *self._covered))
        sums = [self._logits]
        for name, values in maps.items():
            said.append(values.to(self._weights.device))
            if name not in self._maps:
                self._maps[name] = self._zeros((1, *self._covered))
            sums.append(self._maps[name])
        for total, values in zip(sums, said, strict=True):
            for corner, window_values in zip(corners, values, strict=True):
                self._window_of(total, corner).addcmul_(window_values, self._weights)

    def leave_air(self, corners: Iterable[Shape]) -> None:
        """Note windows that count as background; they are added at the end, when the number of classes is known."""
        self._air.extend(corners)

    def move_to(self, device: torch.device | str) -> None:
        """Take the sums to another device, with all that was added so far."""
        self._weights = self._weights.to(device)
        if self._logits is not None:
            self._logits = self._logits.to(device)
        for name in self._maps:
            self._maps[name] = self._maps[name].to(device)

    def finish(self, gates: Sequence[str] = ()) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The blended logits (K, R, A, S) and gate maps (R, A, S) of the whole grid, on the CPU.

        Where no window was, the logits are :data:`AIR_LOGIT` and the gate maps 0. After a lack of memory it can be
        called again, on another device for example; once it has answered, the sums are gone.
        """
        if not self._divided:
            self._divide(gates)
        # All copies come before the first sum goes: a call that ran out of memory among them can then be repeated.
        logits = self._on_grid(self._logits, AIR_LOGIT)
        maps = {name: self._on_grid(self._maps[name], 0.0)[0] for name in gates}
        self._logits, self._maps = None, {}
        return logits, maps

    def _zeros(self, shape: Sequence[int], dtype: torch.dtype = torch.float32) -> torch.Tensor:
        return torch.zeros(shape, dtype=dtype, device=self.device)

    def _window_of(self, total: torch.Tensor, corner: Shape) -> torch.Tensor:
        for axis, (start, first, edge) in enumerate(zip(corner, self._origin, self._window, strict=True), start=1):
            total = total.narrow(axis, start - first, edge)
        return total

    def _rows(self) -> dict[int, Layout]:
        """The windows by their first voxel along the first axis, in the covered box.

        For each such row of windows: for each first voxel along the second axis, the sum (edge, edge, S) of the weights
        of the windows that begin there. Windows that lie alike along the last axis, which on a lattice are all, share
        one sum.
        """
        layers: dict[tuple[int, int], list[int]] = {}
        for first, column, layer in sorted(self._corners):
            r, a, s = (n - origin for n, origin in zip((first, column, layer), self._origin, strict=True))
            layers.setdefault((r, a), []).append(s)
        sums: dict[tuple[int, ...], torch.Tensor] = {}
        rows: dict[int, Layout] = {}
        edge, width, height = self._window
        for (r, a), starts in layers.items():
            alike = tuple(starts)
            if alike not in sums:
                sums[alike] = self._zeros((edge, width, self._covered[2]))
                for start in starts:
                    sums[alike][:, :, start : start + height] += self._weights
            rows.setdefault(r, []).append((a, sums[alike]))
        return rows

    def _planes_alike(self, rows: Mapping[int, Layout]) -> Iterable[tuple[Layout, list[int]]]:
        """Which windows reach a plane and with which of their planes, and all planes where that is so."""
        names = {row: tuple((a, id(weights)) for a, weights in columns) for row, columns in rows.items()}
        found: dict[object, tuple[Layout, list[int]]] = {}
        for plane in range(self._covered[0]):
            reaching = [row for row in rows if 0 <= plane - row < self._window[0]]
            key = tuple((plane - row, names[row]) for row in reaching)
            layout = [(a, weights[plane - row]) for row in reaching for a, weights in rows[row]]
            found.setdefault(key, (layout, []))[1].append(plane)
        return found.values()

    def _divide(self, gates: Sequence[str]) -> None:
        # As in add(): all memory is taken before the first sum changes.
        rows = self._rows()
        weight = self._zeros(self._covered[1:])
        nowhere = self._zeros(self._covered[1:], torch.bool)
        air = self._weights * AIR_LOGIT
        if self._logits is None:
            self._logits = self._zeros((1, *self._covered))
        for name in gates:
            if name not in self._maps:
                self._maps[name] = self._zeros((1, *self._covered))

        for corner in self._air:
            self._window_of(self._logits, corner).add_(air)
        has_gaps = self._has_gaps()
        for layout, planes in self._planes_alike(rows):
            weight.zero_()
            for a, weights in layout:
                weight[a : a + len(weights)] += weights
            if has_gaps:
                torch.eq(weight, 0, out=nowhere)
                weight.masked_fill_(nowhere, 1.0)
            for plane in planes:
                if has_gaps:
                    self._logits[:, plane].masked_fill_(nowhere, AIR_LOGIT)
                for total in (self._logits, *self._maps.values()):
                    total[:, plane] /= weight
        self._divided = True

    def _has_gaps(self) -> bool:
        """Whether the covered box may hold voxels that lie in no window."""
        axes = [sorted(set(axis)) for axis in zip(*self._corners, strict=True)]
        if len(self._corners) < math.prod(len(axis) for axis in axes):
            return True
        return any(
            after - before > edge
            for axis, edge in zip(axes, self._window, strict=False)
            for before, after in itertools.pairwise(axis)
        )

    def _on_grid(self, total: torch.Tensor, elsewhere: float) -> torch.Tensor:
        total = total.cpu()
        if self._covered == self._shape:
            return total
        whole = torch.full((total.shape[0], *self._shape), elsewhere)
        box = tuple(slice(first, first + n) for first, n in zip(self._origin, self._covered, strict=True))
        whole[(slice(None), *box)] = total
        return whole

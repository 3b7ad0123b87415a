"""Where in a scan the windows are run: everywhere, near the organ, or near a region that the user gave.

A :class:`Search` is a choice among the windows of the one lattice that covers the whole scan. Windows are never moved,
so where all windows that count were run, the answer is the one that the whole lattice gives.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from agunetr.errors import RegionError
from agunetr.inference.body import Box
from agunetr.inference.localisation import Found
from agunetr.inference.volume import Volume
from agunetr.inference.window_choice import Cells, windows_for
from agunetr.inference.windows import Shape, lattice

DENSE, LOCALISED, REGION = "dense", "localised", "region"

MARGIN_MM = 2.0
"""Windows count that see anything within this distance of the organ. It need not hold the localiser's errors: what goes
on beyond is followed, look by look (:mod:`agunetr.inference.organ_search`)."""

REGION_CELL_MM = 8.0

RegionMm = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]
"""(least, greatest) RAS+ mm along right, anterior and superior."""


@dataclass(frozen=True)
class Search:
    """The windows that an answer rests on, and which of them are to be run now.

    Attributes:
        kind: ``dense``, ``localised`` or ``region``.
        reason: one sentence for people.
        shape: voxels of the whole model's grid along (R, A, S).
        window: voxels of the window.
        overlap: of the windows.
        windows_of_dense: how many windows the whole lattice has.
        corners: first voxels, in the padded grid, of all windows of the answer, in the lattice's order.
        fresh: those of ``corners`` that were not run in an earlier look.
        expected_ml: how large the localiser saw the organ; 0 where it was not asked.
        looks: how often windows were chosen, this time included.
    """

    kind: str
    reason: str
    shape: Shape
    window: Shape
    overlap: float
    windows_of_dense: int
    corners: tuple[Shape, ...]
    fresh: tuple[Shape, ...]
    expected_ml: float = 0.0
    looks: int = 1

    @property
    def box(self) -> Box:
        """The box of the grid that the fresh windows cover."""
        spans = []
        for axis, (size, edge) in enumerate(zip(self.shape, self.window, strict=True)):
            starts = [corner[axis] for corner in self.fresh]
            spans.append((0, size) if size < edge else (min(starts), max(starts) + edge))
        return spans[0], spans[1], spans[2]

    @property
    def corners_in_box(self) -> list[Shape]:
        """The fresh windows' first voxels in :attr:`box`, padded."""
        (r, _), (a, _), (s, _) = self.box
        return [(corner[0] - r, corner[1] - a, corner[2] - s) for corner in self.fresh]

    def followed_by(self, corners: Sequence[Shape], **changes: object) -> Search:
        """The next look, with these windows as well."""
        seen = set(self.corners)
        fresh = tuple(corner for corner in sorted(set(corners)) if corner not in seen)
        every = tuple(sorted({*self.corners, *fresh}))
        return replace(self, corners=every, fresh=fresh, looks=self.looks + 1, **changes)


def dense_search(grid: Volume, window: Shape, overlap: float, reason: str) -> Search:
    """Every window of the lattice.

    Args:
        grid: the whole model's grid; only its geometry is used.
        window, overlap: of the model.
        reason: why the whole scan is searched.
    """
    corners = tuple(itertools.product(*lattice(grid.size, window, overlap)))
    return Search(DENSE, reason, grid.size, tuple(window), overlap, len(corners), corners, corners)


def search_near(found: Found, coarse: Volume, grid: Volume, dense: Search) -> Search:
    """The windows of ``dense`` that count near what a localiser marked.

    Args:
        found: what it found, on the grid of ``coarse``.
        coarse, grid: the localiser's and the model's grid of one scan, which run parallel; only geometry is used.
        dense: the search of the whole grid.
    """
    to_grid = np.linalg.inv(grid.ijk_to_ras) @ coarse.ijk_to_ras
    edge = np.diag(to_grid)[:3]
    cells = Cells(found.marked, _three(to_grid[:3, 3] - edge / 2), _three(edge))
    corners = tuple(windows_near(cells, grid, dense))
    reason = f"The localiser found the spleen (about {found.volume_ml:.0f} ml), so only windows near it were run."
    return replace(dense, kind=LOCALISED, reason=reason, corners=corners, fresh=corners, expected_ml=found.volume_ml)


def windows_near(cells: Cells, grid: Volume, search: Search) -> list[Shape]:
    """The windows of the whole lattice that count within the margin around the marked cells of ``grid``."""
    margin = [MARGIN_MM / spacing for spacing in grid.spacing_mm]
    return windows_for(cells, search.shape, search.window, search.overlap, margin)


def search_in_region(region_mm: RegionMm, grid: Volume, dense: Search) -> Search:
    """The windows of ``dense`` that touch a box given in the patient's millimetres.

    Raises:
        RegionError: the box lies outside the grid.
    """
    steps = [max(1, round(REGION_CELL_MM / spacing)) for spacing in grid.spacing_mm]
    middles = [
        (np.arange(math.ceil(size / step)) + 0.5) * step - 0.5 for size, step in zip(grid.size, steps, strict=True)
    ]
    marked = np.ones([len(along) for along in middles], bool)
    for row, (least, greatest) in enumerate(region_mm):
        # The scan may be oblique: a cell counts where the box around it, in the patient's axes, meets the region.
        to_mm = grid.ijk_to_ras[row]
        half = float(np.abs(to_mm[:3]) @ np.asarray(steps)) / 2
        r, a, s = (to_mm[axis] * along for axis, along in enumerate(middles))
        place = to_mm[3] + r[:, None, None] + a[:, None] + s
        marked &= (place + half > least) & (place - half < greatest)
    if not marked.any():
        raise RegionError(
            f"The region {_shown(region_mm)} lies outside the part of the scan that shows the patient.",
            f"Give it in RAS millimetres; that part has {_shown(_extent(grid))}.",
        )
    cells = Cells(marked, (-0.5, -0.5, -0.5), _three(steps))
    corners = tuple(windows_for(cells, dense.shape, dense.window, dense.overlap, least_share=0.0))
    reason = "Only the windows that touch the region given were run."
    return replace(dense, kind=REGION, reason=reason, corners=corners, fresh=corners)


def checked_region(value: object) -> RegionMm:
    """A region as plain data, as options hold it.

    Raises:
        ValueError: it is not three pairs of numbers that grow.
    """
    pairs = value if isinstance(value, list | tuple) else ()
    if len(pairs) != 3 or not all(isinstance(pair, list | tuple) and _is_span(pair) for pair in pairs):
        raise ValueError(
            "region_mm must be three pairs (least, greatest) of RAS millimetres, along right, anterior and superior, "
            f"not {value!r}."
        )
    first, second, third = ((float(least), float(greatest)) for least, greatest in pairs)
    return first, second, third


def _is_span(pair: Sequence[object]) -> bool:
    numbers = [end for end in pair if isinstance(end, int | float) and not isinstance(end, bool)]
    return len(pair) == len(numbers) == 2 and all(map(math.isfinite, numbers)) and numbers[0] < numbers[1]


def _extent(grid: Volume) -> RegionMm:
    places = grid.ras_of(np.array(list(itertools.product(*[(-0.5, size - 0.5) for size in grid.size]))))
    first, second, third = zip(places.min(axis=0).tolist(), places.max(axis=0).tolist(), strict=True)
    return first, second, third


def _shown(region_mm: RegionMm) -> str:
    return ", ".join(f"{axis} {low:.0f} to {high:.0f}" for axis, (low, high) in zip("RAS", region_mm, strict=True))


def _three(values: Sequence[float] | np.ndarray) -> tuple[float, float, float]:
    first, second, third = (float(value) for value in values)
    return first, second, third

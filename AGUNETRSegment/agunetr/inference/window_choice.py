"""Which windows of the lattice matter for a part of the volume.

A window is worth running for a voxel where its answer counts there. How much it counts is known beforehand: it is the
window's share of the Gaussian weights of all windows that hold the voxel. A window that only grazes a part with its
rim has a share of next to nothing in it and is left out; its neighbours, which see the part from their middle, decide
there alone. The part is given as marked cells of a coarse grid, so that a curved organ does not bring along the
windows in the empty corners of its box.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agunetr.inference.windows import Shape, lattice, padding, profile

LEAST_SHARE = 0.05
"""A window whose share is smaller than this everywhere in the part is left out: it would move a logit by 5 % at most of
the difference between its own answer and its neighbours', and only at the part's outermost voxels."""


@dataclass(frozen=True)
class Cells:
    """Marked cells of a coarse grid that runs parallel to the volume's.

    Attributes:
        marked: (R, A, S) bool.
        first: for each axis the volume's index (voxel centres are whole numbers) where cell 0 begins.
        edge: for each axis the length of a cell in voxels of the volume.
    """

    marked: np.ndarray
    first: tuple[float, float, float]
    edge: tuple[float, float, float]


def windows_for(
    cells: Cells,
    shape: Sequence[int],
    window: Sequence[int],
    overlap: float,
    margin: Sequence[float] = (0.0, 0.0, 0.0),
    least_share: float = LEAST_SHARE,
) -> list[Shape]:
    """The windows of the volume's lattice that count within ``margin`` of a marked cell.

    Args:
        cells: the part of the volume that matters; what lies outside the volume is left alone.
        shape: voxels of the volume along each axis.
        window, overlap: as for :func:`agunetr.inference.windows.lattice`.
        margin: voxels by which every marked cell is made longer at both ends of each axis.
        least_share: how much a window has to count somewhere in the part; 0 takes every window that touches it.

    Returns:
        First voxels in the volume padded by :func:`agunetr.inference.windows.padding`, in the lattice's order.
    """
    starts = lattice(shape, window, overlap)
    margins = padding(shape, window)
    wanted = cells.marked.astype(np.float32)
    for axis in range(3):
        counts = _counts(
            starts[axis],
            int(window[axis]),
            margins[axis][0],
            int(shape[axis]),
            [
                (
                    cells.first[axis] + cell * cells.edge[axis] - margin[axis],
                    cells.first[axis] + (cell + 1) * cells.edge[axis] + margin[axis],
                )
                for cell in range(cells.marked.shape[axis])
            ],
            least_share,
        )
        # Cells become windows axis by axis: a window is wanted where any of its cells is.
        wanted = np.moveaxis(np.tensordot(counts.astype(np.float32), np.minimum(wanted, 1.0), (1, axis)), 0, axis)
    return [
        corner for corner, is_wanted in zip(itertools.product(*starts), (wanted > 0).ravel(), strict=True) if is_wanted
    ]


def shares(starts: Sequence[int], edge: int) -> np.ndarray:
    """(windows, voxels): how much each window counts at each voxel along one axis; every voxel's shares add up to 1."""
    weights = np.zeros((len(starts), starts[-1] + edge))
    for row, start in zip(weights, starts, strict=True):
        row[start : start + edge] = profile(edge)
    return weights / weights.sum(axis=0)


def _counts(
    starts: Sequence[int],
    edge: int,
    padded_before: int,
    size: int,
    spans: Sequence[tuple[float, float]],
    least_share: float,
) -> np.ndarray:
    """(windows, cells) bool: whether the window counts anywhere in the cell's span."""
    share = shares(starts, edge)
    counts = np.zeros((len(starts), len(spans)), bool)
    for cell, (low, high) in enumerate(spans):
        # Voxel v reaches from v - 1/2 to v + 1/2; the dust keeps a face that two voxels have in common out.
        first = max(int(np.floor(low + 0.5 + 1e-6)), 0) + padded_before
        stop = min(int(np.ceil(high + 0.5 - 1e-6)), size) + padded_before
        if first < stop:
            largest = share[:, first:stop].max(axis=1)
            counts[:, cell] = (largest > 0) & (largest >= least_share)
    return counts

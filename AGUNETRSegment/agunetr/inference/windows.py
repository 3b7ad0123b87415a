"""Where the windows of a volume lie, and how much each voxel of a window counts.

A network sees a fixed window; a volume is covered by windows on a regular lattice that overlap, the last one of each
axis moved back so that it ends with the volume. The positions, the padding of small volumes and the Gaussian weights
are those of MONAI's ``sliding_window_inference``, so that a model gives the same answer in both. No torch here.

Axis order: all shapes and windows are in the order of the array that is cut, (R, A, S) for the networks.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

Shape = tuple[int, int, int]
Window = tuple[slice, slice, slice]

SIGMA_SCALE = 0.125
"""Standard deviation of the Gaussian weights, as a share of the window's edge (MONAI's and nnU-Net's default)."""

SMALLEST_WEIGHT = 1e-3
"""No voxel of a window counts less than this, so that the corners, which one window alone covers, keep an answer."""


def padding(shape: Sequence[int], window: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Voxels to add (before, after) along each axis so that at least one window fits.

    The padding is as even as possible, the odd voxel comes after; axes that are long enough get (0, 0).
    """
    _check_edges("shape", shape)
    _check_edges("window", window)
    missing = [max(edge - size, 0) for size, edge in zip(shape, window, strict=True)]
    return tuple((n // 2, n - n // 2) for n in missing)


def window_starts(size: int, edge: int, overlap: float) -> list[int]:
    """First voxels of the windows along one axis.

    Args:
        size: voxels of the (padded) volume along the axis, at least ``edge``.
        edge: voxels of the window.
        overlap: share of the window that neighbours have in common, 0 <= overlap < 1.

    Raises:
        ValueError: naming the argument that is out of range.
    """
    if not 0 <= overlap < 1:
        raise ValueError(f"overlap must be at least 0 and less than 1, not {overlap}.")
    if edge < 1 or size < edge:
        raise ValueError(f"size ({size}) must be at least the window's edge ({edge}), which must be positive.")
    step = max(int(edge * (1 - overlap)), 1)
    return [*range(0, size - edge, step), size - edge]


def lattice(shape: Sequence[int], window: Sequence[int], overlap: float) -> tuple[list[int], list[int], list[int]]:
    """First voxels of the windows along each axis of the volume padded by :func:`padding`.

    The windows are all combinations of the three lists: their lattice is a product, which the blending relies on.
    """
    _check_edges("shape", shape)
    _check_edges("window", window)
    first, second, third = (
        window_starts(max(size, edge), edge, overlap) for size, edge in zip(shape, window, strict=True)
    )
    return first, second, third


def plan_windows(shape: Sequence[int], window: Sequence[int], overlap: float) -> list[Window]:
    """Every window of a volume, the last axis running fastest.

    Args:
        shape: voxels of the volume along each axis.
        window: voxels of the window along each axis.
        overlap: share of the window that neighbours have in common, 0 <= overlap < 1.

    Returns:
        Slices into the volume padded by :func:`padding`; each has the window's size.

    Raises:
        ValueError: naming the argument that is out of range.
    """
    starts = lattice(shape, window, overlap)
    return [
        (slice(r, r + window[0]), slice(a, a + window[1]), slice(s, s + window[2]))
        for r, a, s in itertools.product(*starts)
    ]


def gaussian_weights(window: Sequence[int]) -> np.ndarray:
    """How much each voxel of a window counts: most in the middle, where the network sees all around.

    Returns:
        (R, A, S) float32, a product of three Gaussians with sigma = edge / 8, nowhere under 0.001.
    """
    _check_edges("window", window)
    weights = np.ones((1, 1, 1))
    for axis, edge in enumerate(window):
        weights = weights * np.expand_dims(profile(edge), tuple(other for other in range(3) if other != axis))
    return np.maximum(weights, max(weights.min(), SMALLEST_WEIGHT)).astype(np.float32)


def profile(edge: int) -> np.ndarray:
    """(edge,) float64: the Gaussian along one axis whose products are the weights of :func:`gaussian_weights`."""
    offset = np.arange(edge) - (edge - 1) / 2
    return np.exp(-0.5 * (offset / (SIGMA_SCALE * edge)) ** 2)


def _check_edges(name: str, edges: Sequence[int]) -> None:
    if len(edges) != 3 or min(edges) < 1:
        raise ValueError(f"{name} must be three positive numbers of voxels, not {tuple(edges)}.")

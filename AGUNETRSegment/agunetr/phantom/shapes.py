"""Shapes in mm as soft distances: positive inside, negative outside, 0 on the surface, about 1 a mm near it.

All functions take arrays that broadcast against each other and keep float32.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Point = tuple[float, float, float]


class SmoothField:
    """A smooth random function of space: cubic B-splines on a random lattice, with mean 0 and deviation about 1.

    It is a function of position and not of voxels, so one seed gives one anatomy at any spacing. Evaluating it on a
    regular grid takes three small matrix products.

    Args:
        rng: where the lattice comes from.
        pitch_mm: distance of the lattice's nodes; features are one to two pitches wide.
        reach_mm: the lattice covers -reach..reach along (x, y, z); beyond, the border's values go on.
    """

    def __init__(self, rng: np.random.Generator, pitch_mm: float, reach_mm: Sequence[float]) -> None:
        self._pitch = pitch_mm
        self._nodes = [2 * int(np.ceil(reach / pitch_mm)) + 4 for reach in reach_mm]
        # 0.33 is the deviation that the B-spline's smoothing leaves of unit white noise, averaged over a cell.
        self._lattice = (rng.standard_normal(self._nodes) / 0.33).astype(np.float32)

    def _basis(self, positions: np.ndarray, nodes: int) -> np.ndarray:
        """(positions, nodes) cubic B-spline weights."""
        where = np.clip(positions / self._pitch + (nodes - 1) / 2, 1, nodes - 2)
        distance = np.abs(where[:, None] - np.arange(nodes)[None])
        near = 2 / 3 - distance**2 + distance**3 / 2
        far = np.clip(2 - distance, 0, None) ** 3 / 6
        return np.where(distance < 1, near, far).astype(np.float32)

    def on_grid(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        """(z, y, x) values on the grid of the three coordinate axes (1D, mm)."""
        bases = [self._basis(axis, nodes) for axis, nodes in zip((x, y, z), self._nodes, strict=True)]
        values = np.tensordot(bases[2], self._lattice, axes=(1, 2))
        values = np.tensordot(bases[1], values, axes=(1, 2))
        return np.ascontiguousarray(np.tensordot(values, bases[0], axes=(2, 1)).transpose(1, 0, 2))


def ellipsoid(
    x: np.ndarray, y: np.ndarray, z: np.ndarray, centre: Point, radii: Point, tilt: float = 0.0
) -> np.ndarray:
    """An ellipsoid; ``tilt`` (radians) turns it in the x-z plane about its centre."""
    dx, dy, dz = x - centre[0], y - centre[1], z - centre[2]
    if tilt:
        cosine, sine = np.float32(np.cos(tilt)), np.float32(np.sin(tilt))
        dx, dz = cosine * dx + sine * dz, cosine * dz - sine * dx
    norm = np.sqrt((dx / radii[0]) ** 2 + (dy / radii[1]) ** 2 + (dz / radii[2]) ** 2)
    return (1 - norm) * np.float32(min(radii))


def tube(x: np.ndarray, y: np.ndarray, z: np.ndarray, points: Sequence[Point], radii: Sequence[float]) -> np.ndarray:
    """A chain of round cones through ``points``, with one radius at each."""
    best = np.float32(-np.inf)
    for start, end, first, last in zip(points[:-1], points[1:], radii[:-1], radii[1:], strict=True):
        along = np.subtract(end, start)
        length = float(along @ along) or 1.0
        share = ((x - start[0]) * along[0] + (y - start[1]) * along[1] + (z - start[2]) * along[2]) / length
        share = np.clip(share, 0, 1)
        distance = np.sqrt(
            (x - start[0] - share * along[0]) ** 2
            + (y - start[1] - share * along[1]) ** 2
            + (z - start[2] - share * along[2]) ** 2
        )
        best = np.maximum(best, first + share * (last - first) - distance)
    return best


def smooth_minimum(first: np.ndarray, second: np.ndarray, width_mm: float) -> np.ndarray:
    """The smaller of two soft distances, rounded where they meet (polynomial blend)."""
    share = np.clip(0.5 + 0.5 * (second - first) / width_mm, 0, 1)
    return second + (first - second) * share - np.float32(width_mm) * share * (1 - share)


def smooth_maximum(first: np.ndarray, second: np.ndarray, width_mm: float) -> np.ndarray:
    """The larger of two soft distances, rounded where they meet."""
    return -smooth_minimum(-first, -second, width_mm)

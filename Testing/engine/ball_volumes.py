"""Volumes with one ball at a known place in the patient, on any grid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations, product

import numpy as np

from agunetr.inference.volume import Volume

AIR, BALL = -1000, 150


def all_orientations() -> Iterator[np.ndarray]:
    """The 48 ways in which index axes can run along the patient's axes: 3x3, columns are the directions of i, j, k."""
    for order in permutations(range(3)):
        for signs in product((1.0, -1.0), repeat=3):
            directions = np.zeros((3, 3))
            for column, (row, sign) in enumerate(zip(order, signs, strict=True)):
                directions[row, column] = sign
            yield directions


def axis_codes(directions: np.ndarray) -> list[str]:
    """Where i, j and k grow to, for example ``["L", "P", "S"]``."""
    letters = ("RL", "AP", "SI")
    rows = np.abs(directions).argmax(axis=0)
    return [letters[row][0 if directions[row, column] > 0 else 1] for column, row in enumerate(rows)]


def rotation(x: float, y: float, z: float) -> np.ndarray:
    """3x3 rotation by degrees about the axes x, y and z in turn."""
    matrix = np.eye(3)
    for axis, degrees in enumerate((x, y, z)):
        cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        turn = np.eye(3)
        first, second = (axis + 1) % 3, (axis + 2) % 3
        turn[first, first] = turn[second, second] = cosine
        turn[first, second], turn[second, first] = -sine, sine
        matrix = turn @ matrix
    return matrix


def grid_about(
    centre_mm: Sequence[float], extent_mm: Sequence[float], directions: np.ndarray, spacing_mm: Sequence[float]
) -> Volume:
    """An empty volume (air, int16) whose middle lies at ``centre_mm`` (RAS+)."""
    size = np.maximum(2, np.ceil(np.asarray(extent_mm) / spacing_mm).astype(int) + 1)
    matrix = np.eye(4)
    matrix[:3, :3] = directions * np.asarray(spacing_mm)
    matrix[:3, 3] = np.asarray(centre_mm) - matrix[:3, :3] @ ((size - 1) / 2)
    return Volume(np.full(size[::-1], AIR, np.int16), matrix)


def distance_to(volume: Volume, point_mm: Sequence[float]) -> np.ndarray:
    """(z, y, x) mm from every voxel's centre to a point (RAS+)."""
    k, j, i = np.indices(volume.array.shape)
    return np.linalg.norm(volume.ras_of(np.stack([i, j, k], axis=-1)) - np.asarray(point_mm), axis=-1)


def with_ball(grid: Volume, point_mm: Sequence[float], radius_mm: float) -> Volume:
    """A ball of 150 HU in air; its rim is blurred over 2 mm, as a scanner would."""
    share = np.clip(0.5 + (radius_mm - distance_to(grid, point_mm)) / 2.0, 0.0, 1.0)
    return grid.with_array(np.rint(AIR + (BALL - AIR) * share).astype(np.int16))


def place_of(volume: Volume, weights: np.ndarray | None = None) -> np.ndarray:
    """(3,) RAS+ mm: the centroid of a volume's positive values."""
    values = volume.array if weights is None else weights
    k, j, i = np.nonzero(values > 0)
    return np.average(volume.ras_of(np.stack([i, j, k], axis=-1)), axis=0, weights=values[k, j, i].astype(np.float64))

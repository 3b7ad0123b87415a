"""A scan with one bright ball, whose mask and place are known."""

from __future__ import annotations

import numpy as np

from agunetr.inference.volume import Volume

CENTRE_RAS_MM = np.array([-12.0, -9.0, 14.0])
RADIUS_MM = 13.0


def bright_scan(axes: tuple[int, int, int] = (0, 1, 2), flips: tuple[int, int, int] = (1, 1, 1), **changes) -> Volume:
    """Air, a body of 40 HU and a ball of 160 HU; int16, 2 x 1.5 x 3 mm.

    Args:
        axes: the patient axis (0 right, 1 anterior, 2 superior) along which i, j and k run.
        flips: 1 or -1 for i, j and k.
        changes: ``ball_hu``, ``centre`` (RAS mm).
    """
    spacing = np.array([2.0, 1.5, 3.0])
    lengths_mm = np.array([90.0, 75.0, 84.0])
    matrix = np.eye(4)
    matrix[:3, :3] = 0
    for index, (axis, flip) in enumerate(zip(axes, flips, strict=True)):
        matrix[axis, index] = flip * spacing[index]
    size = [int(lengths_mm[axis] / spacing[index]) for index, axis in enumerate(axes)]
    middle = (np.array(size) - 1) / 2
    matrix[:3, 3] = -matrix[:3, :3] @ middle
    k, j, i = np.mgrid[: size[2], : size[1], : size[0]]
    ras = np.stack([i, j, k], axis=-1) @ matrix[:3, :3].T + matrix[:3, 3]
    voxels = np.full(ras.shape[:3], -1000, np.int16)
    voxels[(ras[..., 0] / 40) ** 2 + (ras[..., 1] / 33) ** 2 < 1] = 40
    distance = np.linalg.norm(ras - changes.get("centre", CENTRE_RAS_MM), axis=-1)
    voxels[distance <= RADIUS_MM] = changes.get("ball_hu", 160)
    return Volume(voxels, matrix)


def ball_mask(scan: Volume) -> np.ndarray:
    """(z, y, x) uint8, where :func:`bright_scan` put the ball."""
    return (scan.array == 160).astype(np.uint8)

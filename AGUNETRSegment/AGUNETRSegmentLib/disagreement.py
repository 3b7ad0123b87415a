"""Where two masks disagree: connected regions that one of them marks alone, the largest first."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

# Smaller than a sphere of 6 mm: the staircase along every surface would make hundreds of regions.
SMALLEST_ML = 0.1


@dataclass(frozen=True)
class Region:
    """A connected region that one mask marks alone.

    :ivar side: 0 where only the first mask marks it, 1 where only the second does.
    :ivar voxels: how many.
    :ivar centre: the region's own voxel next to its centre of mass, ``(k, j, i)``; a crescent's centre of mass would
      lie outside of it.
    """

    side: int
    voxels: int
    centre: tuple[int, int, int]


@dataclass(frozen=True)
class Disagreement:
    """All that two masks do not have in common.

    :ivar onlyFirst: bool, ``(k, j, i)``; what the first mask alone marks.
    :ivar onlySecond: the same of the second mask.
    :ivar regions: connected regions, the largest first.
    :ivar smaller: how many regions are too small to be listed.
    """

    onlyFirst: np.ndarray
    onlySecond: np.ndarray
    regions: list[Region] = field(default_factory=list)
    smaller: int = 0


def disagreement(
    first: np.ndarray, second: np.ndarray, voxelMl: float, smallestMl: float = SMALLEST_ML
) -> Disagreement:
    """Compare two masks.

    :param first: bool, ``(k, j, i)``.
    :param second: the same shape.
    :param voxelMl: the volume of a voxel, ml.
    :param smallestMl: smaller regions are only counted, unless all are smaller.
    """
    sides = first & ~second, second & ~first
    parts = [_Part(side, *part) for side, mask in enumerate(sides) for part in _parts(mask)]
    parts.sort(key=lambda part: part.voxels.size, reverse=True)
    large = [part for part in parts if part.voxels.size * voxelMl >= smallestMl]
    # Centres only of those that are listed: there may be thousands of single voxels.
    regions = [Region(part.side, int(part.voxels.size), _innermost(part)) for part in large or parts]
    return Disagreement(*sides, regions, len(parts) - len(regions))


@dataclass(frozen=True)
class _Part:
    """The voxels of a region as indices into a box of the mask."""

    side: int
    voxels: np.ndarray
    shape: tuple[int, ...]
    begin: list[int]


def _parts(mask: np.ndarray) -> list[tuple[np.ndarray, tuple[int, ...], list[int]]]:
    import SimpleITK as sitk  # part of Slicer; here, since it takes its time to load

    box = _box(mask)
    if box is None:
        return []
    cut = np.ascontiguousarray(mask[box], np.uint8)
    labels = sitk.GetArrayFromImage(sitk.ConnectedComponent(sitk.GetImageFromArray(cut), True)).ravel()
    found = np.flatnonzero(labels)
    order = found[np.argsort(labels[found], kind="stable")]
    begin = [part.start for part in box]
    return [(part, cut.shape, begin) for part in np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)]


def _innermost(part: _Part) -> tuple[int, int, int]:
    voxels = np.stack(np.unravel_index(part.voxels, part.shape), axis=1)
    nearest = voxels[np.square(voxels - voxels.mean(axis=0)).sum(axis=1).argmin()]
    return tuple(int(index) for index in nearest + part.begin)


def _box(mask: np.ndarray) -> tuple[slice, slice, slice] | None:
    slices = []
    for axis in range(3):
        found = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
        if not found.size:
            return None
        slices.append(slice(int(found[0]), int(found[-1]) + 1))
    return tuple(slices)

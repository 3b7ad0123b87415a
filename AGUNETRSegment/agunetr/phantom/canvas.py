"""What is painted: HU and labels of one slab, organ after organ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

import numpy as np

from agunetr.phantom.torso import Slab

_NAMES = (
    "outside", "fat", "muscle", "bone", "lung", "liver", "spleen", "left_kidney", "right_kidney", "stomach",
    "aorta", "veins", "pancreas", "bowel", "heart", "gallbladder", "skin",
)  # fmt: skip
LABELS: Mapping[str, int] = MappingProxyType({name: number for number, name in enumerate(_NAMES)})
"""Names and numbers of the phantom's label map; the table counts as ``outside``."""

Box = tuple[slice, slice, slice]
MARGIN_MM = 24.0


class Canvas:
    """HU (float32) and labels (uint8) of a slab, (z, y, x); it starts as air."""

    def __init__(self, slab: Slab) -> None:
        self.slab = slab
        self.hu = np.full(slab.x.shape, -1000, np.float32)
        self.label = np.zeros(slab.x.shape, np.uint8)

    def box(self, points: Iterable[tuple[float, float, float]], reach_mm: float) -> Box:
        """The part of the slab within ``reach_mm`` of some points, with a margin for the warp; may be empty.

        Organs are evaluated in their boxes only: that is most of the phantom's speed.
        """
        corners = np.asarray(list(points), dtype=np.float64)
        low, high = corners.min(0) - reach_mm - MARGIN_MM, corners.max(0) + reach_mm + MARGIN_MM
        slices = [
            slice(*np.searchsorted(axis, (first, last)).tolist())
            for axis, first, last in zip(self.slab.axes, low, high, strict=True)
        ]
        return slices[2], slices[1], slices[0]

    def at(self, box: Box) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The patient's coordinates x, y, z in a box."""
        return self.slab.x[box], self.slab.y[box], self.slab.z[box]

    def paint(self, box: Box, where: np.ndarray, label: str | None, hu: np.ndarray | float) -> None:
        """Paint the True voxels of a box; ``label`` None keeps the labels (a structure inside an organ)."""
        target = self.hu[box]
        if isinstance(hu, np.ndarray):
            target[where] = hu[where]
        else:
            target[where] = hu
        if label is not None:
            self.label[box][where] = LABELS[label]

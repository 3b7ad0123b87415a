"""Cleaning a mask: the largest piece, and the holes inside it.

Both work inside the mask's bounding box: on a whole CT the labelling takes ten times longer and far more memory.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from agunetr.inference.body import foreground_box

TOUCHING = ndimage.generate_binary_structure(3, 3)
"""Voxels of one piece touch at a face, an edge or a corner (26 neighbours)."""


def bounding_slices(mask: np.ndarray) -> tuple[slice, slice, slice] | None:
    """The smallest (z, y, x) box around everything above 0, or None where there is nothing."""
    box = foreground_box(mask, 0)
    if box is None:
        return None
    (i, j, k) = (slice(first, stop) for first, stop in box)
    return k, j, i


def keep_largest(mask: np.ndarray) -> np.ndarray:
    """The piece with most voxels alone; the first of equals.

    Args:
        mask: (z, y, x), above 0 = foreground.

    Returns:
        (z, y, x) uint8, 0 and 1; empty stays empty.
    """
    return largest_piece(mask)[1]


def largest_piece(mask: np.ndarray) -> tuple[int, np.ndarray]:
    """How many voxels :func:`keep_largest` keeps, and what it gives."""
    kept = np.zeros(mask.shape, dtype=np.uint8)
    box = bounding_slices(mask)
    if box is None:
        return 0, kept
    pieces, count = ndimage.label(mask[box], structure=TOUCHING)
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)[1:]
    largest = int(np.argmax(sizes))
    kept[box] = pieces == 1 + largest
    return int(sizes[largest]), kept


def fill_holes(mask: np.ndarray) -> np.ndarray:
    """Fill what the foreground encloses on all sides.

    The background's voxels are joined by their faces, so a hole that touches the outside only at an edge or a corner
    is filled too. A cavity that opens at the edge of the volume is no hole.

    Args:
        mask: (z, y, x), above 0 = foreground.

    Returns:
        (z, y, x) uint8, 0 and 1.
    """
    filled = (mask > 0).astype(np.uint8)
    box = bounding_slices(filled)
    if box is None:
        return filled
    gaps, count = ndimage.label(filled[box] == 0)
    open_gaps = np.zeros(count + 1, dtype=bool)
    for axis in range(3):
        for face in (0, -1):
            open_gaps[np.take(gaps, face, axis=axis)] = True
    # Label 0 is the foreground itself, which is neither open nor a gap.
    enclosed = ~open_gaps
    enclosed[0] = False
    filled[box] |= enclosed[gaps].astype(np.uint8)
    return filled


def clean_mask(mask: np.ndarray, largest_component: bool = True, holes: bool = True) -> np.ndarray:
    """Both steps, each only where asked for; (z, y, x) uint8."""
    cleaned = keep_largest(mask) if largest_component else (mask > 0).astype(np.uint8)
    return fill_holes(cleaned) if holes else cleaned

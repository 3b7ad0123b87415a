"""From logits on the model's grid to a mask on the input's grid, with work only where something was found.

False alarms lie far from the organ. One box around everything would be half the scan, so the places are told apart
before anything is interpolated: on a grid of cells some voxels wide, cells that touch belong to one place. What lies in
two places can never touch on the input's grid where their boxes there do not, so each place, or group of places whose
boxes meet, is interpolated, thresholded and cleaned by itself.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy import ndimage

from agunetr.inference.body import Box, foreground_box
from agunetr.inference.cleanup import TOUCHING, fill_holes, largest_piece
from agunetr.inference.resampling import crop, restored_slabs
from agunetr.inference.volume import Volume

CELL_VOXELS = 8
"""Edge of the cells by which places are told apart."""

MOST_PLACES = 100
"""More than this are handled as one: each costs about a millisecond however small it is."""


def mask_on_input(
    logit_difference: torch.Tensor,
    prepared: Volume,
    onto: Volume,
    threshold: float = 0.5,
    largest_component: bool = True,
    holes: bool = True,
) -> np.ndarray:
    """The mask on the input's own grid: probabilities are interpolated there, then thresholded, then cleaned.

    Thresholding before interpolating would give steps as large as the model's voxels. Work and memory beside the mask
    itself follow the size of what was found, not that of the scan.

    Args:
        logit_difference: (R, A, S), foreground less background, on the grid of ``prepared``.
        prepared: what the network saw; only its geometry is used.
        onto: the input; only its geometry is used.
        threshold: foreground is where the probability is greater, 0 < threshold < 1.
        largest_component, holes: see :mod:`agunetr.inference.cleanup`.

    Returns:
        (z, y, x) uint8, 0 and 1, the shape of ``onto.array``.
    """
    mask = np.zeros(onto.array.shape, dtype=np.uint8)  # the pages that stay 0 take no memory
    # An interpolated value exceeds the threshold only beside a voxel that does: all that is lower can be left out.
    negligible = threshold / 2
    logits = logit_difference.cpu()
    boxes = []
    for place in _places(logits.numpy(), math.log(negligible / (1 - negligible))):

        def probabilities(box: Box, place: Box = place) -> np.ndarray:
            spans = [slice(first + low, first + high) for (first, _), (low, high) in zip(place, box, strict=True)]
            return np.ascontiguousarray(logits[tuple(spans)].sigmoid().permute(2, 1, 0).numpy())

        for box, values in restored_slabs(probabilities, crop(prepared, place), onto):
            found = values > threshold
            if found.any():
                boxes.append(box)
                mask[_slices(box)] |= found
    groups = [_slices(box) for box in _joined(boxes)]
    if largest_component:
        _keep_largest(mask, groups)
    if holes:
        for group in groups:
            mask[group] = fill_holes(mask[group])
    return mask


def _places(values: np.ndarray, least: float) -> list[Box]:
    """Boxes along the axes of ``values`` that together hold all greater than ``least``, and a voxel more around it."""
    planes = []
    for first in range(0, values.shape[0], CELL_VOXELS):
        highest = values[first : first + CELL_VOXELS].max(axis=0)
        for axis, size in enumerate(highest.shape):
            highest = np.maximum.reduceat(highest, np.arange(0, size, CELL_VOXELS), axis=axis)
        planes.append(highest)
    pieces, count = ndimage.label(np.stack(planes) > least, structure=TOUCHING)
    found = ndimage.find_objects(pieces) if count <= MOST_PLACES else ndimage.find_objects((pieces > 0).astype(int))
    boxes = []
    for spans in found:
        rough = [
            (span.start * CELL_VOXELS, min(span.stop * CELL_VOXELS, n))
            for span, n in zip(spans, values.shape, strict=True)
        ]
        # foreground_box names the last axis first.
        tight = foreground_box(values[tuple(slice(*span) for span in rough)], least)[::-1]
        boxes.append(
            tuple(
                (max(begin + first - 1, 0), min(begin + stop + 1, n))
                for (begin, _), (first, stop), n in zip(rough, tight, values.shape, strict=True)
            )
        )
    return boxes


def _joined(boxes: list[Box]) -> list[Box]:
    """Boxes that overlap or touch become one around both, until none do."""
    joined: list[Box] = []
    for box in boxes:
        waiting = box
        while meeting := [other for other in joined if _meet(waiting, other)]:
            joined = [other for other in joined if other not in meeting]
            waiting = tuple(
                (min(first for first, _ in spans), max(stop for _, stop in spans))
                for spans in zip(waiting, *meeting, strict=True)
            )
        joined.append(waiting)
    return joined


def _meet(one: Box, other: Box) -> bool:
    return all(a0 <= b1 and b0 <= a1 for (a0, a1), (b0, b1) in zip(one, other, strict=True))


def _keep_largest(mask: np.ndarray, groups: list[tuple[slice, slice, slice]]) -> None:
    """Clear all but the largest piece, which lies in one of the groups."""
    pieces = [largest_piece(mask[group]) for group in groups]
    ranks = [(-size, _first(group, piece)) for group, (size, piece) in zip(groups, pieces, strict=True)]
    for group, (_, piece), rank in zip(groups, pieces, ranks, strict=True):
        mask[group] = piece if rank == min(ranks) else 0


def _first(group: tuple[slice, slice, slice], piece: np.ndarray) -> tuple[int, ...]:
    """The piece's first voxel (z, y, x): of equals, the first is kept."""
    inside = np.unravel_index(int(np.argmax(piece)), piece.shape)
    return tuple(int(n) + span.start for n, span in zip(inside, group, strict=True))


def _slices(box: Box) -> tuple[slice, slice, slice]:
    """Of an array (z, y, x)."""
    i, j, k = (slice(*span) for span in box)
    return k, j, i

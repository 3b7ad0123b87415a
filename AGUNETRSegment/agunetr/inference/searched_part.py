"""What the windows run so far say together, look after look.

A later look runs only the windows that were missing. Its answer and the earlier one are weighted means, so their mean,
weighted with both sums of weights, is what all the windows would have given in one run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as functional
from scipy import ndimage

from agunetr.inference.blending import AIR_LOGIT
from agunetr.inference.body import Box
from agunetr.inference.cleanup import TOUCHING
from agunetr.inference.inferer import BlendedOutput
from agunetr.inference.search import Search
from agunetr.inference.window_choice import Cells
from agunetr.inference.windows import Shape, gaussian_weights, padding

CELL_VOXELS = 4
"""Edge of the cells in which a mask on the model's grid is looked at."""

PLANES_AT_ONCE = 32
"""Of the first axis, joined together: their weights take memory."""


@dataclass(frozen=True)
class SearchedPart:
    """Blended answers of some windows on the part of the model's grid that they cover.

    Attributes:
        box: that part.
        corners: first voxels of the windows in the whole padded grid.
        logits: (R, A, S) logit difference on the part.
        gate_maps: (R, A, S) on the part.
    """

    box: Box
    corners: tuple[Shape, ...]
    logits: torch.Tensor
    gate_maps: dict[str, torch.Tensor]

    @classmethod
    def of(cls, search: Search, blended: BlendedOutput) -> SearchedPart:
        """The answer of a search's fresh windows."""
        return cls(search.box, search.fresh, blended.logit_difference, blended.gate_maps)

    def joined(self, other: SearchedPart, search: Search) -> SearchedPart:
        """This answer and that of other windows together.

        Args:
            other: has the same gate maps and none of the same windows; not to be used any longer.
            search: tells the whole grid and the window.
        """
        box = _around(self.box, other.box)
        # Where the other answer covers all, as after a search that became dense, it turns into the joined one in place:
        # another volume of the scan's size would be as much memory again.
        logits = _spread(other.logits, other.box, box, AIR_LOGIT)
        maps = {name: _spread(values, other.box, box, 0.0) for name, values in other.gate_maps.items()}
        (first, stop), _, _ = self.box
        for plane in range(first, stop, PLANES_AT_ONCE):
            slab = ((plane, min(plane + PLANES_AT_ONCE, stop)), *self.box[1:])
            mine = _weights(self, search, slab)
            share = mine / (mine + _weights(other, search, slab)).clamp_(min=torch.finfo(torch.float32).tiny)
            for name, joined in {None: logits, **maps}.items():
                values = self.logits if name is None else self.gate_maps[name]
                # A voxel that no window of mine holds keeps what is there: lerp's end at a share of 0 is exact.
                joined[_within(box, slab)].lerp_(values[_within(self.box, slab)], share)
        return SearchedPart(box, tuple(sorted({*self.corners, *other.corners})), logits, maps)

    def marked(self, logit: float, largest_component: bool) -> tuple[Cells, float]:
        """Where the model sees the organ, in cells of some voxels, and how many voxels it marks there.

        Args:
            logit: a voxel is organ where the logit difference is greater.
            largest_component: look at the largest piece alone.
        """
        organ = (self.logits > logit).float()[None, None]
        # The part is filled up to whole cells with 0, so that each share is one of a whole cell.
        organ = functional.pad(organ, [n for size in reversed(organ.shape[2:]) for n in (0, -size % CELL_VOXELS)])
        voxels = functional.avg_pool3d(organ, CELL_VOXELS)[0, 0].numpy() * CELL_VOXELS**3
        cells = voxels > 0
        if largest_component and cells.any():
            pieces, count = ndimage.label(cells, structure=TOUCHING)
            sizes = np.bincount(pieces.ravel(), voxels.ravel(), minlength=count + 1)
            cells = pieces == 1 + int(np.argmax(sizes[1:]))
        (r, _), (a, _), (s, _) = self.box
        edge = float(CELL_VOXELS)
        return Cells(cells, (r - 0.5, a - 0.5, s - 0.5), (edge, edge, edge)), float(voxels[cells].sum())


def _weights(part: SearchedPart, search: Search, slab: Box) -> torch.Tensor:
    """(R, A, S) of ``slab``: the sum of the Gaussian weights of the part's windows at each of its voxels."""
    # Only an axis shorter than the window is padded; the part then has all of it, and begins at 0 like the window.
    margins = padding(search.shape, search.window)
    total = torch.zeros(_size(slab))
    weights = torch.from_numpy(gaussian_weights(search.window))
    for corner in part.corners:
        ours, theirs = [], []
        for start, edge, (before, _), (first, stop) in zip(corner, search.window, margins, slab, strict=True):
            begin = start - before  # in the grid without padding
            low, high = max(begin, first), min(begin + edge, stop)
            ours.append(slice(low - first, max(high, low) - first))
            theirs.append(slice(low - begin, max(high, low) - begin))
        total[tuple(ours)] += weights[tuple(theirs)]
    return total


def _spread(values: torch.Tensor, own: Box, box: Box, elsewhere: float) -> torch.Tensor:
    """``values`` on the larger ``box``; themselves where it is their own."""
    if own == box:
        return values
    spread = torch.full(_size(box), elsewhere)
    spread[_within(box, own)] = values
    return spread


def _around(one: Box, other: Box) -> Box:
    first, second, third = ((min(a0, b0), max(a1, b1)) for (a0, a1), (b0, b1) in zip(one, other, strict=True))
    return first, second, third


def _size(box: Box) -> Sequence[int]:
    return [stop - start for start, stop in box]


def _within(box: Box, part: Box) -> tuple[slice, ...]:
    return tuple(slice(start - first, stop - first) for (first, _), (start, stop) in zip(box, part, strict=True))

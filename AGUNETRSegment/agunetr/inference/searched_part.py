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
            other: has the same gate maps and none of the same windows.
            search: tells the whole grid and the window.
        """
        box = _around(self.box, other.box)
        weight = torch.zeros(_size(box))
        shares = []
        for part in (self, other):
            share = _weights(part, search)
            weight[_within(box, part.box)] += share
            shares.append(share)
        weight.clamp_(min=torch.finfo(torch.float32).tiny)  # a voxel that no window holds stays what it is elsewhere
        for part, share in zip((self, other), shares, strict=True):
            share /= weight[_within(box, part.box)]

        def mean(first: torch.Tensor, second: torch.Tensor, elsewhere: float) -> torch.Tensor:
            total = torch.zeros(_size(box))
            for part, values, share in ((self, first, shares[0]), (other, second, shares[1])):
                total[_within(box, part.box)].addcmul_(values, share)
            if elsewhere:
                total[weight <= torch.finfo(torch.float32).tiny] = elsewhere
            return total

        return SearchedPart(
            box,
            tuple(sorted({*self.corners, *other.corners})),
            mean(self.logits, other.logits, AIR_LOGIT),
            {name: mean(values, other.gate_maps[name], 0.0) for name, values in self.gate_maps.items()},
        )

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


def _weights(part: SearchedPart, search: Search) -> torch.Tensor:
    """(R, A, S): the sum of the Gaussian weights of the part's windows at each of its voxels."""
    # Only an axis shorter than the window is padded; the part then has all of it, and begins at 0 like the window.
    margins = padding(search.shape, search.window)
    inside = [slice(before, before + size) for (before, _), size in zip(margins, _size(part.box), strict=True)]
    total = torch.zeros([max(size, edge) for size, edge in zip(_size(part.box), search.window, strict=True)])
    weights = torch.from_numpy(gaussian_weights(search.window))
    for corner in part.corners:
        first = [start - begin for start, (begin, _) in zip(corner, part.box, strict=True)]
        total[tuple(slice(n, n + edge) for n, edge in zip(first, search.window, strict=True))] += weights
    return total[tuple(inside)].clone()


def _around(one: Box, other: Box) -> Box:
    first, second, third = ((min(a0, b0), max(a1, b1)) for (a0, a1), (b0, b1) in zip(one, other, strict=True))
    return first, second, third


def _size(box: Box) -> Sequence[int]:
    return [stop - start for start, stop in box]


def _within(box: Box, part: Box) -> tuple[slice, ...]:
    return tuple(slice(start - first, stop - first) for (first, _), (start, stop) in zip(box, part, strict=True))

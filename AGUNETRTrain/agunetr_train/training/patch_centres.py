"""Where patches may be centred: found once for a case, because looking for it at every draw costs more than a step.

A scan at 1 mm has tens of millions of voxels. To search all of them for foreground at every draw, or to copy them for
padding, takes longer than a training step on a GPU. What a draw needs is prepared when a case is first drawn; after
that a draw touches the voxels of its own patch alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from monai.transforms import BorderPad, SpatialPad
from monai.transforms.utils import map_binary_to_indices
from scipy import ndimage
from torch import Tensor

FOREGROUND, BACKGROUND = "foreground_centres", "background_centres"
"""Keys of the flat indices, int64, of the voxels that may be the centre of a patch."""

MOST_CENTRES = 200_000
"""Of each kind; of more, so many are taken at random. 200 ml of spleen are as many voxels at 1 mm."""


def with_centres(
    item: Mapping[str, Tensor], smallest: Sequence[int], margin_voxels: int, foreground_reach: int
) -> dict[str, Tensor]:
    """A prepared case with what its draws need.

    Args:
        item: (1, R, A, S) ``image``, ``label`` and any other maps, of any number type; kept as they are where nothing
            has to be padded, so that a file mapped into memory is not read.
        smallest: voxels along (R, A, S) that the scan must have, so that a patch can be cut.
        margin_voxels: of air that is added around the scan.
        foreground_reach: see :attr:`agunetr_train.experiments.definition.Stage.foreground_reach`.

    Returns:
        The tensors, padded with 0, and :data:`FOREGROUND` and :data:`BACKGROUND` on their grid. The background is the
        body without the foreground: the air around it teaches nothing.
    """
    padded = {name: _padded(values, smallest, margin_voxels) for name, values in item.items()}
    near = near_foreground(padded["label"], foreground_reach)
    foreground, background = map_binary_to_indices(near, padded["image"], image_threshold=0.0)
    return {**padded, FOREGROUND: _some(foreground), BACKGROUND: _some(background)}


def near_foreground(label: Tensor, reach: int) -> Tensor:
    """(1, R, A, S) soft mask to uint8: 1 at most ``reach`` voxels beside the foreground along each axis."""
    foreground = label[0].numpy() > 0
    if reach:
        foreground = ndimage.maximum_filter(foreground, size=2 * reach + 1, mode="constant")
    return torch.from_numpy(foreground.astype(np.uint8))[None]


def _padded(values: Tensor, smallest: Sequence[int], margin_voxels: int) -> Tensor:
    if margin_voxels:
        values = torch.as_tensor(BorderPad(margin_voxels)(values))
    if any(edge < least for edge, least in zip(values.shape[1:], smallest, strict=True)):
        values = torch.as_tensor(SpatialPad(smallest)(values))
    return values


def _some(indices: Tensor) -> Tensor:
    indices = torch.as_tensor(indices)
    if len(indices) <= MOST_CENTRES:
        return indices
    chosen = np.random.default_rng(0).integers(len(indices), size=MOST_CENTRES)
    return indices[torch.from_numpy(chosen)]

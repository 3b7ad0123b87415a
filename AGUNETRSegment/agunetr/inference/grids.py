"""Between volumes and tensors, and from logits on the model's grid to a mask on the input's grid.

The only place where the networks' (R, A, S) and the volumes' (z, y, x) meet. A prepared volume has RAS axes, so one is
the other's transpose.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from agunetr.inference.body import Box, foreground_box
from agunetr.inference.cleanup import clean_mask
from agunetr.inference.resampling import crop, restore_part
from agunetr.inference.volume import Volume


def image_tensor(prepared: Volume) -> torch.Tensor:
    """(1, 1, R, A, S) float32 of a volume that :func:`agunetr.inference.resampling.prepare` made; shares its memory."""
    return torch.from_numpy(prepared.array).permute(2, 1, 0)[None, None]


def tensor_volume(values: torch.Tensor, prepared: Volume) -> Volume:
    """(R, A, S) values on the grid of ``prepared`` as a volume with (z, y, x) voxels of its own.

    Raises:
        ValueError: the shape is another than the grid's.
    """
    return prepared.with_array(np.array(values.permute(2, 1, 0).cpu().numpy(), order="C"))


def mask_on_input(
    logit_difference: torch.Tensor,
    prepared: Volume,
    onto: Volume,
    threshold: float = 0.5,
    largest_component: bool = True,
    fill_holes: bool = True,
) -> np.ndarray:
    """The mask on the input's own grid: probabilities are interpolated there, then thresholded, then cleaned.

    Thresholding before interpolating would give steps as large as the model's voxels. Work and memory beside the mask
    itself follow the size of what was found, not that of the scan.

    Args:
        logit_difference: (R, A, S), foreground less background, on the grid of ``prepared``.
        prepared: what the network saw; only its geometry is used.
        onto: the input; only its geometry is used.
        threshold: foreground is where the probability is greater, 0 < threshold < 1.
        largest_component, fill_holes: see :mod:`agunetr.inference.cleanup`.

    Returns:
        (z, y, x) uint8, 0 and 1, the shape of ``onto.array``.
    """
    mask = np.zeros(onto.array.shape, dtype=np.uint8)  # the pages that stay 0 take no memory
    # An interpolated value exceeds the threshold only beside a voxel that does: all that is lower can be left out.
    negligible = threshold / 2
    box = _box_above(logit_difference, math.log(negligible / (1 - negligible)))
    if box is None:
        return mask
    probability = tensor_volume(logit_difference[tuple(slice(*span) for span in box)], crop(prepared, box))
    torch.from_numpy(probability.array).sigmoid_()
    part = restore_part(probability, onto, negligible)
    if part is not None:
        ((i0, i1), (j0, j1), (k0, k1)), values = part
        mask[k0:k1, j0:j1, i0:i1] = clean_mask(values > threshold, largest_component, fill_holes)
    return mask


def _box_above(values: torch.Tensor, least: float) -> Box | None:
    """The box along (R, A, S) of all values greater than ``least``, one voxel wider where there is one."""
    # Looked at as it lies in memory; foreground_box names the last axis first.
    tight = foreground_box(values.cpu().numpy(), least)
    if tight is None:
        return None
    spans = [(max(first - 1, 0), min(stop + 1, n)) for (first, stop), n in zip(tight[::-1], values.shape, strict=True)]
    return spans[0], spans[1], spans[2]

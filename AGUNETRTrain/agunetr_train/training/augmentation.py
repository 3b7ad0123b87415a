"""What a patch goes through on its way into training; everything but the enhancement is MONAI's."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.transforms import (
    BorderPadd,
    Compose,
    DeleteItemsd,
    MapTransform,
    RandAdjustContrastd,
    RandAffined,
    RandCropByPosNegLabeld,
    RandGaussianNoised,
    RandGaussianSmoothd,
    RandGridDistortiond,
    RandHistogramShiftd,
    Randomizable,
    RandScaleIntensityd,
    RandShiftIntensityd,
    RandSimulateLowResolutiond,
    SpatialPadd,
    ThresholdIntensityd,
)
from scipy import ndimage

from agunetr_train.experiments.definition import Augmentation
from agunetr_train.training.arms import RandArmsd

BOTH = ("image", "label")
NEAR = "near"
"""Where the centres of foreground patches may lie, see :func:`near_foreground`."""


class RandOrganEnhancementd(MapTransform, Randomizable):
    """Make the organ brighter or darker than it was, as another phase of contrast would.

    A few scans show a few contrast phases, and a network that has seen no other takes the organ's brightness for its
    mark. The change is the same in the whole organ and follows its soft mask at the rim.

    Args:
        prob: how often.
        change: (lowest, highest) change, in units of the scaled image (1 = the whole intensity range).
    """

    def __init__(self, prob: float, change: tuple[float, float]) -> None:
        MapTransform.__init__(self, BOTH)
        self.prob = prob
        self.change = change

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        result = dict(data)
        if self.R.random() < self.prob:
            change = float(self.R.uniform(*self.change))
            # Tissue only: air enclosed in a coarse mask must stay air.
            tissue = (result["image"] > 0.2).to(result["image"].dtype)
            result["image"] = result["image"] + change * result["label"] * tissue
        return result


class RandSlabd(MapTransform, Randomizable):
    """Keep a slab of axial slices and turn the rest to air, as a scan of a few centimetres looks after padding.

    Args:
        prob: how often.
        slices: (fewest, most) slices kept, of the last axis (S).
    """

    def __init__(self, prob: float, slices: tuple[int, int]) -> None:
        MapTransform.__init__(self, BOTH)
        self.prob = prob
        self.slices = slices

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        result = dict(data)
        if self.R.random() < self.prob:
            depth = result["image"].shape[-1]
            kept = min(int(self.R.randint(self.slices[0], self.slices[1] + 1)), depth)
            first = int(self.R.randint(0, depth - kept + 1))
            for key in BOTH:
                slab = torch.zeros_like(result[key])
                slab[..., first : first + kept] = result[key][..., first : first + kept]
                result[key] = slab
        return result


def near_foreground(label: torch.Tensor, reach: int) -> torch.Tensor:
    """(1, R, A, S) soft mask to uint8: 1 at most ``reach`` voxels beside the foreground along each axis."""
    near = ndimage.maximum_filter(label[0].numpy() > 0, size=2 * reach + 1, mode="constant")
    return torch.from_numpy(near.astype(np.uint8))[None]


def two_channel_target(label: torch.Tensor) -> torch.Tensor:
    """(B, 1, ...) soft foreground to (B, 2, ...) shares of background and foreground."""
    return torch.cat([1.0 - label, label], dim=1)


def training_transforms(window: tuple[int, int, int], foreground_share: float, augmentation: Augmentation) -> Compose:
    """From whole prepared arrays (1, R, A, S) ``image``, ``label`` and ``near`` to one augmented patch of a window.

    A larger patch is cut first, so that rotation and stretching bring real tissue into the corners.
    """
    a = augmentation
    cut = tuple(int(math.ceil(1.375 * edge / 8)) * 8 for edge in window)
    return Compose(
        [
            BorderPadd((*BOTH, NEAR), spatial_border=a.margin_voxels),
            SpatialPadd((*BOTH, NEAR), spatial_size=cut),
            RandCropByPosNegLabeld(
                BOTH,
                label_key=NEAR,
                spatial_size=cut,
                pos=foreground_share,
                neg=1.0 - foreground_share,
                num_samples=1,
                # Background patches are centred on the body: the air around it teaches nothing.
                image_key="image",
                image_threshold=0.0,
            ),
            DeleteItemsd(NEAR),
            RandAffined(
                BOTH,
                prob=1.0,
                spatial_size=window,
                rotate_range=math.radians(a.rotation_degrees),
                scale_range=a.stretch,
                shear_range=a.shear,
                translate_range=tuple(0.15 * edge for edge in window),
                mode="bilinear",
                padding_mode="zeros",
            ),
            RandGridDistortiond(BOTH, prob=a.p_grid_distortion, distort_limit=0.2, num_cells=4, padding_mode="zeros"),
            RandOrganEnhancementd(a.p_enhancement, a.enhancement),
            RandArmsd(a.p_arms),
            RandHistogramShiftd("image", prob=a.p_histogram_shift, num_control_points=(5, 9)),
            RandAdjustContrastd("image", prob=a.p_gamma, gamma=(0.7, 1.5)),
            RandScaleIntensityd("image", prob=a.p_scale_shift, factors=0.15),
            RandShiftIntensityd("image", prob=a.p_scale_shift, offsets=0.06),
            RandSimulateLowResolutiond("image", prob=a.p_low_resolution, zoom_range=(0.5, 1.0)),
            RandGaussianSmoothd("image", prob=a.p_blur, sigma_x=(0.3, 1.0), sigma_y=(0.3, 1.0), sigma_z=(0.3, 1.0)),
            RandGaussianNoised("image", prob=a.p_noise, std=0.06),
            # What leaves the intensity range by augmentation is clipped, as preparation clips every image.
            ThresholdIntensityd("image", threshold=0.0, above=True, cval=0.0),
            ThresholdIntensityd("image", threshold=1.0, above=False, cval=1.0),
            # Last: padding around a scan is plain air, without the scan's noise.
            RandSlabd(a.p_slab, a.slab_slices),
        ]
    )

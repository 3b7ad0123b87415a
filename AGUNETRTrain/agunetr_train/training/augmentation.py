"""What a patch goes through on its way into training; everything but the enhancement is MONAI's."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch
from monai.transforms import (
    CastToTyped,
    Compose,
    ConcatItemsd,
    DeleteItemsd,
    MapTransform,
    RandAdjustContrastd,
    RandAffined,
    RandCropByPosNegLabeld,
    RandFlipd,
    RandGaussianNoised,
    RandGaussianSmoothd,
    RandGridDistortiond,
    RandHistogramShiftd,
    Randomizable,
    RandRotate90d,
    RandScaleIntensityd,
    RandShiftIntensityd,
    RandSimulateLowResolutiond,
    ThresholdIntensityd,
    Transform,
)

from agunetr_train.experiments.definition import Augmentation, Stage
from agunetr_train.training.arms import RandArmsd
from agunetr_train.training.patch_centres import BACKGROUND, FOREGROUND


class RandOrganEnhancementd(MapTransform, Randomizable):
    """Make the organ brighter or darker than it was, as another phase of contrast would.

    A few scans show a few contrast phases, and a network that has seen no other takes the organ's brightness for its
    mark. The change is the same in the whole organ and follows its soft mask at the rim.

    Args:
        prob: how often.
        change: (lowest, highest) change, in units of the scaled image (1 = the whole intensity range).
    """

    def __init__(self, prob: float, change: tuple[float, float]) -> None:
        MapTransform.__init__(self, ("image",))
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
        masks: the keys that lose the same slices as the image.
    """

    def __init__(self, prob: float, slices: tuple[int, int], masks: Sequence[str] = ("label",)) -> None:
        MapTransform.__init__(self, ("image", *masks))
        self.prob = prob
        self.slices = slices

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        result = dict(data)
        if self.R.random() < self.prob:
            depth = result["image"].shape[-1]
            kept = min(int(self.R.randint(self.slices[0], self.slices[1] + 1)), depth)
            first = int(self.R.randint(0, depth - kept + 1))
            for key in self.keys:
                slab = torch.zeros_like(result[key])
                slab[..., first : first + kept] = result[key][..., first : first + kept]
                result[key] = slab
        return result


def cut_size(window: Sequence[int], stage: Stage) -> tuple[int, ...]:
    """Voxels that are cut out for a patch: the window, or more, so that turning brings real tissue into its corners."""
    if not stage.augmentation.p_affine:
        return tuple(window)
    return tuple(int(math.ceil(1.375 * edge / 8)) * 8 for edge in window)


def training_transforms(window: tuple[int, int, int], stage: Stage) -> Compose:
    """From a whole prepared case to one augmented patch of a window.

    In goes what :func:`agunetr_train.training.patch_centres.with_centres` gives for ``image``, ``label`` and, where
    the stage has a teacher, ``teacher`` (its soft map), all at least of :func:`cut_size`. Out comes a list of one
    dictionary: ``image`` (1, *window) and ``label`` (1, *window), or (2, *window) with the teacher's map behind the
    mask, float32.
    """
    a = stage.augmentation
    masks = ("label",) if stage.teacher is None else ("label", "teacher")
    placed = ("image", *masks)
    steps = [
        RandCropByPosNegLabeld(
            placed,
            label_key="label",
            spatial_size=cut_size(window, stage),
            pos=stage.foreground_share,
            neg=1.0 - stage.foreground_share,
            num_samples=1,
            fg_indices_key=FOREGROUND,
            bg_indices_key=BACKGROUND,
        ),
        CastToTyped(placed, dtype=torch.float32),
    ]
    steps += _placement(placed, window, a)
    steps += _appearance(masks, a)
    if stage.teacher is not None:
        steps += [ConcatItemsd(masks, name="label"), DeleteItemsd("teacher")]
    return Compose(steps)


def _placement(placed: Sequence[str], window: Sequence[int], a: Augmentation) -> list[Transform]:
    """How the patient lies in the patch; a transform that never acts is left out, since each copies the patch."""
    steps: list[Transform] = []
    if a.p_affine:
        steps.append(
            RandAffined(
                placed,
                prob=a.p_affine,
                spatial_size=window,
                rotate_range=math.radians(a.rotation_degrees),
                scale_range=a.stretch,
                shear_range=a.shear,
                translate_range=tuple(0.15 * edge for edge in window),
                mode="bilinear",
                padding_mode="zeros",
            )
        )
    if a.p_flip:
        steps += [RandFlipd(placed, prob=a.p_flip, spatial_axis=axis) for axis in range(3)]
    if a.p_rotate90:
        steps.append(RandRotate90d(placed, prob=a.p_rotate90, max_k=3, spatial_axes=(0, 1)))
    if a.p_grid_distortion:
        steps.append(
            RandGridDistortiond(
                placed, prob=a.p_grid_distortion, distort_limit=0.2, num_cells=4, padding_mode="zeros"
            )
        )
    return steps


def _appearance(masks: Sequence[str], a: Augmentation) -> list[Transform]:
    """How the scanner and the contrast agent show the patient; what never acts is left out."""
    gentle = dict(sigma_x=(0.3, 1.0), sigma_y=(0.3, 1.0), sigma_z=(0.3, 1.0))
    chances: list[tuple[float, Transform]] = [
        (a.p_enhancement, RandOrganEnhancementd(a.p_enhancement, a.enhancement)),
        (a.p_arms, RandArmsd(a.p_arms)),
        (a.p_histogram_shift, RandHistogramShiftd("image", prob=a.p_histogram_shift, num_control_points=(5, 9))),
        (a.p_gamma, RandAdjustContrastd("image", prob=a.p_gamma, gamma=(0.7, 1.5))),
        (a.p_scale, RandScaleIntensityd("image", prob=a.p_scale, factors=a.scale)),
        (a.p_shift, RandShiftIntensityd("image", prob=a.p_shift, offsets=a.shift)),
        (a.p_low_resolution, RandSimulateLowResolutiond("image", prob=a.p_low_resolution, zoom_range=(0.5, 1.0))),
        (a.p_blur, RandGaussianSmoothd("image", prob=a.p_blur, **gentle)),
        (a.p_noise, RandGaussianNoised("image", prob=a.p_noise, std=0.06)),
    ]
    steps = [step for chance, step in chances if chance]
    if steps:
        # What leaves the intensity range by augmentation is clipped, as preparation clips every image.
        steps.append(ThresholdIntensityd("image", threshold=0.0, above=True, cval=0.0))
        steps.append(ThresholdIntensityd("image", threshold=1.0, above=False, cval=1.0))
    if a.p_slab:
        # Last: padding around a scan is plain air, without the scan's noise.
        steps.append(RandSlabd(a.p_slab, a.slab_slices, masks))
    return steps

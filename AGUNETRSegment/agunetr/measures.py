"""Measures of a mask, and of one mask against another.

All arrays are (z, y, x); spacings are (i, j, k) in mm as :attr:`Volume.spacing_mm` gives them, so i belongs to the
last axis. Distances are mm, volumes ml. What is undefined is ``None``, never 0: the distance to an empty mask, the
mean intensity of an empty mask, a volume error relative to nothing.

Formulas: Dice 1945; 95 % Hausdorff distance, the larger of the two directed 95th percentiles between the masks'
edge voxels (Huttenlocher et al. 1993; Taha and Hanbury 2015); normalised surface Dice on area-weighted surface
elements (Nikolov et al. 2018, arXiv:1809.04430). Distances and surfaces are MONAI's.
"""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from agunetr.errors import InputError
from agunetr.inference.body import foreground_box
from agunetr.inference.volume import Volume

if TYPE_CHECKING:
    import torch  # imported only when measuring: it takes seconds

SURFACE_TOLERANCE_MM = 2.0
HAUSDORFF_PERCENTILE = 95.0


@dataclass(frozen=True)
class MaskComparison:
    """How a predicted mask agrees with a reference.

    Attributes:
        dice: 0..1; 1 where both masks are empty.
        hausdorff95_mm: ``None`` where a mask is empty.
        surface_dice: normalised surface Dice at :data:`SURFACE_TOLERANCE_MM`, 0..1; ``None`` where both are empty.
        volume_ml: of the prediction.
        reference_volume_ml: of the reference.
        volume_error_ml: prediction minus reference.
        relative_volume_error: (prediction - reference) / reference, so 0.1 is 10 % too large; ``None`` where the
            reference is empty.
    """

    dice: float
    hausdorff95_mm: float | None
    surface_dice: float | None
    volume_ml: float
    reference_volume_ml: float
    volume_error_ml: float
    relative_volume_error: float | None

    def to_dict(self) -> dict[str, float | None]:
        """The JSON form; undefined values are ``None``."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class MaskDescription:
    """What one mask measures.

    Attributes:
        voxels: voxels above 0.
        volume_ml: their volume.
        mean_hu: mean intensity of the CT under the mask; ``None`` where the mask is empty or no CT was given.
        longest_axis_mm: the largest straight extent of the mask in any direction; ``None`` where it is empty.
    """

    voxels: int
    volume_ml: float
    mean_hu: float | None
    longest_axis_mm: float | None

    def to_dict(self) -> dict[str, float | int | None]:
        """The JSON form; undefined values are ``None``."""
        return dataclasses.asdict(self)


def dice_score(prediction: np.ndarray, reference: np.ndarray) -> float:
    """Dice coefficient of two masks of equal shape, 1 where both are empty.

    Args:
        prediction, reference: (z, y, x); voxels above 0 (or True) belong to the mask.

    Raises:
        ValueError: the shapes differ.
    """
    first, second = _cropped_pair(prediction, reference)
    return _dice(first, second)


def compare_masks(
    prediction: np.ndarray,
    reference: np.ndarray,
    spacing_mm: Sequence[float],
    tolerance_mm: float = SURFACE_TOLERANCE_MM,
) -> MaskComparison:
    """Every measure of one predicted mask against its reference.

    Args:
        prediction, reference: (z, y, x) of equal shape; voxels above 0 (or True) belong to the mask.
        spacing_mm: (i, j, k).
        tolerance_mm: of the surface Dice.

    Raises:
        ValueError: the shapes differ, or the spacing is not three positive numbers.
    """
    spacing = _checked_spacing(spacing_mm)
    first, second = _cropped_pair(prediction, reference)
    voxel_ml = float(np.prod(spacing)) / 1000.0
    volume, reference_volume = (int(np.count_nonzero(mask)) * voxel_ml for mask in (first, second))
    return MaskComparison(
        dice=_dice(first, second),
        hausdorff95_mm=_hausdorff(first, second, spacing[::-1]),
        surface_dice=_surface_dice(first, second, spacing[::-1], tolerance_mm),
        volume_ml=volume,
        reference_volume_ml=reference_volume,
        volume_error_ml=volume - reference_volume,
        relative_volume_error=(volume - reference_volume) / reference_volume if reference_volume else None,
    )


def describe_mask(mask: Volume, ct: Volume | None = None) -> MaskDescription:
    """Volume, mean intensity and longest extent of a mask.

    Args:
        mask: voxels above 0 belong to it.
        ct: the scan, on the mask's grid, in HU.

    Raises:
        InputError: the CT lies on another grid than the mask.
    """
    if ct is not None and not mask.same_grid(ct, tolerance_mm=0.1):
        raise InputError(
            f"The mask ({_sizes(mask)}) does not lie on the grid of the scan ({_sizes(ct)}).",
            "Give the scan that the mask was made on, or resample the mask to it.",
        )
    box = _bounding_box(mask.array)
    if box is None:
        return MaskDescription(voxels=0, volume_ml=0.0, mean_hu=None, longest_axis_mm=None)
    inside = mask.array[box] > 0
    voxels = int(np.count_nonzero(inside))
    return MaskDescription(
        voxels=voxels,
        volume_ml=voxels * mask.voxel_ml,
        mean_hu=None if ct is None else float(ct.array[box][inside].mean(dtype=np.float64)),
        longest_axis_mm=_longest_axis(inside, mask.ijk_to_ras[:3, :3]),
    )


def _checked_spacing(spacing_mm: Sequence[float]) -> tuple[float, ...]:
    spacing = tuple(float(value) for value in spacing_mm)
    if len(spacing) != 3 or not all(math.isfinite(value) and value > 0 for value in spacing):
        raise ValueError(f"spacing_mm must be three positive numbers (i, j, k), not {tuple(spacing_mm)}.")
    return spacing


def _bounding_box(*masks: np.ndarray) -> tuple[slice, slice, slice] | None:
    """The smallest box around the voxels above 0 of all the masks, ``None`` where there are none."""
    boxes = [box for box in (foreground_box(mask, 0) for mask in masks) if box is not None]
    if not boxes:
        return None
    i, j, k = (
        slice(min(first for first, _ in spans), max(stop for _, stop in spans)) for spans in zip(*boxes, strict=True)
    )
    return k, j, i


def _cropped_pair(prediction: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both masks as bool, cropped to their joint bounding box with one voxel of background around.

    A scan is some fifty times larger than a spleen, and all measures are blind to the empty rest. The added margin
    makes an edge of a mask that touches the border of the scan, exactly as if the scan went on.
    """
    if prediction.shape != reference.shape or prediction.ndim != 3:
        raise ValueError(
            f"prediction {prediction.shape} and reference {reference.shape} must have one and the same (z, y, x) shape."
        )
    box = _bounding_box(prediction, reference)
    if box is None:
        return np.zeros((1, 1, 1), bool), np.zeros((1, 1, 1), bool)
    return np.pad(prediction[box] > 0, 1), np.pad(reference[box] > 0, 1)


def _tensors(first: np.ndarray, second: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """As MONAI's metrics want them: (batch, channel, z, y, x) with one foreground channel."""
    import torch

    return torch.from_numpy(first)[None, None], torch.from_numpy(second)[None, None]


@contextmanager
def _without_library_warnings() -> Iterator[None]:
    """MONAI warns of its own future changes on each call; none of them is for the person who measures a mask."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning)
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        yield


def _dice(first: np.ndarray, second: np.ndarray) -> float:
    # Counted here: it is all that two models need of each other, and importing MONAI's metrics takes seconds.
    marked = int(np.count_nonzero(first)) + int(np.count_nonzero(second))
    return 2.0 * int(np.count_nonzero(first & second)) / marked if marked else 1.0


def _hausdorff(first: np.ndarray, second: np.ndarray, spacing_kji: Sequence[float]) -> float | None:
    if not first.any() or not second.any():
        return None
    from monai.metrics import compute_hausdorff_distance

    prediction, reference = _tensors(first, second)
    with _without_library_warnings():
        value = compute_hausdorff_distance(
            prediction, reference, include_background=True, percentile=HAUSDORFF_PERCENTILE, spacing=list(spacing_kji)
        )
    return float(value)


def _surface_dice(
    first: np.ndarray, second: np.ndarray, spacing_kji: Sequence[float], tolerance_mm: float
) -> float | None:
    if not first.any() and not second.any():
        return None
    if not first.any() or not second.any():
        # One surface exists and no part of it lies near the other: a true 0, not an undefined value.
        return 0.0
    from monai.metrics import compute_surface_dice

    prediction, reference = _tensors(first, second)
    with _without_library_warnings():
        value = compute_surface_dice(
            prediction,
            reference,
            class_thresholds=[tolerance_mm],
            include_background=True,
            spacing=list(spacing_kji),
            use_subvoxels=True,
        )
    return float(value)


def _longest_axis(inside: np.ndarray, ijk_to_mm: np.ndarray) -> float:
    """Largest distance (Feret diameter) between the outer faces of the voxels.

    The two farthest points of a set are corners of its convex hull, and a voxel that lies between two others of
    its row, column or line is no corner, so few voxels remain to be compared. Every voxel counts with the six
    centres of its faces: a box along the axes has its true length, and a single voxel is not 0 mm long.
    """
    from scipy.spatial import ConvexHull
    from scipy.spatial.distance import pdist

    corner = inside.copy()
    for axis in range(3):
        before = np.cumsum(inside, axis=axis, dtype=np.int32)
        after = before.max(axis=axis, keepdims=True) - before
        corner &= (before == 1) | (after == 0)
    ijk = np.argwhere(corner)[:, ::-1].astype(np.float64)
    faces = np.concatenate([np.eye(3), -np.eye(3)]) / 2
    points = (ijk[:, None, :] + faces[None]).reshape(-1, 3)
    hull = points[ConvexHull(points).vertices] @ ijk_to_mm.T
    return float(pdist(hull).max())


def _sizes(volume: Volume) -> str:
    spacing = " x ".join(f"{value:.2f}" for value in volume.spacing_mm)
    return f"{' x '.join(str(value) for value in volume.size)} voxels of {spacing} mm"

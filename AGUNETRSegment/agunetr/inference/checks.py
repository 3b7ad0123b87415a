"""Is this volume one that can be segmented, and is there something to warn of?

What cannot be segmented is refused with one sentence; what can, but may come out wrong, is noticed. The limits of
what is refused follow from what the engine can compute, those of what is noticed from what the models have seen.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from agunetr.errors import InputError, Notice
from agunetr.inference.volume import Volume

MOST_SLICES = 3000
"""More along an axis is no CT of a patient (a micro-CT, or a header gone wrong)."""
MOST_NAN_SHARE = 0.01
DIRECTION_TOLERANCE = 2e-3
"""Largest deviation of the axes' dot products from those of a rotation: a tilt of 0.1 degrees."""
FEWEST_SLICES = 16
THICKEST_SLICES_MM = 8.0
AIR_HU = -1000.0
PADDING_GAP = 100.0
"""A lowest value so far below all others is padding and no tissue."""

_SAMPLE_VOXELS = 2_000_000


def check_volume(volume: Volume) -> list[Notice]:
    """Refuse what cannot be segmented; tell what may come out wrong.

    Args:
        volume: int16 or float32, meant to be HU. NaN must have been replaced, see :func:`replace_nan`.

    Returns:
        Notices of the kinds ``"not-hu"``, ``"few-slices"`` and ``"thick-slices"``.

    Raises:
        InputError: no voxels, a single slice, more than 3,000 slices, a spacing that is not positive, axes that are not
            at right angles, infinite or NaN voxels, or all voxels equal.
    """
    check_geometry(volume)
    _check_values(volume.array)
    notices = []
    reason = why_not_hounsfield(volume.array)
    if reason:
        message = f"The values do not look like Hounsfield units: {reason} The result may be wrong."
        notices.append(Notice("not-hu", message))
    slices = min(volume.size)
    if slices < FEWEST_SLICES:
        message = f"The scan has only {slices} slices; with fewer than {FEWEST_SLICES} the result may be wrong."
        notices.append(Notice("few-slices", message))
    thickest = max(volume.spacing_mm)
    if thickest > THICKEST_SLICES_MM + 1e-3:
        message = f"The slices are {thickest:.1f} mm apart; beyond {THICKEST_SLICES_MM:.0f} mm the result may be wrong."
        notices.append(Notice("thick-slices", message))
    return notices


def check_geometry(volume: Volume) -> None:
    """Refuse a size, spacing or direction that no CT has.

    Raises:
        InputError: see :func:`check_volume`.
    """
    size = volume.size
    if min(size) == 0:
        raise InputError("The image holds no voxels.", "Export the CT again.")
    if min(size) == 1:
        raise InputError("The image is a single slice, not a volume.", "Give the whole CT series.")
    if max(size) > MOST_SLICES:
        raise InputError(
            f"The image has {max(size):,} slices along one axis; at most {MOST_SLICES:,} are accepted.",
            "Crop it to the abdomen, or check its header.",
        )
    if not np.isfinite(volume.ijk_to_ras).all():
        raise InputError("The position of the image holds values that are not numbers.", "Export the CT again.")
    check_spacing(volume.spacing_mm)
    check_directions(volume.directions)


def check_spacing(spacing_mm: tuple[float, ...]) -> None:
    """Refuse voxel distances (mm) that are not positive numbers.

    Raises:
        InputError: one is 0, negative, infinite or no number.
    """
    if not all(np.isfinite(spacing) and spacing > 0 for spacing in spacing_mm):
        listed = " x ".join(f"{spacing:g}" for spacing in spacing_mm)
        raise InputError(
            f"The voxel spacing is {listed} mm; every distance must be greater than 0.", "Export the CT again."
        )


def check_directions(directions: np.ndarray) -> None:
    """Refuse axes (unit columns of a 3x3) that are no rotation or reflection.

    Raises:
        InputError: two axes are not at right angles.
    """
    if not np.isfinite(directions).all() or np.abs(directions.T @ directions - np.eye(3)).max() > DIRECTION_TOLERANCE:
        raise InputError(
            "The image axes are not at right angles (a tilted gantry or a sheared orientation).",
            "Resample the CT to a regular grid first, for example with Slicer's Acquisition Geometry Regularization.",
        )


def check_name(path: Path) -> None:
    """Refuse a path that is not UTF-8: ITK ends the process on it.

    Raises:
        InputError: see above.
    """
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError as error:
        shown = str(path).encode("utf-8", "backslashreplace").decode("utf-8")
        raise InputError(f"The name {shown} is not valid UTF-8.", "Rename it.") from error


def infinite_voxels() -> InputError:
    """The refusal of an image with infinite voxels."""
    return InputError("The image holds voxels that are infinite.", "Export the CT again.")


def too_many_nan(share: float) -> InputError:
    """The refusal of an image of which this share of the voxels are NaN."""
    return InputError(
        f"{100 * share:.1f} % of the voxels are not a number (NaN); at most {100 * MOST_NAN_SHARE:g} % may be.",
        "Export the CT again.",
    )


def replace_nan(volume: Volume) -> tuple[Volume, list[Notice]]:
    """Voxels that are not a number become air, if they are few.

    Returns:
        The volume itself and no notice where there is none; else a corrected copy and a notice of kind ``"nan"``.

    Raises:
        InputError: more than 1 % are not a number.
    """
    if not np.issubdtype(volume.array.dtype, np.floating):
        return volume, []
    missing = sum(int(np.isnan(section).sum()) for section in volume.array)
    if missing == 0:
        return volume, []
    share = missing / volume.array.size
    if share > MOST_NAN_SHARE:
        raise too_many_nan(share)
    # An image that is not in HU has no -1000; its darkest value is its air.
    air = max(float(np.nanmin(volume.array)), AIR_HU)
    filled = np.nan_to_num(volume.array, nan=air, posinf=np.inf, neginf=-np.inf)
    count = "1 voxel was" if missing == 1 else f"{missing:,} voxels were"
    return volume.with_array(filled), [Notice("nan", f"{count} not a number (NaN) and taken as air.")]


def why_not_hounsfield(array: np.ndarray) -> str:
    """A sentence on why the values (z, y, x) are probably not Hounsfield units; empty where they may well be.

    A CT of an abdomen has soft tissue between -150 and 250 HU and, even when cropped to the body, fat or air below -50.
    """
    step = max(1, int(np.ceil((array.size / _SAMPLE_VOXELS) ** (1 / 3))))
    sample = array[::step, ::step, ::step].ravel().astype(np.float32)
    low, high = (float(value) for value in np.percentile(sample, (0.5, 99.5)))
    dark = float((sample < -50).mean())
    tissue = float(((sample > -150) & (sample < 250)).mean())
    if _seems_shifted(_without_padding(sample)):
        return "they seem to be shifted by 1024; subtract 1024 from every voxel."
    if dark < 0.001:
        if low >= 0 and float(sample.max()) <= 255:
            return "they lie between 0 and 255, as in a picture."
        return "none is as dark as fat or air, so this may be an MR or another kind of image."
    if high - low < 100:
        return f"they span only {low:.3g} to {high:.3g}."
    if high > 6000:
        return f"they reach {high:.0f}."
    if tissue < 0.01:
        return "hardly any lies in the range of soft tissue, -150 to 250."
    return ""


def _seems_shifted(values: np.ndarray) -> bool:
    """Whether soft tissue lies about 1024, air about 0 and nothing below."""
    if float((values < -50).mean()) >= 0.001:
        return False
    return float(((values > 874) & (values < 1274)).mean()) > 0.1 and float((values < 200).mean()) > 0.01


def _without_padding(values: np.ndarray) -> np.ndarray:
    """The values less the one that scanners put outside the round field of view: the lowest, apart from all others."""
    padding = values == values.min()
    rest = values[~padding]
    if rest.size == 0 or float(padding.mean()) < 0.001 or float(rest.min() - values.min()) < PADDING_GAP:
        return values
    return rest


def _check_values(array: np.ndarray) -> None:
    lowest, highest = array.min(), array.max()
    if not (np.isfinite(lowest) and np.isfinite(highest)):
        if np.isnan(lowest):  # numpy's minimum is NaN as soon as one voxel is
            raise InputError("The image holds voxels that are not a number (NaN).", "Export the CT again.")
        raise infinite_voxels()
    if lowest == highest:
        raise InputError(f"All voxels have the same value, {lowest}: the image is empty.", "Give the CT itself.")

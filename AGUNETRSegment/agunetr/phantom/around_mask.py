"""A phantom around a spleen that is given: the mask stays as it is, the rest of the patient is imagined."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from agunetr.inference.body import foreground_box
from agunetr.inference.resampling import crop, nearest_ras_axes
from agunetr.inference.volume import Volume
from agunetr.phantom import organs, scanner
from agunetr.phantom.build import Phantom, paint
from agunetr.phantom.canvas import LABELS, Canvas
from agunetr.phantom.fitting import fit_patient
from agunetr.phantom.patient import draw_patient
from agunetr.phantom.torso import Fields

_REACH_MM = 30.0
_FAR_MM = -50.0
_FAT_MM = 2.5
"""Thickness of the fat that parts the spleen from a kidney."""
_MOST_POINTS = 20_000
_KIDNEYS = [LABELS["left_kidney"], LABELS["right_kidney"]]
_EVERYTHING = (slice(None), slice(None), slice(None))


def make_phantom_around(mask: Volume, seed: int, contrast: str | None = "portal") -> Phantom:
    """An imagined CT in which the spleen is exactly ``mask``, on its grid.

    Args:
        mask: (z, y, x), the spleen above 0, the only one and on the patient's left side.
        seed: 0 or more; one seed and one mask give the same voxels.
        contrast: as for :func:`agunetr.phantom.make_phantom`.

    Raises:
        ValueError: the mask is empty, or the seed is negative.
    """
    if seed < 0:
        raise ValueError(f"seed must be a whole number of at least 0, not {seed!r}.")
    turned, turn_back = _along_ras(mask)
    box = foreground_box(turned.array, 0)
    if box is None:
        raise ValueError("the mask is empty.")
    spacing = turned.spacing_mm
    middle = (np.asarray(turned.size) - 1) / 2
    points = (np.argwhere(turned.array > 0)[:, ::-1] - middle) * spacing
    field = tuple(count * step for count, step in zip(turned.size, spacing, strict=True))
    spleen_ml = len(points) * turned.voxel_ml
    drawn = draw_patient(seed, field, True, contrast)
    placement = fit_patient(drawn, points[:: max(1, len(points) // _MOST_POINTS)], spleen_ml, field[:2])
    axes = tuple(
        (np.arange(count) - centre) * step - origin
        for count, centre, step, origin in zip(turned.size, middle, spacing, placement.origin_mm, strict=True)
    )
    patient = placement.patient
    distance = _soft_distance(turned)

    def paint_spleen(canvas: Canvas, part: slice) -> np.ndarray:
        near = distance[part]
        organs.fill_spleen(canvas, _EVERYTHING, near > 0)
        rim = (near > -_FAT_MM) & (near <= 0) & np.isin(canvas.label, _KIDNEYS)
        canvas.paint(_EVERYTHING, rim, "fat", -95.0)
        return near

    def paint_spleen_again(canvas: Canvas, part: slice) -> None:
        """Ribs and muscles of a body that fits badly must not cover it."""
        organs.fill_spleen(canvas, _EVERYTHING, distance[part] > 0)

    hu, label = paint(patient, Fields(patient), axes, paint_spleen, paint_spleen_again)
    scanner.paint_table(patient, hu, label, axes)
    ct = mask.with_array(turn_back(scanner.scan(patient, hu, axes, spacing)))
    spleen = (mask.array > 0).astype(np.uint8)
    return Phantom(ct, ct.with_array(spleen), ct.with_array(turn_back(label)), patient.contrast, seed)


def _along_ras(volume: Volume) -> tuple[Volume, Callable[[np.ndarray], np.ndarray]]:
    """The voxels in RAS order, spaced as they are (an oblique scan as if it were straight), and the way back."""
    axes, flips = nearest_ras_axes(volume)
    order = [2 - axis for axis in reversed(axes)]
    turns = tuple(slice(None, None, -1 if flip else 1) for flip in reversed(flips))
    matrix = np.diag([*(volume.spacing_mm[axis] for axis in axes), 1.0])

    def back(array: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(array[turns].transpose(np.argsort(order)))

    return Volume(volume.array.transpose(order)[turns], matrix), back


def _soft_distance(mask: Volume) -> np.ndarray:
    """Distance (mm) from the spleen's surface, positive inside; far outside -50. (z, y, x) float32."""
    distance = np.full(mask.array.shape, _FAR_MM, np.float32)
    wide = tuple(
        (max(0, first - round(_REACH_MM / step)), min(count, stop + round(_REACH_MM / step)))
        for (first, stop), step, count in zip(
            foreground_box(mask.array, 0), mask.spacing_mm, mask.size, strict=True
        )
    )
    inside = crop(mask, wide).array > 0
    sampling = mask.spacing_mm[::-1]
    near = ndimage.distance_transform_edt(inside, sampling) - ndimage.distance_transform_edt(~inside, sampling)
    crop(Volume(distance), wide).array[:] = np.maximum(near, _FAR_MM)
    return distance

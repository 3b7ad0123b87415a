"""From a seed to a phantom: the size of the spleen is solved for, then the patient is painted slab by slab."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from agunetr.inference.volume import Volume
from agunetr.phantom import frame, gut, organs, scanner
from agunetr.phantom.canvas import LABELS, Canvas
from agunetr.phantom.patient import CONTRASTS, Patient, draw_patient
from agunetr.phantom.torso import Fields, Slab

DEFAULT_SIZE = (213, 173, 87)
DEFAULT_SPACING_MM = (1.5, 1.5, 3.0)
_SLAB_VOXELS = 900_000  # painted at once: bounds the memory of a phantom of any size
_SOLVING_MM = 5.0


@dataclass(frozen=True)
class Phantom:
    """An imagined abdominal CT with its truth.

    Attributes:
        ct: int16 HU, axes along RAS+.
        spleen: uint8, 1 in the spleen, on the CT's grid.
        labels: uint8, numbers of :data:`LABELS`, on the CT's grid.
        contrast: one of :data:`CONTRASTS`.
        seed: what it was made from.
    """

    ct: Volume
    spleen: Volume
    labels: Volume
    contrast: str
    seed: int


def make_phantom(
    seed: int,
    size: Sequence[int] = DEFAULT_SIZE,
    spacing_mm: Sequence[float] = DEFAULT_SPACING_MM,
    spleen: bool = True,
    contrast: str | None = None,
) -> Phantom:
    """A procedural CT of an abdomen: one seed, one patient, at any size and spacing.

    The anatomy belongs to the seed; size and spacing say only what the scanner sees of it (bodies are made to fit
    the field of view). The volume is centred on the body and on the level of the spleen.

    Args:
        seed: 0 or more; the same arguments give the same voxels.
        size: voxels along (i, j, k) = (right, front, up).
        spacing_mm: along (i, j, k).
        spleen: False makes a patient whose spleen was taken out.
        contrast: "none", "arterial", "portal" or "late"; drawn by chance where None.

    Raises:
        ValueError: an argument is out of range; the message names it.
    """
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise ValueError(f"seed must be a whole number of at least 0, not {seed!r}.")
    if len(size) != 3 or any(int(count) != count or not 8 <= count <= 2048 for count in size):
        raise ValueError(f"size must be three whole numbers (i, j, k) from 8 to 2048, not {tuple(size)}.")
    if len(spacing_mm) != 3 or any(not math.isfinite(step) or not 0.2 <= step <= 20 for step in spacing_mm):
        raise ValueError(f"spacing_mm must be three numbers (i, j, k) from 0.2 to 20, not {tuple(spacing_mm)}.")
    if contrast is not None and contrast not in CONTRASTS:
        raise ValueError(f"contrast must be one of {', '.join(CONTRASTS)}, not {contrast!r}.")
    counts = tuple(int(count) for count in size)
    spacing = tuple(float(step) for step in spacing_mm)
    patient = draw_patient(int(seed), tuple(c * s for c, s in zip(counts, spacing, strict=True)), spleen, contrast)
    fields = Fields(patient)
    axes = tuple((np.arange(c) - (c - 1) / 2) * s for c, s in zip(counts, spacing, strict=True))
    # The table needs room behind the patient, so the body lies in front of the middle of the field.
    axes = (axes[0], axes[1] - 0.04 * counts[1] * spacing[1], axes[2])
    size_mm = _solve_spleen(patient, fields) if spleen else 0.0
    hu, label = paint(patient, fields, axes, lambda canvas, _: organs.paint_spleen(canvas, size_mm))
    _drop_crumbs(hu, label)
    scanner.paint_table(patient, hu, label, axes)
    matrix = np.diag([*spacing, 1.0])
    matrix[:3, 3] = [axis[0] for axis in axes]
    ct = Volume(scanner.scan(patient, hu, axes, spacing), matrix)
    mask = (label == LABELS["spleen"]).astype(np.uint8)
    return Phantom(ct, ct.with_array(mask), ct.with_array(label), patient.contrast, int(seed))


def paint(
    patient: Patient,
    fields: Fields,
    axes: tuple[np.ndarray, np.ndarray, np.ndarray],
    paint_spleen: Callable[[Canvas, slice], np.ndarray],
    paint_last: Callable[[Canvas, slice], None] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """HU (float32) and labels (uint8), (z, y, x), of the patient before the scanner adds table, blur and noise.

    Args:
        patient, fields: who is painted.
        axes: the grid's x, y, z in the patient's frame, mm.
        paint_spleen: paints the spleen of a slab, whose part of the z axis it is told, and returns its soft distance.
        paint_last: paints what must lie above all others.
    """
    shape = tuple(len(axis) for axis in axes[::-1])
    hu, label = np.empty(shape, np.float32), np.empty(shape, np.uint8)
    step = max(1, _SLAB_VOXELS // (shape[2] * shape[1]))
    for first in range(0, shape[0], step):
        part = slice(first, first + step)
        canvas = Canvas(Slab(patient, fields, (axes[0], axes[1], axes[2][part])))
        frame.paint_body(canvas)
        frame.paint_chest(canvas)
        frame.paint_psoas(canvas)
        organs.paint_kidneys(canvas)
        spleen = paint_spleen(canvas, part)
        organs.paint_liver(canvas, spleen)
        gut.paint_vessels(canvas)
        gut.paint_pancreas(canvas, spleen)
        gut.paint_stomach(canvas, spleen)
        gut.paint_bowel(canvas, spleen)
        frame.paint_ribs(canvas)
        frame.paint_spine(canvas)
        frame.paint_arms(canvas)
        if paint_last is not None:
            paint_last(canvas, part)
        hu[part], label[part] = canvas.hu, canvas.label
    return hu, label


def _solve_spleen(patient: Patient, fields: Fields) -> float:
    """The half length (mm) at which the spleen has its volume, by bisection on a coarse grid."""
    step = _SOLVING_MM
    axes = (
        np.arange(-patient.half_width, 10, step),
        np.arange(-patient.half_back, patient.half_front, step),
        np.arange(-190, patient.dome_left + 20, step),
    )
    slab = Slab(patient, fields, axes)
    everything = (slice(None), slice(None), slice(None))
    wanted = patient.spleen_ml * 1000 / step**3
    low, high = 15.0, 160.0
    for _ in range(14):
        middle = 0.5 * (low + high)
        if np.count_nonzero(organs.spleen_shape(slab, everything, middle) > 0) < wanted:
            low = middle
        else:
            high = middle
    return high


def _drop_crumbs(hu: np.ndarray, label: np.ndarray) -> None:
    """Only the largest piece of the spleen is spleen; pieces that its neighbours cut off become fat."""
    pieces, count = ndimage.label(label == LABELS["spleen"])
    if count < 2:
        return
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    crumbs = (pieces > 0) & (pieces != sizes.argmax())
    hu[crumbs], label[crumbs] = -100, LABELS["fat"]

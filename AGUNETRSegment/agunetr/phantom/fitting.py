"""Finds the imagined patient in whose body a given spleen fits: how large, where in the scan, how high the diaphragm.

A mask says nothing about the body around it. What is used: a spleen lies against the wall of the abdomen, under the
diaphragm; scanners are set so that the body fills most of the field; the spine is about in its middle.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from agunetr.phantom.patient import Patient
from agunetr.phantom.torso import Fields, Slab

GAP_MM = 3.0
"""Wanted between the wall and the parts of the spleen next to it."""
BODY_SHARE = 0.88
"""Of the field's width that a body fills."""
MIDDLE_SHARE = 0.03
"""Of the field's depth by which the middle of a body lies in front of that of the field: the table needs room."""
ABOVE_MM = (6.0, 32.0)
"""Least and most height of the diaphragm over the spleen; one that needs more is seen beside lung, as in patients."""
STEEPEST_DROP = 0.8
_DIRECTIONS = 192
_SCALES = np.linspace(0.75, 1.4, 40)
_ACROSS_MM = np.linspace(-12, 12, 5)
_ALONG_MM = np.linspace(-50, 60, 45)
_COARSE_MM = 6.0


@dataclass(frozen=True)
class Placement:
    """A patient and where their own frame lies in the scan's: ``origin_mm``, x, y, z."""

    patient: Patient
    origin_mm: tuple[float, float, float]


def fit_patient(patient: Patient, points_mm: np.ndarray, spleen_ml: float, field_mm: tuple[float, float]) -> Placement:
    """Change a drawn patient so that a spleen fits in.

    Args:
        patient: as :func:`agunetr.phantom.patient.draw_patient` drew it.
        points_mm: (n, 3) places x, y, z (RAS+) of the spleen's voxels in the scan, whose middle is 0.
        spleen_ml: its volume.
        field_mm: width (x) and depth (y) of the scan.
    """
    outer = _outermost(points_mm)
    across, along = (middle[..., None] for middle in np.meshgrid(_ACROSS_MM, _ALONG_MM, indexing="ij"))
    unlikely = ((along - MIDDLE_SHARE * field_mm[1]) / 20) ** 2 + (across / 10) ** 2
    costs = []
    for scale in _SCALES:
        gaps = _gaps(patient, scale, outer[:, 0] - across, outer[:, 1] - along)
        in_wall = np.square(np.minimum(gaps - GAP_MM, 0)).mean(axis=-1)
        apart = np.square(np.maximum(np.percentile(gaps, 15, axis=-1) - GAP_MM, 0))
        share = 2 * scale * patient.half_width / field_mm[0]
        costs.append(4 * in_wall + 0.05 * apart + ((share - BODY_SHARE) / 0.05) ** 2 + unlikely[..., 0])
    best = np.unravel_index(np.argmin(costs), (len(_SCALES), len(_ACROSS_MM), len(_ALONG_MM)))
    scale, across, along = (float(values[i]) for values, i in zip((_SCALES, _ACROSS_MM, _ALONG_MM), best, strict=True))
    centre = points_mm.mean(axis=0)
    fitted = replace(
        _scaled(patient, scale),
        has_spleen=True,
        spleen_ml=spleen_ml,
        spleen_z=0.0,
        dome_drop=min(patient.dome_drop, STEEPEST_DROP),
        spleen_angle=float(np.arctan2(across - centre[0], along - centre[1])),
    )
    origin = (across, along, float(centre[2]))
    return Placement(_under_diaphragm(fitted, points_mm - origin), origin)


def _scaled(patient: Patient, scale: float) -> Patient:
    """Wider and deeper, with the same fat and muscles."""
    grown = {
        f"{body}": getattr(patient, body) + (scale - 1) * getattr(patient, cavity)
        for body, cavity in (
            ("half_width", "cavity_width"), ("half_front", "cavity_front"), ("half_back", "cavity_back")
        )
    }  # fmt: skip
    for cavity in ("cavity_width", "cavity_front", "cavity_back", "spine_y"):
        grown[cavity] = scale * getattr(patient, cavity)
    return replace(patient, **grown)


def _gaps(patient: Patient, scale: float, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Depth (mm) of places inside the wall, as :class:`agunetr.phantom.torso.Slab` has it but for the warp."""
    behind, front = scale * patient.cavity_back, scale * patient.cavity_front
    across = np.abs(x / (scale * patient.cavity_width)) ** patient.skin_exponent
    along = np.abs(y / np.where(y < 0, behind, front)) ** patient.skin_exponent
    norm = (across + along) ** (1 / patient.skin_exponent)
    return np.hypot(x, y) * (1 / np.maximum(norm, 1e-3) - 1)


def _outermost(points_mm: np.ndarray) -> np.ndarray:
    """(n, 2) the places farthest out, seen from the middle of the scan, one a direction."""
    angle = np.arctan2(points_mm[:, 1], points_mm[:, 0])
    radius = np.hypot(points_mm[:, 0], points_mm[:, 1])
    bins = ((angle + np.pi) / (2 * np.pi) * _DIRECTIONS).astype(int)
    farthest = [np.flatnonzero(bins == number) for number in np.unique(bins)]
    return points_mm[[chosen[radius[chosen].argmax()] for chosen in farthest], :2]


def _under_diaphragm(patient: Patient, points_mm: np.ndarray) -> Patient:
    """The diaphragm as low as it may be without cutting the spleen, which lies at ``points_mm`` of the own frame."""
    low, high = points_mm.min(axis=0), points_mm.max(axis=0)
    axes = tuple(np.arange(a, b + _COARSE_MM, _COARSE_MM) for a, b in zip(low, high, strict=True))
    index = np.rint((points_mm - low) / _COARSE_MM).astype(int)
    fields = Fields(patient)
    top = float(points_mm[:, 2].max())
    lowest, highest = top + ABOVE_MM[0], top + ABOVE_MM[1]
    rise = patient.dome_right - patient.dome_left
    for _ in range(6):
        middle = 0.5 * (lowest + highest)
        tried = replace(patient, dome_left=middle, dome_right=middle + rise)
        depth = Slab(tried, fields, axes).depth_dome
        if np.percentile(depth[index[:, 2], index[:, 1], index[:, 0]], 2) < GAP_MM:
            lowest = middle
        else:
            highest = middle
    return replace(patient, dome_left=highest, dome_right=highest + rise)

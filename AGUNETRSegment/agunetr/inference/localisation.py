"""From a coarse map of probabilities to the place of the organ, or to a doubt.

A localiser that is wrong about the place would make everything after it wrong, so it has to know when it does not
know. :func:`localise` trusts a map only where it shows one organ: of a size that a spleen can have, clearly marked, in
one place, and inside the body. Everything else is a :class:`Doubt`, and whoever asked searches the whole scan.

Where the map touches an end of the grid:

* Head and foot end: scans often end within the organ, so one of the two is believed. Both at once is a slab too thin
  to tell what it shows: a doubt.
* The sides, front and back: the grid reaches some millimetres beyond the skin, where no spleen is. Only a scan whose
  field of view cuts the body gets there, or a false alarm in an arm: a doubt.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from agunetr.inference.cleanup import TOUCHING

CORE = 0.5
"""Voxels more probable than this decide whether and where there is an organ."""

RIM = 0.25
"""Voxels more probable than this belong to the organ's extent where they hang together with its core."""

SMALLEST_ML = 20.0
"""Less is no spleen of a grown patient, but what false alarms are like (healthy adults have 60 to 350 ml)."""

LARGEST_ML = 2500.0
"""Massively enlarged spleens stay below about this; more is rather a map that marks the liver or half the abdomen."""

CRUMB_ML = 1.0
"""Pieces smaller than this are noise of the map and are left alone."""

RIVAL_SHARE = 0.25
"""A second piece of at least this share of the largest makes it doubtful which one is the organ."""

RIVAL_GAP_MM = 25.0
"""A second piece nearer than this belongs to the organ, whatever its size: a lobe, or an accessory spleen."""

SUREST = 0.7
"""The least mean probability of the core's voxels. A first guess: to be set from a trained localiser's scores."""


@dataclass(frozen=True)
class Found:
    """The organ is where it is marked.

    Attributes:
        marked: (R, A, S) bool on the grid of the map: every piece that may belong to the organ, with its rim.
        volume_ml: of the organ's core.
    """

    marked: np.ndarray
    volume_ml: float


@dataclass(frozen=True)
class Doubt:
    """The map is not to be trusted.

    Attributes:
        reason: why, a clause that completes "The whole scan was searched, because ...".
    """

    reason: str


def localise(probability: np.ndarray, spacing_mm: tuple[float, float, float]) -> Found | Doubt:
    """Find the organ in a coarse map, or say why it cannot be told.

    Args:
        probability: (R, A, S) in [0, 1]; the grid holds the whole body that the scan shows.
        spacing_mm: along (R, A, S).

    Returns:
        Where it is, or the reason for the doubt.
    """
    voxel_ml = float(np.prod(spacing_mm)) / 1000.0
    pieces, count = ndimage.label(probability > RIM, structure=TOUCHING)
    core = probability > CORE
    sizes_ml = np.bincount(pieces[core], minlength=count + 1)[1:] * voxel_ml
    if not count or sizes_ml.max() == 0:
        return Doubt("the localiser saw no spleen")
    main = int(np.argmax(sizes_ml))
    organ, strays, rival_ml = _gather(pieces, sizes_ml, main, spacing_mm)
    volume_ml = float(sizes_ml[organ].sum())
    belongs = np.isin(pieces, organ + 1)
    doubt = (
        _doubtful_size(volume_ml)
        or _doubtful_rival(rival_ml, volume_ml)
        or _doubtful_certainty(float(probability[belongs & core].mean()))
        or _doubtful_edges(belongs)
    )
    if doubt:
        return Doubt(doubt)
    return Found(np.isin(pieces, np.concatenate([organ, strays]) + 1), volume_ml)


def _gather(
    pieces: np.ndarray, sizes_ml: np.ndarray, main: int, spacing_mm: tuple[float, float, float]
) -> tuple[np.ndarray, np.ndarray, float]:
    """The organ's pieces (numbers from 0), the other pieces worth a look, and the size of the largest of those."""
    distance_mm = ndimage.distance_transform_edt(pieces != main + 1, sampling=spacing_mm)
    gaps_mm = ndimage.minimum(distance_mm, pieces, np.arange(1, len(sizes_ml) + 1))
    worth = sizes_ml >= min(CRUMB_ML, sizes_ml[main])
    near = worth & (gaps_mm <= RIVAL_GAP_MM)
    far = worth & ~near
    return np.flatnonzero(near), np.flatnonzero(far), float(sizes_ml[far].max(initial=0.0))


def _doubtful_size(volume_ml: float) -> str:
    if volume_ml < SMALLEST_ML:
        return f"what the localiser saw is too small for a spleen ({volume_ml:.0f} ml)"
    if volume_ml > LARGEST_ML:
        return f"what the localiser saw is too large for a spleen ({volume_ml:.0f} ml)"
    return ""


def _doubtful_rival(rival_ml: float, volume_ml: float) -> str:
    if rival_ml >= RIVAL_SHARE * volume_ml:
        return f"the localiser saw two places that could be the spleen ({volume_ml:.0f} and {rival_ml:.0f} ml)"
    return ""


def _doubtful_certainty(mean: float) -> str:
    return f"the localiser was not sure (mean probability {mean:.2f})" if mean < SUREST else ""


def _doubtful_edges(marked: np.ndarray) -> str:
    if any(marked.take(end, axis=axis).any() for axis in (0, 1) for end in (0, -1)):
        return "what the localiser saw reaches the side of the scan, where no spleen is"
    if marked[:, :, 0].any() and marked[:, :, -1].any():
        return "the scan is a slab that the spleen reaches through"
    return ""

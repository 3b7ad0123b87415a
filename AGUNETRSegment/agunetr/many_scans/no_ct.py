"""Which images among CTs are none: masks, label maps and maps of probabilities that lie beside them.

Names do not tell (``spleen_12.nii.gz`` is a CT of a well-known data set), values do: a label map is the same over wide
areas, while a CT's noise makes neighbours differ, even where it was windowed to a few grey levels.
"""

from __future__ import annotations

import math

import numpy as np

from agunetr.errors import InputError

MOST_LONELY = 0.2
"""Largest share of a label map's voxels that are unlike both their neighbours along a row; noise makes it 0.7."""
MOST_LABELS = 256
"""More values than this are no labels; a CT that was enlarged by repeating voxels has no lonely ones."""
_SAMPLE_VOXELS = 4_000_000


class NoCtError(InputError):
    """An image among the CTs that is a mask or a map; no failure, there is nothing to do for it."""

    kind = "no-ct"


def refuse_no_ct(array: np.ndarray) -> None:
    """Refuse values (z, y, x) that cannot be a CT's.

    Raises:
        NoCtError: it is a mask, a label map or a map of probabilities; the message says how that shows.
    """
    lowest, highest = float(array.min()), float(array.max())
    if lowest < 0:
        return
    sections = array[:: max(1, math.ceil(array.size / _SAMPLE_VOXELS))]
    whole = np.issubdtype(array.dtype, np.integer) or bool(np.array_equal(sections, np.rint(sections)))
    if not whole and highest <= 1:
        raise _no_ct("a map of probabilities or of attention", "all values lie between 0 and 1")
    if whole and _lonely_share(sections) < MOST_LONELY and len(np.unique(sections)) <= MOST_LABELS:
        raise _no_ct("a mask", f"its values are labels from 0 to {highest:g}")


def _lonely_share(sections: np.ndarray) -> float:
    """The share of the voxels above 0 that differ from both neighbours along a row (the last axis)."""
    middle = sections[..., 1:-1]
    lonely = (middle != sections[..., :-2]) & (middle != sections[..., 2:])
    labelled = middle > 0
    count = int(labelled.sum())
    return int((lonely & labelled).sum()) / count if count else 0.0


def _no_ct(what: str, why: str) -> NoCtError:
    return NoCtError(
        f"Left out: this is {what} and no CT, {why}.", "If it is a CT all the same, segment it in a run of its own."
    )

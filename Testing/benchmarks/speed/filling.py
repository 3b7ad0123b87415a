"""From what subjects measured to rows: the parts that all rows have in common."""

from __future__ import annotations

from typing import Any

import numpy as np

from agunetr.inference.cleanup import clean_mask
from agunetr.measures import dice_score
from speed.definitions import DEFINITIONS
from speed.rows import NotMeasured, Row
from speed.subjects import Measured
from speed.tasks import kept_mask

_TOLD = ("device", "engine", "engine_reason", "precision", "precision_reason", "search", "search_reason")
_COUNTED = ("windows", "windows_of_dense", "stages", "notices", "foreground")


def empty_row(name: str, problem: str = "") -> Row:
    """The row of a name, not measured yet, or not measured because of ``problem``."""
    row = DEFINITIONS[name].row(name)
    row.not_measured = problem
    return row


def filled_row(name: str, ours: Measured, reference: Measured, **details: Any) -> Row:
    """A row with the times and memory of two subjects, and ``details``; not measured where either failed."""
    row = empty_row(name)
    row.details = details
    try:
        ours.demand()
        reference.demand()
    except NotMeasured as problem:
        row.not_measured = str(problem)
        return row
    row.repetitions = {"ours": list(ours.seconds), "reference": list(reference.seconds)}
    row.peak_memory_mb = ours.peak_mb
    if reference.peak_mb is not None:
        row.details["reference_peak_memory_mb"] = round(reference.peak_mb, 1)
    row.details |= {name: ours.last[name] for name in (*_TOLD, *_COUNTED) if name in ours.last}
    return row


def mask_difference(mask: np.ndarray, expected: np.ndarray) -> float:
    """Voxels that differ, as a share of the expected foreground."""
    return float(np.count_nonzero(mask != expected)) / max(1, int(np.count_nonzero(expected)))


def dice_of_files(ours: str, reference: str, clean_reference: bool = False) -> float:
    """Dice of two kept masks.

    Args:
        ours, reference: files of :func:`speed.tasks.keep_mask`.
        clean_reference: clean the reference as ours was: MONAI's pipeline keeps every piece and hole.

    Raises:
        ValueError: the shapes differ.
    """
    expected = kept_mask(reference)
    if clean_reference:
        expected = clean_mask(expected.astype(np.uint8))
    return dice_score(kept_mask(ours), expected)

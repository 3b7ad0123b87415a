"""The scores of a job in the form of a model's metadata, which the model card shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

PARTS = {
    "test": "Test cases took no part in the training and chose nothing.",
    "validation": "Validation cases chose the checkpoint, so their scores flatter; no weight was trained on them.",
}


def card_scores(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """``cases``, ``mean_dice`` and a ``note`` on how to read them; empty where nothing was scored.

    Args:
        rows: of :func:`agunetr_train.evaluation.scoring.read_scores`.

    Returns:
        JSON-ready. Measures that are undefined stay None. Where the data says which scans show contrast and the whole
        spleen, the mean over those stands beside the mean over all.
    """
    if not rows:
        return {}
    scores = {
        "cases": [_row(row) for row in rows],
        "mean_dice": round(fmean(row["dice"] for row in rows), 4),
        "note": _note(rows),
    }
    whole = [row["dice"] for row in rows if row.get("contrast") and row.get("whole_spleen")]
    if whole:
        scores["mean_dice_contrast_whole_spleen"] = round(fmean(whole), 4)
    return scores


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "case": row["case"],
        "dice": round(row["dice"], 4),
        "hd95_mm": _rounded(row["hausdorff95_mm"], 1),
        "surface_dice_2mm": _rounded(row["surface_dice"], 4),
        "volume_ml": _rounded(row["volume_ml"], 1),
        "reference_ml": _rounded(row["reference_volume_ml"], 1),
        "part": row["part"],
        **{fact: row[fact] for fact in ("contrast", "whole_spleen", "label_grade") if fact in row},
    }


def _note(rows: Sequence[Mapping[str, Any]]) -> str:
    origins = dict.fromkeys(str(row["label_origin"]) for row in rows if row.get("label_origin"))
    masks = f"which were made by: {', '.join(origins)}" if origins else "whose origin is not stated"
    parts = " ".join(text for part, text in PARTS.items() if any(row["part"] == part for row in rows))
    return f"A Dice is agreement with the reference masks, {masks}; it is not accuracy. {parts}"


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)

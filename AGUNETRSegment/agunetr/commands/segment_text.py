"""What ``agunetr segment`` says of a result."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

EVENTS = """\
With --json, standard output carries one JSON object a line and nothing else. {"event": ...} is one of:
  notice    "kind", "message": something was left out of the list
  listed    "cases": the CTs of this process, each "case" (its name), "input" and "output"
  started   "case", "number", "total": its turn has come
  progress  "case", "stage", "done", "total", "seconds_left" (null until it can be estimated); ten a second at most
  result    "case", "output", "result" (what its result.json holds): finished
  skipped   the same, for a case that an earlier run has finished
  left-out  "case", "message", "remedy": a mask or a map, no CT
  error     "kind", "message", "remedy"; with "case": it failed or was cancelled; without: the run did
  cases     "cases": the rows of cases.json, once at the end
For one CT there are progress, and result or error. --quiet leaves progress out.
"""


def summary(result: dict[str, Any], folder: Path) -> str:
    """A result for people, a few lines."""
    lines = []
    for model in result["models"]:
        measured = [f"{model['volume_ml']:.1f} ml"]
        if model.get("longest_axis_mm") is not None:
            measured.append(f"{model['longest_axis_mm']:.0f} mm long")
        if model.get("mean_hu") is not None:
            measured.append(f"mean {model['mean_hu']:.0f} HU")
        lines.append(f"{model['name']}: {', '.join(measured)} -> {folder / model['mask']}")
        if model.get("reference"):
            lines.append(f"  against the reference: {_scores(model['reference'])}")
        lines += [f"  {gate}: {folder / file}" for gate, file in (model.get("attention") or {}).items()]
        if model.get("search_reason"):
            lines.append(f"  {model['windows']} of {model['windows_of_dense']} windows: {model['search_reason']}")
        lines += [f"  warning: {notice['message']}" for notice in model.get("warnings", ())]
    lines += [f"warning: {notice['message']}" for notice in result.get("warnings", ())]
    for pair in result.get("agreement", ()):
        if pair["dice"] is not None:
            lines.append(f"Dice between {pair['first']} and {pair['second']}: {pair['dice']:.4f}")
    seconds = result["seconds"]["total"]
    engines = " and ".join(dict.fromkeys(model["engine"] for model in result["models"]))
    lines.append(f"{seconds:.1f} s on {result['device']} with {engines}, {result['precision']}")
    return "\n".join(lines)


def _scores(scores: Mapping[str, float | None]) -> str:
    """What is undefined, such as the distance to an empty mask, is left out."""
    parts = [f"Dice {scores['dice']:.4f}"]
    if scores["hausdorff95_mm"] is not None:
        parts.append(f"HD95 {scores['hausdorff95_mm']:.1f} mm")
    if scores["surface_dice"] is not None:
        parts.append(f"surface Dice {scores['surface_dice']:.4f}")
    return ", ".join([*parts, f"{scores['volume_error_ml']:+.1f} ml"])

"""What ``agunetr segment`` says of a result."""

from __future__ import annotations

from pathlib import Path
from typing import Any


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

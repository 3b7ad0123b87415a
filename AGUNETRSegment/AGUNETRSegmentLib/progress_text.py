"""What the status line says: progress, and the sentence at the end of a run."""

from __future__ import annotations

import math

from .translation import _
from .worker_client import Progress


def stageTitle(stage: str) -> str:
    """The worker's stage in the user's words; ``"compact-gated: windows"`` names the model first.

    An unknown stage is shown as it came.
    """
    model, separator, name = stage.rpartition(": ")
    titles = {
        "read": _("Reading the CT"),
        "prepare": _("Preparing the CT"),
        "localise": _("Looking for the spleen"),
        "load": _("Loading the model"),
        "windows": _("Segmenting"),
        "restore": _("Returning to the CT's voxels"),
        "write": _("Writing the results"),
    }
    return model + separator + titles.get(name, name)


def progressText(progress: Progress) -> str:
    """One line, for example ``compact-gated: Segmenting, about 40 s left``."""
    title = stageTitle(progress.stage)
    if progress.secondsLeft is None or progress.done >= progress.total:
        return title
    seconds = max(1, math.ceil(progress.secondsLeft))
    if seconds >= 90:
        return _("{stage}, about {minutes} min left").format(stage=title, minutes=math.ceil(seconds / 60))
    return _("{stage}, about {seconds} s left").format(stage=title, seconds=seconds)


def resultText(result: dict) -> str:
    """Volumes, times and every warning of a finished run, a line each."""
    lines = []
    for model in result.get("models", []):
        lines.append(_("{model}: {volume:.0f} ml").format(model=model["name"], volume=model.get("volume_ml") or 0.0))
    for pair in result.get("agreement") or []:
        if pair.get("dice") is not None:
            lines.append(_("Dice between {first} and {second}: {dice:.3f}").format(**pair))
    total = (result.get("seconds") or {}).get("total")
    if total is not None:
        lines.append(_("{seconds:.0f} s on {device}").format(seconds=total, device=result.get("device", "?")))
    warnings = list(result.get("warnings") or [])
    for model in result.get("models", []):
        warnings += model.get("warnings") or []
    texts = dict.fromkeys(warning["message"] for warning in warnings)  # two models often say the same
    return "\n".join([*lines, *(_("Warning: {text}").format(text=text) for text in texts)])

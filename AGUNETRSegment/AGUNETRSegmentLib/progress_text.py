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
        "score": _("Comparing with the reference"),
        "import": _("Adding the results to the scene"),
    }
    return model + separator + titles.get(name, name)


def durationText(seconds: float) -> str:
    """For example ``40 s`` or ``3 min``."""
    seconds = max(1, math.ceil(seconds))
    if seconds >= 90:
        return _("{minutes} min").format(minutes=math.ceil(seconds / 60))
    return _("{seconds} s").format(seconds=seconds)


def progressText(progress: Progress) -> str:
    """One line, for example ``compact-gated: Segmenting, window 12 of 64, about 40 s left``."""
    parts = [stageTitle(progress.stage)]
    unfinished = progress.done < progress.total
    if unfinished and progress.done and progress.stage.rpartition(": ")[2] == "windows":
        parts.append(_("window {done} of {total}").format(done=progress.done, total=progress.total))
    if unfinished and progress.secondsLeft is not None:
        parts.append(_("about {time} left").format(time=durationText(progress.secondsLeft)))
    return ", ".join(parts)


def resultText(result: dict, seconds: float | None = None) -> str:
    """One sentence on a finished run, then every warning, a line each.

    :param result: the parsed ``result.json``.
    :param seconds: what the user waited; else what the engine took.
    """
    models = result.get("models") or []
    missing = [model["name"] for model in models if not model.get("voxels", model.get("volume_ml"))]
    warnings = [warning for part in (result, *models) for warning in part.get("warnings") or []]
    if models and len(missing) == len(models):
        # The engine's own warning says so once more.
        warnings = [warning for warning in warnings if warning.get("kind") != "no-spleen"]
        sentence = _(
            "No spleen was found: the scan may not show the upper left abdomen, its values may not be Hounsfield "
            "units, its orientation may be wrong, or the spleen may have been removed.")
    else:
        sentence = _("Done{where}: {findings}.").format(
            where=_whereText(result, seconds), findings=", ".join(_findings(result, models, missing)))
    texts = dict.fromkeys(warning["message"] for warning in warnings)  # two models often say the same
    return "\n".join([sentence, *(_("Warning: {text}").format(text=text) for text in texts)])


def _whereText(result: dict, seconds: float | None) -> str:
    if seconds is None:
        seconds = (result.get("seconds") or {}).get("total")
    if seconds is None:
        return ""
    return _(" in {time} on {device}").format(time=durationText(seconds), device=result.get("device", "?"))


def _findings(result: dict, models: list[dict], missing: list[str]) -> list[str]:
    found = [_("{count} frames; in the one shown").format(count=result["frames"])] if "frames" in result else []
    found += [
        _("{model} found no spleen").format(model=model["name"]) if model["name"] in missing
        else _("{model} {volume:.0f} ml").format(model=model["name"], volume=model.get("volume_ml") or 0.0)
        for model in models]
    for pair in result.get("agreement") or []:
        if pair.get("dice") is not None:
            found.append(_("Dice of {first} and {second} {dice:.3f}").format(**pair))
    return found

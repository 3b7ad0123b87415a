"""Which models are ticked, and what a row of the table says: without widgets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from .translation import _

VARIANTS = {
    "unetr": lambda: _("base"),
    "agunetr-v1": lambda: _("gated, v1"),
    "agunetr-v2": lambda: _("gated, v2"),
    "agunetr-deep": lambda: _("gated, deep"),
}


def firstChoice(models: Sequence[Mapping]) -> list[str]:
    """What is ticked at the first start: a base model and a gated one, those that came with AGUNETR before others."""
    ordered = sorted(models, key=lambda model: not model.get("embedded"))
    base = next((model["name"] for model in ordered if not model.get("gates")), None)
    gated = next((model["name"] for model in ordered if model.get("gates")), None)
    chosen = {name for name in (base, gated) if name}
    return [model["name"] for model in models if model["name"] in chosen]


def stillThere(chosen: Sequence[str], models: Sequence[Mapping]) -> tuple[list[str], list[str]]:
    """The chosen names that are installed, in the table's order, and those that are not."""
    names = [model["name"] for model in models]
    return [name for name in names if name in chosen], [name for name in chosen if name not in names]


def unusable(broken: Mapping) -> dict:
    """A row of the table for a folder that holds no usable model (an entry of the worker's ``broken``)."""
    return {
        "name": Path(str(broken.get("folder", ""))).name,
        "folder": str(broken.get("folder", "")),
        "reason": str(broken.get("reason", "")),
        "embedded": not broken.get("removable"),
    }


def isUsable(model: Mapping) -> bool:
    """Whether the row is of a model that can segment."""
    return "reason" not in model


def rowTexts(model: Mapping) -> list[str]:
    """The table's columns: name, variant, size, Dice, licence."""
    if not isUsable(model):
        return [str(model["name"]), _("cannot be used"), "", "", ""]
    variant = str(model.get("variant", ""))
    dice = model.get("mean_dice")
    return [
        str(model.get("name", "")),
        VARIANTS[variant]() if variant in VARIANTS else variant,
        sizeText(float(model.get("size_bytes") or 0)),
        f"{dice:.3f}" if isinstance(dice, int | float) else _("none"),
        str(model.get("licence") or _("not stated")),
    ]


def rowToolTip(model: Mapping) -> str:
    """What does not fit into the row."""
    if not isUsable(model):
        return _("Cannot be used: {reason}").format(reason=model["reason"])
    gates = ", ".join(map(str, model.get("gates") or ())) or _("none")
    origin = _("came with AGUNETR") if model.get("embedded") else _("imported")
    return _("{title}\nGates: {gates}\nLicence of the weights: {licence}\n{origin}").format(
        title=model.get("title") or model.get("name", ""),
        gates=gates,
        licence=model.get("licence") or _("not stated"),
        origin=origin,
    )


def sizeText(sizeBytes: float) -> str:
    """Bytes for people, in decimal units."""
    for unit in ("B", "kB", "MB"):
        if sizeBytes < 1000:
            return f"{sizeBytes:.0f} {unit}"
        sizeBytes /= 1000
    return f"{sizeBytes:.1f} GB"

"""The model card ``docs/README.md``, written from the metadata alone so that the two cannot disagree.

The chapters follow Mitchell et al. 2019, "Model Cards for Model Reporting" (arXiv:1810.03993): what the model is and
is for, the data it saw, how it was made, what it reached on patients it never saw, and what it cannot do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from agunetr.models.metadata import LOCALISER, ModelDescription, mean_dice

RESEARCH_ONLY = (
    "Research use only. It is no medical device, was not validated clinically, "
    "and must not be used for diagnosis or treatment."
)
VARIANTS = {
    "unetr": "UNETR without gates (Hatamizadeh et al. 2021, arXiv:2103.10504)",
    "agunetr-v1": "UNETR with the attention gate of Attention U-Net (Oktay et al. 2018, arXiv:1804.03999) at",
    "agunetr-v2": "UNETR with the improved attention gate at",
    "agunetr-deep": "UNETR with attention gates at",
}
SCORE_TITLES = {
    "case": "case",
    "dice": "Dice",
    "hd95_mm": "95 % Hausdorff distance (mm)",
    "surface_dice_2mm": "surface Dice at 2 mm",
    "surface_dice": "surface Dice at 2 mm",
    "volume_ml": "volume (ml)",
    "reference_ml": "reference volume (ml)",
    "relative_volume_error": "relative volume error",
}


def model_card(description: ModelDescription, parameters: int | None = None) -> str:
    """The card as Markdown.

    Args:
        description: the model's metadata.
        parameters: how many weights the network has; left out of the card where None.
    """
    chapters = [
        f"# {_text(description.title)}",
        f"`{description.name}`: {_purpose(description)} {RESEARCH_ONLY}",
        "## Network\n\n" + _bullets(_network_facts(description, parameters)),
        "## Training data\n\n" + _training_data(description.training_data),
        "## Recipe\n\n" + (_bullets(_pairs(description.recipe)) or "Not recorded."),
        "## Scores on patients kept out of training\n\n" + _scores(description.scores),
        "## Limits\n\n" + _bullets([RESEARCH_ONLY, *map(_text, description.limits)]),
        f"## Licence of the weights\n\n{_text(description.licence) or 'Not stated.'}",
        "## Use\n\n" + _usage(description),
    ]
    return "\n\n".join(chapters) + "\n"


def _purpose(description: ModelDescription) -> str:
    if description.role == LOCALISER:
        return "finds roughly where the spleen is in abdominal CT, for the models that segment it."
    return "finds the spleen in abdominal CT."


def _network_facts(description: ModelDescription, parameters: int | None) -> list[str]:
    network = description.network
    kind = VARIANTS[network.variant]
    if network.gates:
        kind += f" {', '.join(network.gates)}"
    window_mm = [edge * step for edge, step in zip(network.window, description.spacing_mm, strict=True)]
    low, high = description.intensity_range
    facts = [
        f"variant `{network.variant}`: {kind}",
        f"hidden size {network.hidden_size}, {network.layers} layers, {network.heads} heads, MLP {network.mlp_dim}, "
        f"feature size {network.feature_size}" + (f"; {parameters:,} parameters" if parameters is not None else ""),
        f"window {_by(network.window)} voxels (R, A, S) at {_by(description.spacing_mm)} mm, "
        f"a view of {_by(window_mm)} mm",
        f"intensities from {low:g} to {high:g} HU are mapped to 0 to 1 and clipped",
    ]
    return facts


def _training_data(sources: Sequence[Mapping[str, str]]) -> str:
    if not sources:
        return "Not recorded."
    columns = list(dict.fromkeys(["name", "origin", "licence", "use", *(key for source in sources for key in source)]))
    return _table(columns, ([source.get(column, "") for column in columns] for source in sources))


def _scores(scores: Mapping[str, Any]) -> str:
    cases = list(scores.get("cases", ()))
    if not cases:
        parts = ["Nothing was measured on kept-out patients: do not expect any quality."]
    else:
        columns = list(dict.fromkeys(["case", "dice", *(key for case in cases for key in case)]))
        titles = [SCORE_TITLES.get(column, column.replace("_", " ")) for column in columns]
        parts = [_table(titles, ([case.get(column) for column in columns] for case in cases))]
    if (mean := mean_dice(scores)) is not None:
        parts.append(f"Mean Dice: {mean:.3f}.")
    others = {key: value for key, value in scores.items() if key not in ("cases", "mean_dice", "note")}
    if others:
        parts.append(_bullets(_pairs(others)))
    if scores.get("note"):
        parts.append(_text(scores["note"]))
    return "\n\n".join(parts)


def _usage(description: ModelDescription) -> str:
    if description.role == LOCALISER:
        return (
            "AGUNETR runs it by itself before a model, from `Resources/Localiser`; `agunetr segment --no-localise` "
            "leaves it out."
        )
    return (
        f"```\nagunetr segment CT.nii.gz --model {description.name} --output DIR\n```\n\n"
        "or, from this model's folder and with AGUNETR installed, through MONAI:\n\n"
        "```\npython -m monai.bundle run --config_file configs/inference.json --bundle_root . "
        "--dataset_dir FOLDER_OR_CT --output_dir DIR\n```"
    )


def _pairs(values: Mapping[str, Any]) -> list[str]:
    return [f"{_text(key.replace('_', ' '))}: {_value(value)}" for key, value in values.items()]


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key.replace('_', ' ')} {_value(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_value, value))
    return _cell(value)


def _cell(value: Any) -> str:
    """One value as text; an undefined measure is called so and never shown as a number."""
    if value is None:
        return "undefined"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    return _text(value)


def _text(value: Any) -> str:
    return " ".join(str(value).split())


def _by(numbers: Iterable[float]) -> str:
    return " x ".join(f"{number:g}" for number in numbers)


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _table(titles: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    def line(cells: Iterable[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    body = [line(map(_cell, row)) for row in rows]
    return "\n".join([line(map(_text, titles)), "|" + "---|" * len(titles), *body])

"""Reading experiment files: every unknown key and wrong value is refused with a sentence that names it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from agunetr.errors import InputError
from agunetr_train.experiments.definition import Experiment, SplitPlan, Stage

_PACKAGE = Path(__file__).resolve().parents[1]
EXPERIMENT_FOLDERS = (_PACKAGE.parent / "Resources" / "Experiments", _PACKAGE / "embedded")
"""Beside the package in the repository and in Slicer, inside it where it was installed from a wheel."""

REMEDY = "Correct the experiment; the shipped ones are examples."


def shipped_experiments() -> dict[str, Path]:
    """The experiments that come with the project, by name."""
    return {path.stem: path for folder in EXPERIMENT_FOLDERS for path in sorted(folder.glob("*.json"))}


def load_experiment(name_or_path: str | Path) -> Experiment:
    """A shipped experiment by its name, or any experiment file.

    Raises:
        InputError: there is no such file, or a key or value in it is wrong; the message names it.
    """
    shipped = shipped_experiments()
    path = shipped.get(str(name_or_path), Path(name_or_path))
    if not path.is_file():
        raise InputError(
            f"There is no experiment {str(name_or_path)!r}.", f"Give a file, or one of: {', '.join(shipped)}."
        )
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is no JSON file: {error}.", "Correct it.") from error
    return experiment_from(values, path.name)


def experiment_from(values: Any, place: str) -> Experiment:
    """An experiment from the content of its file.

    Args:
        values: the parsed JSON.
        place: what to call the file in an error.

    Raises:
        InputError: a key or value is wrong; the message names it.
    """
    try:
        experiment = Experiment.model_validate_json(json.dumps(_with_defaults(values)))
    except ValidationError as error:
        raise InputError(f"{place}: {_sentence(error, values)}", REMEDY) from error
    _check_stages(experiment)
    _check_split(experiment.split)
    return experiment


def _with_defaults(values: Any) -> Any:
    """The stages with what the experiment's ``defaults`` say about all of them; nested objects are merged."""
    if not isinstance(values, dict) or not isinstance(values.get("stages"), list):
        return values
    defaults = values.get("defaults", {})
    if not isinstance(defaults, dict) or not all(isinstance(stage, dict) for stage in values["stages"]):
        return values
    return {**values, "stages": [_merged(defaults, stage) for stage in values["stages"]]}


def _merged(defaults: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    merged = {**defaults, **own}
    for key, value in defaults.items():
        if isinstance(value, dict) and isinstance(own.get(key), dict):
            merged[key] = {**value, **own[key]}
    return merged


def _sentence(error: ValidationError, values: Any) -> str:
    """One of pydantic's findings as one sentence that names the key."""
    findings = error.errors(include_url=False)
    # A misspelt key is both unknown and, under its right name, missing: what is there says more.
    first = next((finding for finding in findings if finding["type"] == "extra_forbidden"), findings[0])
    path = [part for part in first["loc"] if not (isinstance(part, str) and ("[" in part or part in ("int", "float")))]
    key = _spelled(path, values)
    if first["type"] == "extra_forbidden":
        return f"the key {key!r} is unknown."
    if first["type"] == "missing":
        return f"the key {key!r} is missing."
    return f"{key} is {first['input']!r}; {first['msg'][0].lower()}{first['msg'][1:]}."


def _spelled(path: list[str | int], values: Any) -> str:
    """``stages.base.epochs`` for the path ("stages", 0, "epochs"): stages are called by their names."""
    parts = []
    for part in path:
        if isinstance(part, int) and parts == ["stages"]:
            stage = values["stages"][part]
            parts.append(str(stage.get("name", part + 1)) if isinstance(stage, dict) else str(part + 1))
        else:
            parts.append(str(part))
    return ".".join(parts) or "the file"


def _check_stages(experiment: Experiment) -> None:
    names = [stage.name for stage in experiment.stages]
    if len(set(names)) != len(names):
        raise InputError("Two stages have the same name.", "Rename one.")
    if len(set(experiment.seeds)) != len(experiment.seeds):
        raise InputError("seeds names a seed twice.", REMEDY)
    low, high = experiment.intensity_range
    if low >= high:
        raise InputError(f"intensity_range is {experiment.intensity_range}.", "Give the lower HU first.")
    for name in experiment.compare:
        experiment.stage(name)
    for number, stage in enumerate(experiment.stages):
        _check_stage(experiment, stage, names[:number])


def _check_stage(experiment: Experiment, stage: Stage, earlier: list[str]) -> None:
    where = f"of stage {stage.name!r}"
    if stage.start is not None and stage.start not in earlier:
        raise InputError(f"start {where} is {stage.start!r}, which is no earlier stage.", "Name one above it.")
    if stage.start is not None and stage.warm_start is not None:
        raise InputError(f"start and warm_start {where} are both given.", "Give one of them.")
    if stage.patches_per_step % stage.accumulation_steps:
        raise InputError(
            f"patches_per_step {where} is {stage.patches_per_step}, which accumulation_steps "
            f"{stage.accumulation_steps} does not divide.",
            REMEDY,
        )
    fewest, most = stage.augmentation.slab_slices
    if fewest > most:
        raise InputError(f"slab_slices {where} is {stage.augmentation.slab_slices}.", "Give the fewest first.")
    try:
        right, front, _ = experiment.network_config(stage).window
    except ValueError as error:
        raise InputError(f"The network {where} cannot be built: {error}", REMEDY) from error
    if stage.augmentation.p_rotate90 and right != front:
        raise InputError(
            f"p_rotate90 {where} turns a window of {right}x{front} voxels, which is not square, by 90 degrees.",
            "Set p_rotate90 to 0, or make the window as wide as deep.",
        )


def _check_split(split: SplitPlan) -> None:
    seen: dict[str, str] = {}
    for part in ("training", "validation", "test"):
        names = getattr(split, part)
        for name in names if isinstance(names, tuple) else ():
            if name in seen:
                raise InputError(
                    f"The case {name!r} is in split.{seen[name]} and in split.{part}.",
                    "A patient belongs to one part only.",
                )
            seen[name] = part
    if split.training == ():
        raise InputError("split.training names no case.", "Name at least one, or leave it out.")
    if split.folds == 1:
        raise InputError("split.folds is 1.", "Give 0 for one split, or at least 2.")
    if split.folds and split.training is not None:
        raise InputError("split.training is given beside split.folds.", "Folds train on what they leave; leave it out.")

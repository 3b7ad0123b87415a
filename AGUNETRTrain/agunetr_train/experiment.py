"""Experiments as data: a JSON file that names data, split, networks, stages and every hyperparameter.

A *stage* trains one variant. It may continue the weights of an earlier stage, so that several variants can share
their first part: they have then seen the same data, in the same order, for the same number of steps.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from agunetr.errors import InputError
from agunetr.networks.variants import NetworkConfig, network_config


@dataclass(frozen=True)
class Augmentation:
    """Random changes of a patch; ``p_`` fields are probabilities, ranges are symmetric unless they are pairs.

    ``slab_slices`` is the (fewest, most) axial slices that a patch made a slab keeps; the others become air.
    ``margin_voxels`` of air are added around every scan before patches are cut, so that patches reach beyond it;
    ``p_arms`` is how often arms are drawn into the air beside the body, for patients who lie with their arms down.
    """

    rotation_degrees: float = 15.0
    stretch: float = 0.1
    shear: float = 0.08
    p_grid_distortion: float = 0.25
    p_enhancement: float = 0.3
    enhancement: tuple[float, float] = (-0.15, 0.15)
    p_histogram_shift: float = 0.3
    p_scale_shift: float = 0.5
    p_gamma: float = 0.3
    p_noise: float = 0.4
    p_blur: float = 0.2
    p_low_resolution: float = 0.2
    p_slab: float = 0.0
    slab_slices: tuple[int, int] = (10, 40)
    margin_voxels: int = 0
    p_arms: float = 0.0


@dataclass(frozen=True)
class Stage:
    """One training of one variant.

    Attributes:
        name: also the name of its folder in the run.
        variant: see :mod:`agunetr.networks.variants`.
        start: the stage whose weights it continues, or None.
        spacings_mm: isotropic spacings at which patches are taken; several give isotropic scaling.
        epochs, steps_per_epoch: optimiser steps in all are their product; checkpoints are written between epochs.
        patches_per_step: patches of each step. On a CPU one is best for windows of 64 and more; smaller networks gain
            by several, since PyTorch takes a slow convolution for one small patch alone.
        learning_rate, final_learning_rate, warm_up_steps, weight_decay: AdamW with linear warm-up, then cosine.
        foreground_share: share of patches centred on foreground.
        foreground_reach: voxels by which such a centre may lie beside the foreground, along each axis. At inference
            the organ lies anywhere in a window, and a network that always saw it in the middle misses it elsewhere.
        dice_smoothing: voxels added to both sides of the Dice fraction. With next to none, a patch without the organ
            gives the Dice loss no gradient and false alarms cost little; some hundred make it "mark nothing here".
        ema_momentum: of the exponential moving average of the weights, which is what is validated and exported;
            0 switches it off.
        validate_every: epochs between validations.
    """

    name: str
    variant: str
    spacings_mm: tuple[float, ...]
    epochs: int
    start: str | None = None
    steps_per_epoch: int = 100
    patches_per_step: int = 1
    learning_rate: float = 4e-4
    final_learning_rate: float = 0.0
    warm_up_steps: int = 100
    weight_decay: float = 1e-2
    foreground_share: float = 0.5
    foreground_reach: int = 0
    dice_smoothing: float = 1e-5
    ema_momentum: float = 0.004
    validate_every: int = 5
    augmentation: Augmentation = field(default_factory=Augmentation)


@dataclass(frozen=True)
class Experiment:
    """A whole experiment; see ``Resources/Experiments`` for the ones that are shipped.

    Attributes:
        training, validation, test: names of cases. Without any, the cases of the data are split at random by the seed.
        validation_share, test_share: of such a random split; at least one case each where the share is not 0.
        spacing_mm: isotropic spacing of the finished models.
        intensity_range: HU that become 0 and 1.
        network: size name and changes, as for :func:`agunetr.networks.variants.network_config`.
        licence, limits: of the weights, for the model card.
    """

    name: str
    description: str
    spacing_mm: float
    stages: tuple[Stage, ...]
    training: tuple[str, ...] = ()
    validation: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    validation_share: float = 0.2
    test_share: float = 0.2
    intensity_range: tuple[float, float] = (-175.0, 250.0)
    network: dict[str, Any] = field(default_factory=lambda: {"size": "compact"})
    seed: int = 0
    licence: str = ""
    limits: tuple[str, ...] = ()

    def stage(self, name: str) -> Stage:
        """The stage of that name.

        Raises:
            InputError: there is none.
        """
        for stage in self.stages:
            if stage.name == name:
                return stage
        known = ", ".join(stage.name for stage in self.stages)
        raise InputError(f"The experiment {self.name} has no stage {name!r}.", f"Choose one of: {known}.")

    def network_config(self, stage: Stage) -> NetworkConfig:
        """The network that ``stage`` trains."""
        return network_config(stage.variant, **self.network)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary with every value, defaults included."""
        return json.loads(json.dumps(asdict(self)))


def _build(cls: type, values: Any, place: str) -> Any:
    """A dataclass from a JSON object; unknown or missing keys are refused by name."""
    if not isinstance(values, dict):
        raise InputError(f"{place} must be an object.", "Compare the file with one of the shipped experiments.")
    known = {entry.name: entry for entry in fields(cls)}
    for key in values:
        if key not in known:
            raise InputError(f"{place} has an unknown key {key!r}.", f"Known keys: {', '.join(known)}.")
    for name, entry in known.items():
        if entry.default is MISSING and entry.default_factory is MISSING and name not in values:
            raise InputError(f"{place} lacks the key {name!r}.", "Add it; see the shipped experiments.")
    made = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    if cls is Experiment:
        made["stages"] = tuple(
            _build(Stage, stage, f"stage {number}") for number, stage in enumerate(values["stages"], 1)
        )
    if cls is Stage and "augmentation" in made:
        made["augmentation"] = _build(Augmentation, values["augmentation"], "augmentation")
    return cls(**made)


def _check(experiment: Experiment) -> None:
    sets = {"training": experiment.training, "validation": experiment.validation, "test": experiment.test}
    if not experiment.training and (experiment.validation or experiment.test):
        raise InputError(
            "training names no case.", "Name at least one, or leave all three lists out to split the data."
        )
    shares = (experiment.validation_share, experiment.test_share)
    if min(shares) < 0 or sum(shares) >= 1:
        raise InputError(
            f"validation_share and test_share are {shares}.", "Give shares of at least 0, together below 1."
        )
    seen: dict[str, str] = {}
    for part, names in sets.items():
        for name in names:
            if name in seen:
                raise InputError(
                    f"The case {name!r} is in {seen[name]} and in {part}.", "A patient belongs to one part only."
                )
            seen[name] = part
    names = [stage.name for stage in experiment.stages]
    if not names or len(set(names)) != len(names):
        raise InputError("stages must be a list of stages with different names.", "Rename them.")
    for number, stage in enumerate(experiment.stages):
        if stage.start is not None and stage.start not in names[:number]:
            raise InputError(
                f"Stage {stage.name!r} starts from {stage.start!r}, which is no earlier stage.", "Name one above it."
            )
        for name in ("epochs", "steps_per_epoch", "patches_per_step", "validate_every"):
            value = getattr(stage, name)
            if type(value) is not int or value < 1:
                raise InputError(f"{name} of stage {stage.name!r} is {value!r}.", "Give a positive whole number.")
        if not isinstance(stage.dice_smoothing, int | float) or stage.dice_smoothing <= 0:
            raise InputError(
                f"dice_smoothing of stage {stage.name!r} is {stage.dice_smoothing!r}.", "Give a number above 0."
            )
        fewest, most = stage.augmentation.slab_slices
        if not 1 <= fewest <= most:
            raise InputError(
                f"slab_slices of stage {stage.name!r} is {stage.augmentation.slab_slices!r}.",
                "Give the fewest and the most slices, at least 1.",
            )
        if not stage.spacings_mm or any(not 0.1 <= spacing <= 20 for spacing in stage.spacings_mm):
            raise InputError(f"spacings_mm of stage {stage.name!r} is {stage.spacings_mm!r}.", "Give spacings in mm.")
        try:
            experiment.network_config(stage)
        except ValueError as error:
            raise InputError(
                f"The network of stage {stage.name!r} cannot be built: {error}", "Correct the experiment."
            ) from error


def with_split(experiment: Experiment, names: Sequence[str]) -> Experiment:
    """The experiment with named cases: its own, or a random split of ``names`` that the seed repeats.

    Raises:
        InputError: there are too few cases to leave one for training.
    """
    if experiment.training:
        return experiment
    shuffled = sorted(names)
    random.Random(experiment.seed).shuffle(shuffled)
    shares = (experiment.validation_share, experiment.test_share)
    validation, test = (max(1, round(share * len(shuffled))) if share else 0 for share in shares)
    if validation + test >= len(shuffled):
        raise InputError(f"{len(shuffled)} cases are too few to split.", "Give more cases, or shares of 0.")
    return replace(
        experiment,
        validation=tuple(sorted(shuffled[:validation])),
        test=tuple(sorted(shuffled[validation : validation + test])),
        training=tuple(sorted(shuffled[validation + test :])),
    )


_PACKAGE = Path(__file__).resolve().parent
EXPERIMENT_FOLDERS = (_PACKAGE.parent / "Resources" / "Experiments", _PACKAGE / "embedded")
"""Beside the package in the repository and in Slicer, inside it where it was installed from a wheel."""


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
    try:
        experiment = _build(Experiment, values, path.name)
        _check(experiment)
    except (TypeError, AttributeError) as error:
        raise InputError(
            f"A value in {path.name} is of the wrong kind: {error}.", "Compare it with a shipped experiment."
        ) from error
    return experiment

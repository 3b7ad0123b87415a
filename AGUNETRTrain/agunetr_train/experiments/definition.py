"""What an experiment is: data, split, networks, stages, seeds and every hyperparameter, checked as it is read.

A *stage* trains one variant. It may continue the weights of an earlier stage, so that several variants can share
their first part: they have then seen the same data, in the same order, for the same number of steps. A stage, a fold
and a seed together make one *job*, see :mod:`agunetr_train.experiments.jobs`.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from agunetr.errors import InputError
from agunetr.networks.variants import NetworkConfig, network_config

Probability = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(gt=0, lt=1)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$", max_length=60)]
"""A name becomes a folder's name."""


class Checked(BaseModel):
    """Unknown keys and values of another kind are refused; nothing is converted, nothing can be changed later."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Augmentation(Checked):
    """Random changes of a patch; ``p_`` fields are probabilities, ranges are symmetric unless they are pairs.

    Attributes:
        p_affine: of rotation, stretching, shear and shift together; the patch is then cut larger and cut to size after.
        p_flip: along each axis on its own. ``p_rotate90``: by 90, 180 or 270 degrees in the axial plane.
        p_scale, scale, p_shift, shift: of the intensity; a factor of 1 plus or minus ``scale``, an offset on [0, 1].
        slab_slices: the (fewest, most) axial slices that a patch made a slab keeps; the others become air.
        margin_voxels: of air, added around every scan before patches are cut, so that patches reach beyond it.
        p_arms: how often arms are drawn into the air beside the body, for patients who lie with their arms down.
    """

    p_affine: Probability = 1.0
    rotation_degrees: float = 15.0
    stretch: float = 0.1
    shear: float = 0.08
    p_flip: Probability = 0.0
    p_rotate90: Probability = 0.0
    p_grid_distortion: Probability = 0.25
    p_enhancement: Probability = 0.3
    enhancement: tuple[float, float] = (-0.15, 0.15)
    p_histogram_shift: Probability = 0.3
    p_scale: Probability = 0.5
    scale: float = 0.15
    p_shift: Probability = 0.5
    shift: float = 0.06
    p_gamma: Probability = 0.3
    p_noise: Probability = 0.4
    p_blur: Probability = 0.2
    p_low_resolution: Probability = 0.2
    p_slab: Probability = 0.0
    slab_slices: tuple[Count, Count] = (10, 40)
    margin_voxels: Annotated[int, Field(ge=0)] = 0
    p_arms: Probability = 0.0


class Stage(Checked):
    """One training of one variant; the experiment's ``defaults`` fill what a stage leaves out.

    Attributes:
        name: also the name of its job.
        variant: see :mod:`agunetr.networks.variants`.
        network: changes to the experiment's network for this stage alone, for example ``gamma_start``.
        start: the stage whose weights it continues, or None.
        warm_start: a file of weights (``.safetensors``, ``.pt``), a model folder or an embedded model's name whose
            weights it begins with, or None.
        spacings_mm: isotropic spacings at which patches are taken; several give isotropic scaling; without any, the
            experiment's own.
        epochs: how many; a row of metrics is written after each.
        steps_per_epoch: optimiser steps; None takes every training case once an epoch.
        patches_per_step: patches of each step, on all devices together. On a CPU one is best for windows of 64 and
            more; smaller networks gain by several, since PyTorch takes a slow convolution for one small patch alone.
        accumulation_steps: parts into which a step's patches are divided, one after the other, to save memory.
        learning_rate, final_learning_rate, warm_up_steps, weight_decay: AdamW with linear warm-up, then cosine.
        clip_norm: largest norm of all gradients together; 0 does not clip.
        precision: of the forward and backward pass: ``float32``, ``bfloat16``, ``float16`` (with loss scaling), or
            ``auto``, which takes bfloat16 where the device computes it quickly and says so.
        foreground_share: share of patches centred on foreground; 0.5 is 1:1.
        foreground_reach: voxels by which such a centre may lie beside the foreground, along each axis. At inference
            the organ lies anywhere in a window, and a network that always saw it in the middle misses it elsewhere.
        dice_smoothing: voxels added to both sides of the Dice fraction. With next to none, a patch without the organ
            gives the Dice loss no gradient and false alarms cost little; some hundred make it "mark nothing here".
        ema_momentum: of the exponential moving average of the weights, which is then what is validated and exported;
            0 switches it off.
        deep_supervision: also hold the coarser decoder features against the mask.
        gates_frozen_epochs: epochs in which the gates' weights are not trained.
        teacher: a model folder, a model's name or a run's job folder that is imitated (distillation), or None.
        distillation_weight, distillation_temperature: share of the imitation in the loss, and its softness.
        validate_every: epochs between validations.
        validation_overlap: of neighbouring windows.
        patience: validations without improvement after which training stops early; 0 never stops early.
        keep: the checkpoint that is evaluated and exported: of the ``best`` validation Dice, or the ``last``.
    """

    name: Name
    variant: str
    network: dict[str, Any] = {}
    start: str | None = None
    warm_start: str | None = None
    spacings_mm: tuple[Annotated[float, Field(ge=0.1, le=20)], ...] = ()
    epochs: Count
    steps_per_epoch: Count | None = 100
    patches_per_step: Count = 1
    accumulation_steps: Count = 1
    learning_rate: Annotated[float, Field(gt=0)] = 4e-4
    final_learning_rate: Annotated[float, Field(ge=0)] = 0.0
    warm_up_steps: Annotated[int, Field(ge=0)] = 100
    weight_decay: Annotated[float, Field(ge=0)] = 1e-2
    clip_norm: Annotated[float, Field(ge=0)] = 0.0
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "float32"
    foreground_share: Probability = 0.5
    foreground_reach: Annotated[int, Field(ge=0)] = 0
    dice_smoothing: Annotated[float, Field(gt=0)] = 1e-5
    ema_momentum: Probability = 0.0
    deep_supervision: bool = False
    gates_frozen_epochs: Annotated[int, Field(ge=0)] = 0
    teacher: str | None = None
    distillation_weight: Probability = 0.5
    distillation_temperature: Annotated[float, Field(gt=0)] = 2.0
    validate_every: Count = 5
    validation_overlap: Annotated[float, Field(ge=0, lt=1)] = 0.5
    patience: Annotated[int, Field(ge=0)] = 0
    keep: Literal["best", "last"] = "last"
    augmentation: Augmentation = Augmentation()


class DataSource(Checked):
    """Where the cases come from when no folder is given.

    Attributes:
        source: ``folder`` (one must be given), ``msd-spleen`` (downloaded once) or ``phantoms`` (drawn once).
        cases: how many phantoms.
        seed: of the phantoms.
        size: voxels of a phantom, (R, A, S); ``spacing_mm`` its spacing.
    """

    source: Literal["folder", "msd-spleen", "phantoms"] = "folder"
    cases: Count = 12
    seed: Annotated[int, Field(ge=0)] = 0
    size: tuple[Count, Count, Count] | None = None
    spacing_mm: tuple[float, float, float] | None = None


Part = tuple[str, ...] | Count | Share | None
"""Cases of one part of a split: their names, how many, or which share of all; None is what the other parts leave."""


class SplitPlan(Checked):
    """Which cases train, which choose the checkpoint, which are scored.

    Attributes:
        training, validation, test: names, a number or a share of the cases. What is not named is drawn by ``seed``,
            whole patients at a time. Where training is left out it takes what the others leave.
        folds: k-fold cross-validation over all cases that ``test`` does not name: each fold's cases are the test cases
            of one fold, and ``validation`` is drawn from the rest. 0 is one split.
        seed: of the drawing.
    """

    training: Part = None
    validation: Part = None
    test: Part = None
    folds: Annotated[int, Field(ge=0)] = 0
    seed: Annotated[int, Field(ge=0)] = 0


class Experiment(Checked):
    """A whole experiment; see ``Resources/Experiments`` for the ones that are shipped.

    Attributes:
        data: where the cases come from.
        split: which of them train.
        spacing_mm: isotropic spacing of the finished models.
        intensity_range: HU that become 0 and 1.
        labels: how masks are brought to that spacing: ``soft`` (linear, in [0, 1]) or ``nearest`` (0 or 1).
        network: size name and changes, as for :func:`agunetr.networks.variants.network_config`.
        defaults: values that all stages share.
        stages: in order; what each trains.
        compare: the stages that the report compares; the first is what the others are held against. Without any: the
            stages that no other one continues, in order.
        seeds: one job each.
        licence, limits: of the weights, for the model card.
    """

    name: Name
    description: str
    data: DataSource = DataSource()
    split: SplitPlan = SplitPlan()
    spacing_mm: Annotated[float, Field(ge=0.1, le=20)]
    intensity_range: tuple[float, float] = (-175.0, 250.0)
    labels: Literal["soft", "nearest"] = "soft"
    network: dict[str, Any] = {"size": "compact"}
    defaults: dict[str, Any] = {}
    stages: Annotated[tuple[Stage, ...], Field(min_length=1)]
    compare: tuple[str, ...] = ()
    seeds: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)] = (0,)
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
        """The network that ``stage`` trains.

        Raises:
            ValueError: it cannot be built; the message names the value.
        """
        return network_config(stage.variant, **{**self.network, **stage.network})

    @property
    def compared(self) -> tuple[str, ...]:
        """The stages that the report compares; the first one is the reference."""
        started = {stage.start for stage in self.stages}
        return self.compare or tuple(stage.name for stage in self.stages if stage.name not in started)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary with every value, defaults included."""
        return json.loads(self.model_dump_json())

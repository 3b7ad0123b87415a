"""One step of training: ours, as the trainer takes it, and MONAI's; and the patches that feed it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch
from monai.data import set_track_meta
from monai.engines import SupervisedTrainer
from monai.losses import DiceCELoss

from agunetr.models.bundle import load_bundle
from agunetr.networks.layout import to_channels_last
from agunetr_train.data.cases import Case
from agunetr_train.data.preparation import cached_case, map_prepared
from agunetr_train.experiments.definition import Stage
from agunetr_train.experiments.reading import load_experiment
from agunetr_train.training.augmentation import cut_size, training_transforms
from agunetr_train.training.distributed import join_processes
from agunetr_train.training.losses import make_loss
from agunetr_train.training.optimiser_step import OptimiserStep
from agunetr_train.training.patch_centres import with_centres
from agunetr_train.training.precision import choose_precision
from speed.reference import reference_network
from speed.window_tasks import read_window

EXPERIMENT = "study-v2"
"""Whose loss, learning rate and patches are taken."""


class OurStep:
    """A step of this project's trainer, warmed up once.

    Args:
        bundle: folder of the model whose weights it begins with.
        window: ``.npy`` file with (R, A, S) float32.
        precision: of the stage, for example ``float32`` or ``auto``.
    """

    def __init__(self, bundle: str, window: str, precision: str) -> None:
        stage = step_stage(precision)
        device = torch.device("cpu")
        dtype, reason = choose_precision(precision, device)
        self._said = {"precision": "float32" if dtype is None else str(dtype).removeprefix("torch.")}
        self._said["precision_reason"] = reason
        network = to_channels_last(load_bundle(bundle).network())
        step = OptimiserStep(stage, dtype, device, join_processes(device), Path(tempfile.gettempdir()))
        self._trainer = trainer_of(network, make_loss(stage), stage, iteration_update=step)
        self._batch = labelled(window)
        self._step = step
        self.run()

    def run(self) -> float:
        """The loss before the step."""
        return self._step(self._trainer, self._batch)["loss"]

    def facts(self, value: float) -> dict[str, Any]:
        """The loss, and the precision with its reason."""
        return {"loss": value, **self._said}


class MonaiStep:
    """The same step by MONAI's trainer: eager, float32, its own UNETR and loss."""

    def __init__(self, bundle: str, window: str) -> None:
        loss = DiceCELoss(to_onehot_y=True, softmax=True)
        self._trainer = trainer_of(reference_network(load_bundle(bundle)), loss, step_stage("float32"))
        self._batch = labelled(window)
        self.run()

    def run(self) -> float:
        """The loss before the step."""
        return float(self._trainer._iteration(self._trainer, self._batch)["loss"].detach())

    def facts(self, value: float) -> dict[str, Any]:
        """The loss."""
        return {"loss": value}


class OurDraw:
    """The next patch of a prepared case, cut and augmented.

    Args:
        ct, label: files of a labelled CT.
        window: edge of the patch in voxels.
        spacing_mm: at which patches are cut.
        cache: folder of the prepared case.
    """

    def __init__(self, ct: str, label: str, window: int, spacing_mm: float, cache: str) -> None:
        set_track_meta(False)
        edges = (window,) * 3
        stage, experiment = step_stage("float32"), load_experiment(EXPERIMENT)
        case = Case("timed", Path(ct), Path(label), {})
        seen = experiment.intensity_range
        item = map_prepared(cached_case(case, spacing_mm, seen, experiment.labels, Path(cache)))
        augmentation = stage.augmentation
        self._item = with_centres(item, cut_size(edges, stage), augmentation.margin_voxels, stage.foreground_reach)
        self._transforms = training_transforms(edges, stage)
        self._transforms.set_random_state(seed=1)
        self.run()

    def run(self) -> dict[str, torch.Tensor]:
        """A patch."""
        return self._transforms(dict(self._item))[0]

    def facts(self, value: dict[str, torch.Tensor]) -> dict[str, Any]:
        """Its shape."""
        return {"patch": list(value["image"].shape)}


def step_stage(precision: str) -> Stage:
    """The gated stage of the experiment in a precision."""
    return load_experiment(EXPERIMENT).stages[-1].model_copy(update={"precision": precision})


def trainer_of(network: torch.nn.Module, loss: torch.nn.Module, stage: Stage, **options: Any) -> SupervisedTrainer:
    """MONAI's trainer with the optimiser of the stage; its steps are called one by one."""
    network.train().requires_grad_(True)
    optimizer = torch.optim.AdamW(network.parameters(), lr=stage.learning_rate, weight_decay=stage.weight_decay)
    return SupervisedTrainer(
        device="cpu",
        max_epochs=1,
        train_data_loader=[{}],
        network=network,
        optimizer=optimizer,
        loss_function=loss,
        optim_set_to_none=True,
        decollate=False,
        **options,
    )


def labelled(window: str) -> dict[str, Any]:
    """A batch of one patch: (1, 1, R, A, S) image and mask; the mask is the brighter half of the scale."""
    image = read_window(window)
    return {"image": image, "label": (image > 0.5).float(), "case": ["timed"], "draw": [0]}

"""One stage of training, on MONAI's engines and handlers.

Every epoch draws its cases, patches and augmentations from a generator seeded with (seed, epoch), and checkpoints are
written between epochs. A run that is stopped and resumed therefore continues exactly as if it had not been stopped,
and two variants with the same seed see the same patches in the same order.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from ignite.engine import Events
from ignite.handlers import EMAHandler
from monai.data import DataLoader, Dataset, set_track_meta
from monai.engines import SupervisedEvaluator, SupervisedTrainer
from monai.handlers import (
    CheckpointLoader,
    CheckpointSaver,
    LrScheduleHandler,
    MeanDice,
    TensorBoardStatsHandler,
    ValidationHandler,
    from_engine,
)
from monai.inferers import SlidingWindowInferer
from monai.losses import DiceCELoss
from monai.optimizers import WarmupCosineSchedule
from monai.transforms import AsDiscreted, Compose
from torch.utils.data import RandomSampler

from agunetr.errors import InputError
from agunetr.networks.checkpoints import load_weights
from agunetr.networks.layout import to_channels_last
from agunetr.networks.unetr import GatedUNETR
from agunetr.networks.variants import build_network
from agunetr_train.data.cases import Case
from agunetr_train.data.preparation import cached_case, load_prepared
from agunetr_train.experiments.definition import Experiment, Stage
from agunetr_train.run_folder import RunFolder, checkpoint_epoch, write_record
from agunetr_train.training.augmentation import NEAR, near_foreground, training_transforms, two_channel_target

log = logging.getLogger(__name__)


class SoftDiceCELoss(DiceCELoss):
    """MONAI's Dice + cross-entropy against the soft two-channel target of a one-channel soft mask.

    Args:
        smoothing: see :attr:`agunetr_train.experiment.Stage.dice_smoothing`.
    """

    def __init__(self, smoothing: float = 1e-5) -> None:
        super().__init__(softmax=True, smooth_nr=smoothing, smooth_dr=smoothing)

    def forward(self, input: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """(B, 2, ...) logits and (B, 1, ...) soft mask in [0, 1] to the mean loss."""
        return super().forward(input.float(), two_channel_target(target.float()))


def train_stage(
    experiment: Experiment,
    stage: Stage,
    run: RunFolder,
    training: Sequence[Case],
    validation: Sequence[Case],
    cache: Path,
    device: torch.device | str = "cpu",
) -> None:
    """Train one stage to its end, resuming from its newest checkpoint where there is one.

    Args:
        experiment, stage: what to train.
        run: where checkpoints, ``metrics.jsonl`` and TensorBoard events go.
        training, validation: the cases.
        cache: folder of prepared cases.
        device: where to train.
    """
    folder = run.stage(stage)
    folder.mkdir(parents=True, exist_ok=True)
    set_track_meta(False)
    device = torch.device(device)
    network = start_network(experiment, stage, run).to(device)
    loader = training_loader(experiment, stage, training, cache)
    optimizer = torch.optim.AdamW(network.parameters(), lr=stage.learning_rate, weight_decay=stage.weight_decay)
    scheduler = WarmupCosineSchedule(
        optimizer,
        warmup_steps=stage.warm_up_steps,
        t_total=stage.epochs * stage.steps_per_epoch,
        end_lr=stage.final_learning_rate,
    )
    trainer = SupervisedTrainer(
        device=device,
        max_epochs=stage.epochs,
        train_data_loader=loader,
        network=network,
        optimizer=optimizer,
        loss_function=SoftDiceCELoss(stage.dice_smoothing),
        train_handlers=[LrScheduleHandler(scheduler, print_lr=False, epoch_level=False)],
        optim_set_to_none=True,
    )
    ema = EMAHandler(network, momentum=stage.ema_momentum or 1.0)
    ema.attach(trainer, event=Events.ITERATION_COMPLETED)
    kept = {
        "network": network,
        "ema": ema.ema_model,
        "optimizer": optimizer,
        "scheduler": scheduler,
        "trainer": trainer,
    }
    checkpoint = run.checkpoint(stage)
    if checkpoint is not None:
        CheckpointLoader(str(checkpoint), kept, map_location=device).attach(trainer)
        log.info("%s: resumed from %s", stage.name, checkpoint.name)
    metrics = MetricsFile(folder / "metrics.jsonl", optimizer, checkpoint_epoch(checkpoint))
    evaluator = validation_engine(experiment, ema.ema_model, validation, cache, device)
    if evaluator is not None:
        ValidationHandler(stage.validate_every, evaluator).attach(trainer)
        evaluator.add_event_handler(Events.COMPLETED, lambda engine: metrics.validated(engine, trainer))
    trainer.add_event_handler(
        Events.EPOCH_STARTED, lambda engine: seed_epoch(loader, experiment.seed, engine.state.epoch)
    )
    metrics.attach(trainer)
    TensorBoardStatsHandler(log_dir=str(folder), output_transform=from_engine("loss", first=True)).attach(trainer)
    CheckpointSaver(str(folder), kept, file_prefix="", name=__name__, save_interval=1, n_saved=2).attach(trainer)
    trainer.run()
    write_record(folder / "finished.json", {"epochs": trainer.state.epoch, "steps": trainer.state.iteration})


def start_network(experiment: Experiment, stage: Stage, run: RunFolder) -> GatedUNETR:
    """The network a stage begins with: freshly seeded, or with the averaged weights of the stage it starts from."""
    torch.manual_seed(experiment.seed)
    network = build_network(experiment.network_config(stage))
    if stage.start is not None:
        if not run.is_finished(stage.start):
            raise InputError(
                f"The stage {stage.name} starts from {stage.start}, which is not finished.", "Train that stage first."
            )
        load_weights(network, stage_weights(run, stage.start), f"The stage {stage.start}")
    return to_channels_last(network)


def stage_weights(run: RunFolder, stage: Stage | str) -> dict[str, torch.Tensor]:
    """The averaged weights of a stage's newest checkpoint.

    Raises:
        InputError: the stage has none yet.
    """
    checkpoint = run.checkpoint(stage)
    if checkpoint is None:
        raise InputError(f"There is no checkpoint in {run.stage(stage)}.", "Train that stage first.")
    return torch.load(checkpoint, map_location="cpu", weights_only=True)["ema"]


def training_loader(experiment: Experiment, stage: Stage, cases: Sequence[Case], cache: Path) -> DataLoader:
    """``steps_per_epoch`` batches of augmented patches, from random cases at random spacings of the stage."""
    window = experiment.network_config(stage).window
    items = []
    for case in cases:
        for spacing in stage.spacings_mm:
            arrays = load_prepared(cached_case(case, spacing, experiment.intensity_range, cache))
            item = {name: torch.from_numpy(array) for name, array in arrays.items()}
            items.append({**item, NEAR: near_foreground(item["label"], stage.foreground_reach)})
    transforms = training_transforms(window, stage.foreground_share, stage.augmentation)
    sampler = RandomSampler(
        range(len(items)),
        replacement=True,
        num_samples=stage.steps_per_epoch * stage.patches_per_step,
        generator=torch.Generator(),
    )
    return DataLoader(Dataset(items, transforms), batch_size=stage.patches_per_step, sampler=sampler, num_workers=0)


def seed_epoch(loader: DataLoader, seed: int, epoch: int) -> None:
    """Everything random of an epoch follows from the experiment's seed and the epoch's number."""
    number = 1_000_003 * seed + epoch
    torch.manual_seed(number)
    loader.sampler.generator.manual_seed(number)
    loader.dataset.transform.set_random_state(seed=number)


def validation_engine(
    experiment: Experiment, network: torch.nn.Module, cases: Sequence[Case], cache: Path, device: torch.device
) -> SupervisedEvaluator | None:
    """Mean Dice of whole prepared cases at the experiment's spacing; None without cases."""
    if not cases:
        return None
    items = []
    for case in cases:
        arrays = load_prepared(cached_case(case, experiment.spacing_mm, experiment.intensity_range, cache))
        items.append(
            {"image": torch.from_numpy(arrays["image"]), "label": torch.from_numpy(arrays["label"] > 0.5).float()}
        )
    window = network.config.window
    return SupervisedEvaluator(
        device=device,
        val_data_loader=DataLoader(Dataset(items, Compose([])), batch_size=1, num_workers=0),
        network=network,
        inferer=SlidingWindowInferer(window, sw_batch_size=1, overlap=0.5, mode="gaussian"),
        postprocessing=Compose([AsDiscreted("pred", argmax=True)]),
        key_val_metric={"dice": MeanDice(include_background=True, output_transform=from_engine(["pred", "label"]))},
    )


class MetricsFile:
    """``metrics.jsonl``: one line an epoch (mean loss, learning rate, seconds), one a validation (mean Dice)."""

    def __init__(self, path: Path, optimizer: torch.optim.Optimizer, resumed_epoch: int) -> None:
        self.path = path
        if path.is_file():
            # Rows of an epoch that was interrupted before its checkpoint come again.
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
            path.write_text(
                "".join(line for line in lines if json.loads(line)["epoch"] <= resumed_epoch), encoding="utf-8"
            )
        self.optimizer = optimizer
        self._losses: list[float] = []
        self._began = time.monotonic()

    def attach(self, trainer: SupervisedTrainer) -> None:
        """Listen to ``trainer``."""
        trainer.add_event_handler(Events.EPOCH_STARTED, self._epoch_started)
        trainer.add_event_handler(Events.ITERATION_COMPLETED, self._step_completed)
        trainer.add_event_handler(Events.EPOCH_COMPLETED, self._epoch_completed)

    def validated(self, evaluator: SupervisedEvaluator, trainer: SupervisedTrainer) -> None:
        """Write the result of a validation."""
        self._write({"epoch": trainer.state.epoch, "validation_dice": round(float(evaluator.state.metrics["dice"]), 4)})

    def _epoch_started(self, engine: SupervisedTrainer) -> None:
        self._losses = []
        self._began = time.monotonic()

    def _step_completed(self, engine: SupervisedTrainer) -> None:
        self._losses.append(float(engine.state.output[0]["loss"]))

    def _epoch_completed(self, engine: SupervisedTrainer) -> None:
        self._write(
            {
                "epoch": engine.state.epoch,
                "step": engine.state.iteration,
                "loss": round(sum(self._losses) / max(len(self._losses), 1), 4),
                "learning_rate": self.optimizer.param_groups[0]["lr"],
                "seconds": round(time.monotonic() - self._began, 1),
            }
        )

    def _write(self, row: dict) -> None:
        log.info("%s: %s", self.path.parent.name, row)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

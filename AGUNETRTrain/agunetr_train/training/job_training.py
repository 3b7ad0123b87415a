"""The engine of a job with all that listens to it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ignite.engine import Engine, Events
from ignite.handlers import EarlyStopping, EMAHandler
from monai.engines import SupervisedTrainer
from monai.handlers import LrScheduleHandler, TensorBoardStatsHandler, ValidationHandler
from monai.optimizers import WarmupCosineSchedule
from torch.utils.data import DataLoader
from torch.utils.tensorboard import SummaryWriter

from agunetr.networks.unetr import GatedUNETR
from agunetr_train.experiments.jobs import Job
from agunetr_train.training.checkpoints import Checkpoints
from agunetr_train.training.deep_supervision import training_form
from agunetr_train.training.distributed import Processes, wrapped
from agunetr_train.training.gate_schedule import GateSchedule
from agunetr_train.training.losses import make_loss
from agunetr_train.training.metrics_file import MetricsFile
from agunetr_train.training.optimiser_step import OptimiserStep
from agunetr_train.training.validation import Validation


def never() -> bool:
    """Nobody asks to stop."""
    return False


@dataclass(frozen=True)
class Listeners:
    """Who is told of a training, and who may stop it.

    Attributes:
        on_step: called with the steps done and all steps of the job.
        on_row: called with every row of ``metrics.jsonl``.
        stop: asked after every step, and between the windows of a validation.
    """

    on_step: Callable[[int, int], None] = field(default=lambda done, total: None)
    on_row: Callable[[dict[str, Any]], None] = field(default=lambda row: None)
    stop: Callable[[], bool] = never


class JobTraining:
    """A network in training: MONAI's trainer with optimiser, schedule, averaging, validation and checkpoints.

    Args:
        job: what is trained.
        folder: of the job.
        network: as it begins, on ``device``.
        loader: of this process's batches, from the first step that is to be done.
        first_step: counted from 0.
        steps_per_epoch: of the whole training.
        dtype: of autocast; None computes in float32.
        device: where it trains.
        processes: those that train together.
        listeners: who is told.

    Attributes:
        trainer: MONAI's engine.
        validated_network: whose weights are validated and kept: averaged where the stage averages them.
        metrics: the rows, and the best validation.
        stopped: whether the user stopped it.
    """

    def __init__(
        self,
        job: Job,
        folder: Path,
        network: GatedUNETR,
        loader: DataLoader,
        first_step: int,
        steps_per_epoch: int,
        dtype: torch.dtype | None,
        device: torch.device,
        processes: Processes,
        listeners: Listeners,
    ) -> None:
        stage = job.stage
        self.job, self.processes, self.listeners = job, processes, listeners
        self.total_steps = stage.epochs * steps_per_epoch
        self.stopped = False
        self._early: EarlyStopping | None = None
        trained = training_form(stage, network).to(device)
        optimizer = torch.optim.AdamW(
            trained.parameters(),
            lr=stage.learning_rate,
            weight_decay=stage.weight_decay,
            # One pass over each weight instead of ten: five times as quick on a CPU.
            fused=device.type in ("cpu", "cuda"),
        )
        scheduler = WarmupCosineSchedule(
            optimizer,
            warmup_steps=stage.warm_up_steps,
            t_total=self.total_steps,
            end_lr=stage.final_learning_rate,
        )
        step = OptimiserStep(stage, dtype, device, processes, folder)
        self.trainer = SupervisedTrainer(
            device=device,
            max_epochs=stage.epochs,
            train_data_loader=loader,
            epoch_length=steps_per_epoch,
            network=wrapped(trained, processes, device),
            optimizer=optimizer,
            loss_function=make_loss(stage).to(device),
            iteration_update=step,
            non_blocking=device.type == "cuda",
            decollate=False,
        )
        # ignite reports what it then raises; who catches it says so in a sentence.
        self.trainer.logger.setLevel(logging.CRITICAL)
        self.trainer.add_event_handler(Events.ITERATION_STARTED, self._seed_step)
        GateSchedule(network, stage.gates_frozen_epochs).attach(self.trainer)
        LrScheduleHandler(scheduler, print_lr=False, epoch_level=False).attach(self.trainer)
        kept: dict[str, Any] = {"network": network, "optimizer": optimizer, "scheduler": scheduler}
        weights: dict[str, Any] = {"network": network}
        self.validated_network = network
        if stage.ema_momentum:
            averaging = EMAHandler(network, momentum=stage.ema_momentum)
            averaging.attach(self.trainer, event=Events.ITERATION_COMPLETED)
            self.validated_network = averaging.ema_model
            kept["ema"] = averaging.ema_model
            weights = {"ema": averaging.ema_model}
        if trained is not network:
            kept["heads"] = trained.heads
        self.metrics = MetricsFile(folder / "metrics.jsonl", optimizer, processes, listeners.on_row)
        self.metrics.attach(self.trainer)
        self.writer = self._tensorboard(folder, first_step) if processes.is_first else None
        kept |= {"scaler": step.scaler, "trainer": self.trainer, "metrics": self.metrics}
        weights["trainer"] = self.trainer
        self.checkpoints = Checkpoints(folder, kept, weights, lambda: self.metrics.best_dice)
        self.trainer.add_event_handler(Events.ITERATION_COMPLETED, self._step_done)

    def validate_with(self, validation: Validation) -> None:
        """Validate at the stage's epochs and after the last one; call it once, before :meth:`run`."""
        stage = self.job.stage
        evaluator = validation.evaluator
        evaluator.logger.setLevel(logging.CRITICAL)
        evaluator.add_event_handler(Events.COMPLETED, lambda engine: self._validated(validation))
        if stage.patience:
            self._early = EarlyStopping(stage.patience, lambda engine: validation.mean, self.trainer)
            self._early.logger.setLevel(logging.WARNING)
            evaluator.add_event_handler(Events.COMPLETED, self._early)
            self.checkpoints.kept["early_stopping"] = self._early

        def is_due(engine: Engine, epoch: int) -> bool:
            return epoch % stage.validate_every == 0 or epoch == stage.epochs

        self.trainer.add_event_handler(
            Events.EPOCH_COMPLETED(event_filter=is_due), ValidationHandler(1, evaluator)
        )

    @property
    def stopped_early(self) -> bool:
        """Whether the validations have not improved for so long that training ended."""
        return self._early is not None and self._early.counter >= self._early.patience

    def resume(self, checkpoint: Path | None, device: torch.device) -> None:
        """Take over the state of a checkpoint, or begin."""
        if checkpoint is not None:
            self.checkpoints.load(checkpoint, device)
        self.metrics.forget_what_comes_again()
        if self.processes.is_first and not self.checkpoints.take_over():
            self.metrics.best_dice = self.metrics.best_epoch = None

    def run(self) -> None:
        """Train to the end, or until a stop is asked for; the checkpoint of where it stands is written then."""
        trainer = self.trainer
        trainer.add_event_handler(Events.EPOCH_COMPLETED, self.metrics.close_epoch)
        if trainer.state.epoch > self.metrics.closed_epochs:
            # It was stopped after the last step of an epoch and before what follows an epoch.
            trainer.fire_event(Events.EPOCH_COMPLETED)
        if trainer.state.iteration < self.total_steps and not self.stopped_early:
            trainer.run()
        if not self.stopped:
            self.write_checkpoint()

    def write_checkpoint(self) -> None:
        """Write where the training stands; the first process does."""
        if self.processes.is_first:
            self.checkpoints.write(self.trainer)

    def close(self) -> None:
        """Let go of the open files."""
        if self.writer is not None:
            self.writer.close()

    def _tensorboard(self, folder: Path, first_step: int) -> SummaryWriter:
        # Points of steps that come again are taken back.
        writer = SummaryWriter(str(folder), purge_step=first_step + 1)
        TensorBoardStatsHandler(writer, output_transform=lambda output: output["loss"], tag_name="loss").attach(
            self.trainer
        )
        return writer

    def _seed_step(self, engine: Engine) -> None:
        """What a network draws at random in training, such as dropout, follows from the step and the process."""
        numbers = np.random.SeedSequence((self.job.seed, engine.state.iteration, self.processes.rank))
        torch.manual_seed(int(numbers.generate_state(1)[0]))

    def _step_done(self, engine: Engine) -> None:
        self.listeners.on_step(engine.state.iteration, self.total_steps)
        asked = self.processes.gather([float(self.listeners.stop())], engine.state.device).any()
        self.stopped = bool(asked)
        if self.stopped or self.checkpoints.is_due():
            self.write_checkpoint()
        if self.stopped:
            engine.terminate()

    def _validated(self, validation: Validation) -> None:
        mean, by_case = validation.mean, validation.by_case
        is_best = self.metrics.validated(self.trainer, mean, by_case, validation.seconds)
        if self.writer is not None:
            self.writer.add_scalar("validation_dice", mean, self.trainer.state.iteration)
        if is_best and self.processes.is_first:
            self.checkpoints.write_best(self.trainer)

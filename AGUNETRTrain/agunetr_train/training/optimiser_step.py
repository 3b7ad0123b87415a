"""One step of the optimiser, which MONAI's trainer calls for every batch.

MONAI's own iteration knows mixed precision on CUDA alone, counts each part of an accumulated step as an iteration, and
has the processes add up their gradients after every part. What is done here goes for every device, and an iteration
of the engine is a step of the optimiser.
"""

from __future__ import annotations

import contextlib
import math
from pathlib import Path
from typing import Any

import torch
from monai.engines import IterationEvents, SupervisedTrainer
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from agunetr_train.experiments.definition import Stage
from agunetr_train.training.distributed import Processes
from agunetr_train.training.failing_loss import refuse_batch
from agunetr_train.training.precision import needs_scaler


class OptimiserStep:
    """Forward and backward through the parts of a batch, then one step.

    Args:
        stage: its ``accumulation_steps`` and ``clip_norm``.
        dtype: of autocast; None computes in float32.
        device: where it runs.
        processes: those that train together.
        folder: where a batch whose loss is no number goes.

    Attributes:
        scaler: of the loss, which float16 needs; its state belongs to a checkpoint.
    """

    def __init__(
        self, stage: Stage, dtype: torch.dtype | None, device: torch.device, processes: Processes, folder: Path
    ) -> None:
        self.parts = stage.accumulation_steps
        self.clip_norm = stage.clip_norm
        self.dtype = dtype
        self.device = device
        self.processes = processes
        self.folder = folder
        self.scaler = torch.amp.GradScaler(device.type, enabled=needs_scaler(dtype))

    def __call__(self, engine: SupervisedTrainer, batch: dict[str, Any]) -> dict[str, float]:
        """The mean loss of the step over all processes, under ``loss``.

        Raises:
            LossNotFinite: the loss or the gradient is no finite number; the weights are left as they were.
        """
        image, label = engine.prepare_batch(batch, engine.state.device, engine.non_blocking)
        engine.network.train()
        engine.optimizer.zero_grad(set_to_none=True)
        own_loss = 0.0
        for part, (images, labels) in enumerate(zip(image.chunk(self.parts), label.chunk(self.parts), strict=True), 1):
            with self._gradients_added_up(engine.network, part == self.parts):
                with torch.autocast(self.device.type, self.dtype, enabled=self.dtype is not None):
                    prediction = engine.inferer(images, engine.network)
                loss = engine.loss_function(prediction, labels) / self.parts
                self.scaler.scale(loss).backward()
            own_loss += float(loss.detach())
        engine.fire_event(IterationEvents.BACKWARD_COMPLETED)
        self.scaler.unscale_(engine.optimizer)
        weights = [weight for group in engine.optimizer.param_groups for weight in group["params"]]
        norm = get_total_norm([weight.grad for weight in weights if weight.grad is not None])
        mean_loss = self._checked(engine, batch, own_loss, norm)
        if self.clip_norm:
            clip_grads_with_norm_(weights, self.clip_norm, norm)
        self.scaler.step(engine.optimizer)
        self.scaler.update()
        engine.fire_event(IterationEvents.MODEL_COMPLETED)
        return {"loss": mean_loss}

    def _checked(
        self, engine: SupervisedTrainer, batch: dict[str, Any], own_loss: float, norm: torch.Tensor
    ) -> float:
        """The mean loss of all processes, which all stop where one has none."""
        losses = self.processes.gather([own_loss], self.device)[:, 0].tolist()
        gradient_norm = float(norm)
        # Where the loss is scaled, gradients that are too large are expected now and then, and the scaler passes over.
        gradient_fails = not math.isfinite(gradient_norm) and not self.scaler.is_enabled()
        failing = [rank for rank, loss in enumerate(losses) if not math.isfinite(loss)]
        if failing or gradient_fails:
            facts = {
                "epoch": engine.state.epoch,
                "step": engine.state.iteration,
                "learning_rate": engine.optimizer.param_groups[0]["lr"],
                "loss": own_loss,
                "gradient_norm": gradient_norm,
            }
            raise refuse_batch(self.folder, batch, facts, keep=self.processes.rank == (failing or [0])[0])
        return math.fsum(losses) / len(losses)

    @staticmethod
    def _gradients_added_up(network: nn.Module, now: bool) -> contextlib.AbstractContextManager[None]:
        """Processes exchange their gradients once a step, with its last part."""
        if now or not isinstance(network, DistributedDataParallel):
            return contextlib.nullcontext()
        return network.no_sync()

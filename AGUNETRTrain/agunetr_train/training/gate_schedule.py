"""Gates that are frozen for the first epochs and then released (SPEC: gate schedule)."""

from __future__ import annotations

from ignite.engine import Engine
from monai.engines import IterationEvents

from agunetr.networks.unetr import GatedUNETR


class GateSchedule:
    """Leaves the gates' weights as they are for some epochs, then trains them with the rest.

    While they are frozen their gradients are thrown away before every optimiser step. AdamW passes over a weight
    without a gradient altogether: no step, no decay, no moments. Their ``requires_grad`` stays as it is, because
    DistributedDataParallel fixes when it is built which weights will have gradients.

    The epoch of the engine alone decides, so a resumed training needs nothing more than its epoch.

    Args:
        network: with gates; one without is left alone.
        frozen_epochs: how many; 0 freezes nothing.
    """

    def __init__(self, network: GatedUNETR, frozen_epochs: int) -> None:
        self.network = network
        self.frozen_epochs = frozen_epochs

    def attach(self, trainer: Engine) -> None:
        """Listen to a MONAI trainer, which announces the end of every backward pass before its optimiser steps."""
        if self.frozen_epochs and self.network.gate_names:
            trainer.add_event_handler(IterationEvents.BACKWARD_COMPLETED, self._backward_completed)

    def are_frozen(self, epoch: int) -> bool:
        """Whether the gates rest in that epoch, counted from 1."""
        return epoch <= self.frozen_epochs

    def _backward_completed(self, engine: Engine) -> None:
        if self.are_frozen(engine.state.epoch):
            for weight in self.network.gates.parameters():
                weight.grad = None

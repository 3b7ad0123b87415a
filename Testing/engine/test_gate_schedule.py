"""Gates rest for the first epochs and learn afterwards, also in a training that was resumed."""

from __future__ import annotations

import pytest
import torch
from monai.engines import SupervisedTrainer
from tiny_experiments import TINY_NETWORK

from agunetr.networks.variants import build_network, network_config
from agunetr_train.training.gate_schedule import GateSchedule
from agunetr_train.training.losses import SoftDiceCELoss

FROZEN = 1


class Training:
    """A trainer of a gated network on one fixed patch, a step an epoch."""

    def __init__(self, variant: str = "agunetr-v2", frozen: int = FROZEN) -> None:
        torch.manual_seed(0)
        self.network = build_network(network_config(variant, **TINY_NETWORK))
        # A decay so strong that a weight which is decayed without being trained is seen at once.
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=1e-3, weight_decay=0.5)
        self.trainer = SupervisedTrainer(
            device="cpu",
            max_epochs=FROZEN + 1,
            train_data_loader=[patch()],
            network=self.network,
            optimizer=self.optimizer,
            loss_function=SoftDiceCELoss(),
            decollate=False,
            optim_set_to_none=True,
        )
        GateSchedule(self.network, frozen).attach(self.trainer)

    def run(self, epochs: int) -> dict[str, torch.Tensor]:
        """The weights after so many epochs."""
        self.trainer.state.max_epochs = epochs
        self.trainer.run()
        return {name: value.clone() for name, value in self.network.state_dict().items()}


def patch() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    label = torch.zeros(1, 1, 32, 32, 32)
    label[..., 8:20, 8:20, 8:20] = 1.0
    return {"image": 0.5 * label + 0.1 * torch.rand(label.shape, generator=generator), "label": label}


def gates_of(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: value for name, value in state.items() if name.startswith("gates.")}


@pytest.fixture(scope="module")
def start() -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in Training().network.state_dict().items()}


@pytest.fixture(scope="module")
def uninterrupted() -> dict[str, torch.Tensor]:
    return Training().run(FROZEN + 1)


def test_frozen_gates_are_neither_trained_nor_decayed_while_the_rest_learns(start):
    training = Training()
    after = training.run(FROZEN)
    assert all(torch.equal(value, start[name]) for name, value in gates_of(after).items())
    assert not torch.equal(after["encoder1.layer.conv1.conv.weight"], start["encoder1.layer.conv1.conv.weight"])
    gates = set(training.network.gates.parameters())
    assert not gates & set(training.optimizer.state), "a frozen gate has no moments"


def test_released_gates_learn(start, uninterrupted):
    changed = [name for name, value in gates_of(uninterrupted).items() if not torch.equal(value, start[name])]
    # As long as gamma is 0 nothing behind it has a gradient, and AdamW only decays it.
    assert "gates.enc1.gamma" in changed and len(changed) == len(gates_of(start))


def test_a_resumed_training_releases_its_gates_in_the_same_epoch(uninterrupted):
    first = Training()
    first.run(FROZEN)
    second = Training()
    second.network.load_state_dict(first.network.state_dict())
    second.optimizer.load_state_dict(first.optimizer.state_dict())
    second.trainer.load_state_dict(first.trainer.state_dict())
    resumed = second.run(FROZEN + 1)
    assert all(torch.equal(value, uninterrupted[name]) for name, value in resumed.items())


def test_gates_of_the_identity_leave_the_base_network_as_long_as_they_are_frozen():
    gated, base = Training().run(1), Training("unetr").run(1)
    assert all(torch.equal(value, gated[name]) for name, value in base.items() if name.startswith("vit."))


def test_without_frozen_epochs_gates_learn_from_the_first_step(start):
    after = Training(frozen=0).run(1)
    assert not torch.equal(after["gates.enc1.gamma"], start["gates.enc1.gamma"])

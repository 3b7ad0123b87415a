"""Deep supervision: heads that exist in training alone and teach the decoder."""

from __future__ import annotations

import pytest
import torch
from tiny_experiments import TINY_NETWORK

from agunetr.networks.variants import build_network, network_config
from agunetr_train.experiments.definition import Stage
from agunetr_train.training.deep_supervision import DeepSupervision, training_form
from agunetr_train.training.losses import make_loss


@pytest.fixture
def form() -> DeepSupervision:
    torch.manual_seed(0)
    network = build_network(network_config("agunetr-v2", **TINY_NETWORK))
    return training_form(Stage(name="s", variant="agunetr-v2", epochs=1, deep_supervision=True), network)


def test_in_training_it_gives_logits_on_three_grids_and_else_those_of_the_network(form):
    window = torch.rand(1, 1, 32, 32, 32)
    assert [tuple(part.shape) for part in form.train()(window)] == [(1, 2, edge, edge, edge) for edge in (32, 16, 8)]
    with torch.no_grad():
        assert torch.equal(form.eval()(window), form.network(window))


def test_the_network_keeps_its_weights_names_and_has_no_hook_left(form):
    names = set(form.network.state_dict())
    form.train()(torch.rand(1, 1, 32, 32, 32))
    assert set(form.network.state_dict()) == names and not any("heads" in name for name in names)
    assert not form.network.decoder3._forward_hooks and not form.network.decoder4._forward_hooks


def test_coarse_heads_learn_with_the_network(form):
    loss = make_loss(Stage(name="s", variant="agunetr-v2", epochs=1, deep_supervision=True))
    loss(form.train()(torch.rand(1, 1, 32, 32, 32)), torch.zeros(1, 1, 32, 32, 32)).backward()
    assert all(weight.grad is not None and weight.grad.any() for weight in form.heads.parameters())


def test_without_it_the_network_itself_is_trained(form):
    assert training_form(Stage(name="s", variant="unetr", epochs=1), form.network) is form.network

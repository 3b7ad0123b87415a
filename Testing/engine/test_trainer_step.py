"""One step of the optimiser: parts of a batch, clipping, mixed precision, and what is no number."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from monai.engines import IterationEvents, SupervisedTrainer
from torch import nn

from agunetr_train.experiments.definition import Stage
from agunetr_train.training.distributed import Processes
from agunetr_train.training.failing_loss import LossNotFinite
from agunetr_train.training.optimiser_step import OptimiserStep

CPU = torch.device("cpu")


def batch(seed: int = 0, size: int = 4, **changes: torch.Tensor) -> dict:
    generator = torch.Generator().manual_seed(seed)
    image, label = (torch.rand(size, 1, 4, 4, 4, generator=generator) for _ in range(2))
    facts = {"case": [f"case-{number}" for number in range(size)], "draw": torch.arange(size)}
    return {"image": image, "label": label, **facts, **changes}


def trained(folder: Path, dtype: torch.dtype | None = None, data: dict | None = None, **stage) -> torch.Tensor:
    """The weights of a small network after one step of plain gradient descent, all in one vector."""
    torch.manual_seed(1)
    network = nn.Sequential(nn.Conv3d(1, 4, 3, padding=1), nn.Tanh(), nn.Conv3d(4, 1, 1))
    step = OptimiserStep(Stage(name="a", variant="unetr", epochs=1, **stage), dtype, CPU, Processes(), folder)
    trainer = SupervisedTrainer(
        device=CPU,
        max_epochs=1,
        train_data_loader=[data or batch()],
        network=network,
        optimizer=torch.optim.SGD(network.parameters(), lr=0.1),
        loss_function=lambda prediction, label: nn.functional.mse_loss(prediction.float(), label),
        iteration_update=step,
        decollate=False,
    )
    seen = []
    trainer.add_event_handler(IterationEvents.BACKWARD_COMPLETED, lambda engine: seen.append("backward"))
    trainer.add_event_handler(IterationEvents.MODEL_COMPLETED, lambda engine: seen.append("step"))
    try:
        trainer.run()
        assert seen == ["backward", "step"]
    finally:
        trained.last = nn.utils.parameters_to_vector(network.parameters()).detach()
    return trained.last


@pytest.fixture(scope="module")
def beginning(tmp_path_factory) -> torch.Tensor:
    with pytest.raises(LossNotFinite):
        trained(tmp_path_factory.mktemp("step"), data=batch(label=torch.full((4, 1, 4, 4, 4), torch.nan)))
    # A step that is refused leaves the weights as they were.
    return trained.last


def test_the_parts_of_a_batch_add_up_to_the_batch(tmp_path, beginning):
    whole = trained(tmp_path, patches_per_step=4)
    torch.testing.assert_close(trained(tmp_path, patches_per_step=4, accumulation_steps=4), whole, rtol=0, atol=1e-6)
    assert not torch.allclose(whole, beginning, atol=1e-4)


def test_clipping_bounds_the_norm_of_all_gradients_together(tmp_path, beginning):
    free, clipped = trained(tmp_path) - beginning, trained(tmp_path, clip_norm=0.01) - beginning
    assert float(free.norm()) > 0.01
    assert float(clipped.norm()) == pytest.approx(0.1 * 0.01, rel=1e-3)
    torch.testing.assert_close(clipped / clipped.norm(), free / free.norm(), rtol=0, atol=1e-4)
    torch.testing.assert_close(trained(tmp_path, clip_norm=1e6) - beginning, free)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("clip_norm", [0.0, 0.01])
def test_mixed_precision_takes_nearly_the_same_step(tmp_path, beginning, dtype, clip_norm):
    # float16 scales the loss; a clipped gradient must have been scaled back before.
    wanted = trained(tmp_path, clip_norm=clip_norm) - beginning
    found = trained(tmp_path, dtype, clip_norm=clip_norm) - beginning
    assert not torch.equal(found, wanted)
    assert float((found - wanted).norm()) < 0.05 * float(wanted.norm())


def test_a_batch_without_a_number_is_kept_and_its_cases_named(tmp_path):
    with pytest.raises(LossNotFinite, match=r"The loss is no finite number in epoch 1 at step 1 \(cases case-0, "):
        trained(tmp_path, data=batch(image=torch.full((4, 1, 4, 4, 4), torch.inf)))
    assert {path.name for path in tmp_path.iterdir()} == {"nan_step=1.safetensors", "nan_step=1.json"}


def test_a_batch_that_cannot_be_kept_is_named_all_the_same(tmp_path):
    with pytest.raises(LossNotFinite, match="could not be kept"):
        trained(tmp_path / "nowhere", data=batch(image=torch.full((4, 1, 4, 4, 4), torch.nan)))


def test_the_fused_optimiser_takes_the_same_steps_in_every_layout():
    def after_three_steps(fused: bool) -> torch.Tensor:
        torch.manual_seed(2)
        network = nn.Sequential(nn.Conv3d(2, 4, 3), nn.ConvTranspose3d(4, 2, 2, stride=2), nn.Conv3d(2, 1, 1))
        network.to(memory_format=torch.channels_last_3d)
        optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2, weight_decay=1e-2, fused=fused)
        for _ in range(3):
            optimizer.zero_grad()
            network(torch.rand(1, 2, 6, 6, 6).to(memory_format=torch.channels_last_3d)).square().sum().backward()
            optimizer.step()
        return nn.utils.parameters_to_vector([weight.contiguous() for weight in network.parameters()])

    torch.testing.assert_close(after_three_steps(True), after_three_steps(False), rtol=1e-5, atol=1e-6)

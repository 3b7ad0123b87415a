"""The loss of a stage: Dice and cross-entropy, imitation of a teacher, deep supervision."""

from __future__ import annotations

import pytest
import torch
from monai.losses import DiceCELoss

from agunetr_train.experiments.definition import Stage
from agunetr_train.training.losses import DEPTH_WEIGHTS, SoftDiceCELoss, make_loss, two_channel_target


def stage(**values) -> Stage:
    return Stage(name="s", variant="unetr", epochs=1, **values)


def logits_and_mask() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(2, 2, 8, 8, 8, generator=generator)
    return logits, (torch.rand(2, 1, 8, 8, 8, generator=generator) > 0.7).float()


def test_on_hard_masks_it_is_the_dice_and_cross_entropy_of_monai():
    logits, mask = logits_and_mask()
    reference = DiceCELoss(to_onehot_y=True, softmax=True)(logits, mask)
    assert float(make_loss(stage())(logits, mask)) == pytest.approx(float(reference), rel=1e-5)


def test_a_soft_mask_is_met_best_by_its_own_shares():
    _, mask = logits_and_mask()
    soft = 0.05 + 0.8 * mask
    loss = SoftDiceCELoss()
    right = torch.log(two_channel_target(soft))
    assert float(loss(right, soft)) < float(loss(right + torch.tensor([0.0, 0.3]).view(1, 2, 1, 1, 1), soft))


def gradient_in_an_empty_patch(smoothing: float) -> float:
    """Mean gradient at 200 falsely marked voxels of a patch that holds no organ."""
    logits = torch.zeros(1, 2, 16, 16, 16)
    logits[:, 1] = -12.0
    logits[:, 1, :5, :5, :8] = 2.0
    logits.requires_grad_()
    SoftDiceCELoss(smoothing)(logits, torch.zeros(1, 1, 16, 16, 16)).backward()
    return float(logits.grad[0, 1, :5, :5, :8].mean())


def test_smoothing_gives_false_alarms_in_empty_patches_a_cost():
    plain, smooth = gradient_in_an_empty_patch(1e-5), gradient_in_an_empty_patch(500.0)
    assert 0 < plain < smooth / 1.2


def test_a_student_that_says_what_its_teacher_says_has_nothing_to_learn_from_it():
    logits, mask = logits_and_mask()
    temperature = 3.0
    soft = torch.softmax(logits / temperature, dim=1)[:, 1:]
    imitation = make_loss(stage(teacher="t", distillation_weight=1.0, distillation_temperature=temperature))
    assert float(imitation(logits, torch.cat([mask, soft], dim=1))) == pytest.approx(0.0, abs=1e-5)
    assert float(imitation(logits, torch.cat([mask, 1 - soft], dim=1))) > 0.1


def test_mask_and_teacher_share_the_loss_by_the_weight():
    logits, mask = logits_and_mask()
    target = torch.cat([mask, mask.roll(1, 2)], dim=1)
    alone, imitation, both = (
        float(make_loss(stage(teacher="t", distillation_weight=weight))(logits, target)) for weight in (0.0, 1.0, 0.25)
    )
    assert alone == pytest.approx(float(make_loss(stage())(logits, mask)))
    assert both == pytest.approx(0.75 * alone + 0.25 * imitation)


def test_the_gradient_of_the_imitation_does_not_shrink_with_the_temperature():
    sizes = []
    for temperature in (1.0, 8.0):
        logits = torch.full((1, 2, 4, 4, 4), 0.0, requires_grad=True)
        soft = torch.full((1, 1, 4, 4, 4), 0.2 / temperature).sigmoid()
        loss = make_loss(stage(teacher="t", distillation_weight=1.0, distillation_temperature=temperature))
        loss(logits, torch.cat([torch.zeros_like(soft), soft], dim=1)).backward()
        sizes.append(float(logits.grad.norm()))
    assert sizes[1] == pytest.approx(sizes[0], rel=0.05)


def test_coarse_outputs_are_held_against_the_share_of_the_organ_in_their_voxels():
    logits, mask = logits_and_mask()
    coarse = [torch.randn(2, 2, edge, edge, edge) for edge in (4, 2)]
    total = float(make_loss(stage(deep_supervision=True))([logits, *coarse], mask))
    pooled = [mask, *(torch.nn.functional.avg_pool3d(mask, 8 // edge) for edge in (4, 2))]
    parts = [float(SoftDiceCELoss()(*pair)) for pair in zip([logits, *coarse], pooled, strict=True)]
    assert total == pytest.approx(sum(weight * part for weight, part in zip(DEPTH_WEIGHTS, parts, strict=True)))
    assert sum(DEPTH_WEIGHTS) == pytest.approx(1.0)


def test_half_precision_logits_give_a_loss_in_float32():
    logits, mask = logits_and_mask()
    assert make_loss(stage())(logits.bfloat16(), mask).dtype is torch.float32

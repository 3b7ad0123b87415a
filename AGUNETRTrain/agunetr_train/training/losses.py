"""What training minimises: Dice and cross-entropy, with imitation of a teacher and deep supervision where asked for."""

from __future__ import annotations

import torch
from monai.losses import DeepSupervisionLoss, DiceCELoss
from torch import Tensor, nn
from torch.nn import functional

from agunetr_train.experiments.definition import Stage

DEPTH_WEIGHTS = (4 / 7, 2 / 7, 1 / 7)
"""Of the outputs on the window's grid and on the two coarser ones: each half of the one before, together 1."""


class SoftDiceCELoss(DiceCELoss):
    """MONAI's Dice + cross-entropy against the two-channel form of a one-channel mask, soft or hard.

    Args:
        smoothing: see :attr:`agunetr_train.experiments.definition.Stage.dice_smoothing`.
    """

    def __init__(self, smoothing: float = 1e-5) -> None:
        super().__init__(softmax=True, smooth_nr=smoothing, smooth_dr=smoothing)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """(B, 2, ...) logits and (B, 1, ...) mask in [0, 1] to the mean loss."""
        return super().forward(input.float(), two_channel_target(target.float()))


class DistillationLoss(nn.Module):
    """The loss against the mask, and the Kullback-Leibler divergence from the teacher's softened answer.

    As in Hinton et al. 2015 (arXiv:1503.02531): both answers are softened by the temperature T, which is already in
    the teacher's map, and the divergence is multiplied by T squared, so that its gradients do not shrink with T.

    Args:
        loss: against the mask.
        weight: share of the imitation; 0 is the mask alone, 1 the teacher alone.
        temperature: T.
    """

    def __init__(self, loss: nn.Module, weight: float, temperature: float) -> None:
        super().__init__()
        self.loss = loss
        self.weight = weight
        self.temperature = temperature

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """(B, 2, ...) logits to the mean loss; ``target`` (B, 2, ...) holds the mask and the teacher's soft map."""
        mask, teacher = target[:, :1], two_channel_target(target[:, 1:2].float())
        student = functional.log_softmax(input.float() / self.temperature, dim=1)
        divergence = functional.kl_div(student, teacher, reduction="none").sum(dim=1).mean()
        return (1 - self.weight) * self.loss(input, mask) + self.weight * self.temperature**2 * divergence


def two_channel_target(label: Tensor) -> Tensor:
    """(B, 1, ...) foreground in [0, 1] to (B, 2, ...) shares of background and foreground."""
    return torch.cat([1.0 - label, label], dim=1)


def make_loss(stage: Stage) -> nn.Module:
    """The loss of a stage.

    It takes the logits (B, 2, ...), or the list of them that a deeply supervised network gives, and the label as
    :func:`agunetr_train.training.augmentation.training_transforms` leaves it: (B, 1, ...) mask, or (B, 2, ...) mask
    and teacher's soft map.
    """
    loss: nn.Module = SoftDiceCELoss(stage.dice_smoothing)
    if stage.teacher is not None:
        loss = DistillationLoss(loss, stage.distillation_weight, stage.distillation_temperature)
    if stage.deep_supervision:
        loss = DeepSupervisionLoss(loss, weights=list(DEPTH_WEIGHTS))
        # A coarse voxel's target is the share of the organ in it; the nearest fine voxel would shift the organ.
        loss.interp_mode = "area"
    return loss

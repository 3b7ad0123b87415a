"""What is done to training patches, and what the loss makes of patches without the organ."""

from __future__ import annotations

import pytest
import torch

from agunetr_train.experiments.definition import Augmentation
from agunetr_train.training.arms import MUSCLE, RandArmsd, free_air
from agunetr_train.training.augmentation import (
    NEAR,
    RandOrganEnhancementd,
    RandSlabd,
    near_foreground,
    training_transforms,
)
from agunetr_train.training.trainer import SoftDiceCELoss


def patch() -> dict[str, torch.Tensor]:
    label = torch.zeros(1, 12, 12, 12)
    label[:, 4:8, 4:8, 4:8] = 1.0
    return {"image": torch.full((1, 12, 12, 12), 0.6), "label": label}


def test_a_slab_keeps_some_neighbouring_slices_of_image_and_mask_and_turns_the_rest_to_air():
    depths = set()
    transform = RandSlabd(prob=1.0, slices=(3, 6))
    transform.set_random_state(seed=4)
    for _ in range(40):
        before, after = patch(), transform(patch())
        kept = after["image"].amax(dim=(0, 1, 2)) > 0
        first, last = int(kept.nonzero().min()), int(kept.nonzero().max())
        assert kept[first : last + 1].all(), "the slab has a gap"
        depths.add(last - first + 1)
        for key in ("image", "label"):
            assert torch.equal(after[key][..., kept], before[key][..., kept])
            assert not after[key][..., ~kept].any()
    assert depths == {3, 4, 5, 6}


def test_no_slab_where_the_probability_is_0_and_none_thicker_than_the_patch():
    assert torch.equal(RandSlabd(prob=0.0, slices=(1, 2))(patch())["image"], patch()["image"])
    assert torch.equal(RandSlabd(prob=1.0, slices=(50, 60))(patch())["image"], patch()["image"])


def test_the_enhancement_changes_the_organ_alone_and_leaves_enclosed_air():
    data = patch()
    data["image"][:, 5, 5, 5] = 0.0
    transform = RandOrganEnhancementd(prob=1.0, change=(0.1, 0.1))
    after = transform(data)["image"] - data["image"]
    organ = data["label"] > 0
    organ[:, 5, 5, 5] = False
    assert after[organ].numpy() == pytest.approx(0.1)
    assert not after[~organ].any()


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


def body_between_air() -> dict[str, torch.Tensor]:
    """(1, 48, 32, 16): a body of tissue with a lung in it, 16 voxels of air at either flank."""
    image = torch.zeros(1, 48, 32, 16)
    image[:, 16:32] = 0.5
    image[:, 22:26, 10:20] = 0.0
    return {"image": image, "label": torch.zeros_like(image)}


def test_arms_lie_in_the_air_beside_the_body_and_leave_body_lung_and_mask_alone():
    transform = RandArmsd(prob=1.0)
    transform.set_random_state(seed=2)
    left = right = 0
    for _ in range(20):
        before, after = body_between_air(), transform(body_between_air())
        assert torch.equal(after["image"][:, 16:32], before["image"][:, 16:32])
        assert torch.equal(after["label"], before["label"])
        left += bool(after["image"][:, :16].any())
        right += bool(after["image"][:, 32:].any())
    assert 10 <= left < 20
    assert 10 <= right < 20
    assert float(transform(body_between_air())["image"].max()) >= MUSCLE - 0.1


def test_no_arm_is_drawn_at_a_side_that_cuts_through_the_body():
    data = body_between_air()
    data["image"][:, 0] = 0.5
    transform = RandArmsd(prob=1.0)
    transform.set_random_state(seed=2)
    for _ in range(10):
        assert torch.equal(transform(dict(data))["image"][:, :32], data["image"][:, :32])
    assert not free_air(data["image"][0]).any()


def test_patches_reach_beyond_the_scan_only_with_a_margin():
    scan = {"image": torch.full((1, 40, 40, 40), 0.6), "label": torch.zeros(1, 40, 40, 40)}
    scan["label"][:, 18:22, 18:22, 18:22] = 1.0
    scan[NEAR] = near_foreground(scan["label"], 0)
    still = dict(
        rotation_degrees=0.0, stretch=0.0, shear=0.0, p_grid_distortion=0.0, p_enhancement=0.0, p_histogram_shift=0.0,
        p_scale_shift=0.0, p_gamma=0.0, p_noise=0.0, p_blur=0.0, p_low_resolution=0.0,
    )  # fmt: skip
    airy = {}
    for margin in (0, 12):
        transforms = training_transforms((16, 16, 16), 0.0, Augmentation(**still, margin_voxels=margin))
        transforms.set_random_state(seed=1)
        airy[margin] = sum(bool((transforms(dict(scan))[0]["image"] < 0.1).any()) for _ in range(15))
    assert airy[0] == 0
    assert airy[12] > 0


def test_centres_may_lie_beside_the_foreground_by_the_reach():
    label = torch.zeros(1, 20, 20, 20)
    label[:, 8:11, 9, 10] = 0.3
    assert torch.equal(near_foreground(label, 0), (label > 0).to(torch.uint8))
    near = near_foreground(label, 4)
    expected = torch.zeros_like(near)
    expected[:, 4:15, 5:14, 6:15] = 1
    assert torch.equal(near, expected)

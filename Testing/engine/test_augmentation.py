"""What is done to training patches."""

from __future__ import annotations

import pytest
import torch

from agunetr_train.experiments.definition import Augmentation, Stage
from agunetr_train.training.arms import MUSCLE, RandArmsd, free_air
from agunetr_train.training.augmentation import RandOrganEnhancementd, RandSlabd, cut_size, training_transforms
from agunetr_train.training.patch_centres import (
    BACKGROUND,
    FOREGROUND,
    MOST_CENTRES,
    near_foreground,
    with_centres,
)


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


STILL = dict(
    p_affine=0.0, p_grid_distortion=0.0, p_enhancement=0.0, p_histogram_shift=0.0, p_scale=0.0, p_shift=0.0,
    p_gamma=0.0, p_noise=0.0, p_blur=0.0, p_low_resolution=0.0,
)  # fmt: skip
"""An augmentation that changes nothing."""

WINDOW = (16, 16, 16)


def stage(window_share: float = 0.5, teacher: str | None = None, **augmentation) -> Stage:
    return Stage(
        name="s", variant="unetr", epochs=1, foreground_share=window_share, teacher=teacher,
        augmentation=Augmentation(**augmentation),
    )  # fmt: skip


def scan(edge: int = 40, teacher: bool = False) -> dict[str, torch.Tensor]:
    """Every voxel of the image differs from every other, and the organ lies off the centre."""
    image = torch.linspace(0.2, 0.8, edge**3).reshape(1, edge, edge, edge)
    label = torch.zeros_like(image)
    label[:, 10:18, 12:20, 18:26] = 1.0
    item = {"image": image, "label": label}
    return {**item, "teacher": 0.1 + 0.5 * label} if teacher else item


def patches(stage: Stage, number: int, seed: int = 1, **item) -> list[dict[str, torch.Tensor]]:
    transforms = training_transforms(WINDOW, stage)
    transforms.set_random_state(seed=seed)
    a = stage.augmentation
    ready = with_centres(scan(**item), cut_size(WINDOW, stage), a.margin_voxels, stage.foreground_reach)
    return [transforms(dict(ready))[0] for _ in range(number)]


def is_cut_out_of(part: torch.Tensor, whole: torch.Tensor) -> bool:
    """Whether a patch is a box of the scan, voxel by voxel; the first voxel says where."""
    first = (whole[0] == part[0, 0, 0, 0]).nonzero()[0].tolist()
    box = tuple(slice(start, start + edge) for start, edge in zip(first, part.shape[1:], strict=True))
    return torch.equal(whole[0][box], torch.as_tensor(part[0]))


def test_without_affine_change_a_window_is_cut_exactly():
    whole = scan()
    for patch in patches(stage(**STILL), 8):
        assert patch["image"].shape == patch["label"].shape == (1, 16, 16, 16)
        assert is_cut_out_of(patch["image"], whole["image"])
        assert torch.equal(patch["label"] > 0, organ_of(patch["image"], whole))


def organ_of(part: torch.Tensor, whole: dict[str, torch.Tensor]) -> torch.Tensor:
    """Where the voxels of a patch, known by their values, are organ in the scan."""
    return torch.isin(torch.as_tensor(part), whole["image"][whole["label"] > 0])


def test_half_of_the_patches_are_centred_on_the_organ():
    centred = [bool(patch["label"][0, 8, 8, 8]) for patch in patches(stage(**STILL), 60)]
    assert 18 <= sum(centred) <= 42
    assert all(bool(patch["label"][0, 8, 8, 8]) for patch in patches(stage(1.0, **STILL), 10))


def test_flips_and_quarter_turns_move_image_and_mask_together_and_turn_in_the_axial_plane():
    whole = scan()
    turned = 0
    for patch in patches(stage(**{**STILL, "p_rotate90": 1.0}), 6):
        assert torch.equal(patch["label"] > 0, organ_of(patch["image"], whole))
        # The last axis of the scan counts up by the smallest step; a turn in the axial plane leaves it alone.
        assert (patch["image"].diff(dim=-1) > 0).all()
        turned += not is_cut_out_of(patch["image"], whole["image"])
    assert turned == 6
    seen = set()
    for patch in patches(stage(**{**STILL, "p_flip": 0.5}), 40):
        assert torch.equal(patch["label"] > 0, organ_of(patch["image"], whole))
        seen.add(tuple(bool((patch["image"].diff(dim=axis) > 0).all()) for axis in (1, 2, 3)))
    assert len(seen) == 8, "each axis flips on its own"


def test_intensities_change_by_at_most_the_factor_and_the_offset():
    whole = scan()
    lowest, highest = float(whole["image"].min()), float(whole["image"].max())
    for changes, reach in ((dict(p_scale=1.0, scale=0.1), 0.1 * highest), (dict(p_shift=1.0, shift=0.1), 0.1)):
        changed = patches(stage(**{**STILL, **changes}), 20)
        assert all(lowest - reach <= float(patch["image"].min()) for patch in changed)
        assert all(float(patch["image"].max()) <= highest + reach for patch in changed)
        assert not any(is_cut_out_of_scaled(patch["image"], whole["image"]) for patch in changed)


def is_cut_out_of_scaled(part: torch.Tensor, whole: torch.Tensor) -> bool:
    return bool((whole[0] == part[0, 0, 0, 0]).any()) and is_cut_out_of(part, whole)


def test_patches_repeat_with_the_seed_and_stay_in_range():
    every = stage(p_flip=0.5, p_rotate90=0.5, p_slab=0.3, p_arms=0.3, margin_voxels=4)
    first, again, other = (patches(every, 4, seed) for seed in (1, 1, 2))
    for patch, repeated in zip(first, again, strict=True):
        assert torch.equal(torch.as_tensor(patch["image"]), torch.as_tensor(repeated["image"]))
        assert patch["image"].shape == patch["label"].shape == (1, 16, 16, 16)
        assert 0 <= float(patch["image"].min()) and float(patch["image"].max()) <= 1
        assert 0 <= float(patch["label"].min()) and float(patch["label"].max()) <= 1 + 1e-6
    assert any(not torch.equal(a["image"], b["image"]) for a, b in zip(first, other, strict=True))


def test_the_teachers_map_goes_where_the_mask_goes_and_lies_behind_it():
    moving = dict(p_flip=0.5, p_rotate90=0.5, p_affine=1.0, rotation_degrees=10.0, stretch=0.1, p_slab=0.5)
    for patch in patches(stage(teacher="t", **{**STILL, **moving}), 10, teacher=True):
        assert set(patch) == {"image", "label"} and patch["label"].shape == (2, 16, 16, 16)
        mask, soft = (torch.as_tensor(part) for part in patch["label"])
        organ = mask > 0.999
        assert soft[organ].numpy() == pytest.approx(0.6, abs=1e-4)
        assert float(soft[mask == 0].max()) <= 0.1 + 1e-4


def test_patches_reach_beyond_the_scan_only_with_a_margin():
    airy = {}
    for margin in (0, 12):
        cut = patches(stage(0.0, **STILL, margin_voxels=margin), 15)
        airy[margin] = sum(bool((patch["image"] < 0.1).any()) for patch in cut)
    assert airy[0] == 0
    assert airy[12] > 0


def test_a_scan_that_needs_no_padding_is_neither_copied_nor_converted():
    whole = {name: values.half() for name, values in scan().items()}
    ready = with_centres(whole, WINDOW, 0, 0)
    assert ready["image"].data_ptr() == whole["image"].data_ptr() and ready["label"].dtype is torch.float16
    small = with_centres(whole, (16, 48, 16), 0, 0)
    assert small["image"].shape == small["label"].shape == (1, 40, 48, 40)


def test_centres_lie_on_the_organ_and_on_the_body_around_it_but_not_in_air():
    whole = scan()
    whole["image"][:, :5] = 0.0
    ready = with_centres(whole, WINDOW, 0, 0)
    organ = whole["label"].flatten() > 0
    assert torch.equal(ready[FOREGROUND], organ.nonzero().flatten())
    assert torch.equal(ready[BACKGROUND], (~organ & (whole["image"].flatten() > 0)).nonzero().flatten())


def test_of_very_many_centres_some_are_taken_evenly(monkeypatch):
    assert MOST_CENTRES >= 100_000
    monkeypatch.setattr("agunetr_train.training.patch_centres.MOST_CENTRES", 2000)
    some = with_centres(scan(), WINDOW, 0, 0)[BACKGROUND]
    assert len(some) == 2000
    assert float(some.float().mean()) == pytest.approx(40**3 / 2, rel=0.05)
    assert torch.equal(some, with_centres(scan(), WINDOW, 0, 0)[BACKGROUND]), "the same in every process"


def test_centres_may_lie_beside_the_foreground_by_the_reach():
    label = torch.zeros(1, 20, 20, 20)
    label[:, 8:11, 9, 10] = 0.3
    assert torch.equal(near_foreground(label, 0), (label > 0).to(torch.uint8))
    near = near_foreground(label, 4)
    expected = torch.zeros_like(near)
    expected[:, 4:15, 5:14, 6:15] = 1
    assert torch.equal(near, expected)

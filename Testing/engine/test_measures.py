"""Measures: exact values on shapes whose answer is known, and agreement with an independent library."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from agunetr.errors import InputError
from agunetr.inference.volume import Volume
from agunetr.measures import compare_masks, describe_mask, dice_score

SPACING = (0.8, 0.9, 2.5)  # (i, j, k)


def blob(seed: int, shape: tuple[int, int, int] = (18, 30, 28)) -> np.ndarray:
    """A smooth random mask that is neither empty nor full."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 3.0)
    return noise > np.quantile(noise, 0.8)


def box(shape: tuple[int, int, int], start: tuple[int, int, int], size: tuple[int, int, int]) -> np.ndarray:
    mask = np.zeros(shape, np.uint8)
    mask[tuple(slice(first, first + length) for first, length in zip(start, size, strict=True))] = 1
    return mask


def test_equal_masks_agree_perfectly() -> None:
    found = compare_masks(blob(1), blob(1), SPACING)
    assert (found.dice, found.hausdorff95_mm, found.surface_dice) == (1.0, 0.0, 1.0)
    assert found.volume_error_ml == 0 and found.relative_volume_error == 0


def test_values_on_shifted_boxes_and_axis_order() -> None:
    """A 10-voxel cube moved by one voxel along z, the first axis, whose spacing is the last number."""
    shape = (30, 30, 30)
    reference = box(shape, (5, 5, 5), (10, 10, 10))
    moved = box(shape, (6, 5, 5), (10, 10, 10))
    found = compare_masks(moved, reference, (1.0, 1.0, 4.0))
    assert found.dice == pytest.approx(0.9)
    assert found.hausdorff95_mm == pytest.approx(4.0)
    assert found.volume_ml == found.reference_volume_ml == pytest.approx(4.0)
    assert compare_masks(moved, reference, (4.0, 1.0, 1.0)).hausdorff95_mm == pytest.approx(1.0)


def test_relative_volume_error_has_a_sign() -> None:
    small, large = box((9, 9, 9), (2, 2, 2), (2, 2, 2)), box((9, 9, 9), (2, 2, 2), (4, 2, 2))
    assert compare_masks(large, small, (1, 1, 1)).relative_volume_error == pytest.approx(1.0)
    assert compare_masks(small, large, (1, 1, 1)).relative_volume_error == pytest.approx(-0.5)


def test_empty_masks_are_undefined_and_not_zero() -> None:
    empty, full = np.zeros((8, 8, 8), np.uint8), box((8, 8, 8), (2, 2, 2), (3, 3, 3))
    both = compare_masks(empty, empty, SPACING)
    assert both.dice == 1.0
    assert both.hausdorff95_mm is None and both.surface_dice is None and both.relative_volume_error is None
    missed = compare_masks(empty, full, SPACING)
    assert missed.dice == 0.0 and missed.surface_dice == 0.0 and missed.relative_volume_error == -1.0
    assert missed.hausdorff95_mm is None
    invented = compare_masks(full, empty, SPACING)
    assert invented.dice == 0.0 and invented.hausdorff95_mm is None and invented.relative_volume_error is None
    json.dumps(invented.to_dict(), allow_nan=False)


def test_a_mask_at_the_border_of_the_scan_has_an_edge_there() -> None:
    """The same shapes inside a larger scan and cropped tightly measure the same."""
    first, second = blob(3), blob(4)
    assert first[:, :, 0].any() or first[:, :, -1].any() or first[0].any()
    wide = compare_masks(np.pad(first, 7), np.pad(second, 7), SPACING)
    assert compare_masks(first, second, SPACING) == wide


def test_agrees_with_an_independent_library() -> None:
    """surface-distance (DeepMind) counts surface elements between voxels; MONAI's 95 % Hausdorff counts edge voxels.

    Surface Dice must be the same number; the distances may differ by a part of a voxel.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        library = pytest.importorskip("surface_distance")
        for seed in range(4):
            prediction, reference = blob(seed), np.roll(blob(seed), 2, axis=2) | blob(seed + 50)
            found = compare_masks(prediction, reference, SPACING)
            distances = library.compute_surface_distances(reference, prediction, SPACING[::-1])
            assert found.dice == pytest.approx(library.compute_dice_coefficient(reference, prediction), abs=1e-6)
            expected = library.compute_surface_dice_at_tolerance(distances, 2.0)
            assert found.surface_dice == pytest.approx(expected, abs=1e-3)
            expected = library.compute_robust_hausdorff(distances, 95)
            assert found.hausdorff95_mm == pytest.approx(expected, abs=max(SPACING) / 2)


def test_hausdorff_agrees_with_simpleitk_distance_maps() -> None:
    import SimpleITK as sitk

    prediction, reference = blob(7), blob(8)
    found = compare_masks(prediction, reference, SPACING)
    directed = []
    for first, second in ((prediction, reference), (reference, prediction)):
        edges = [np.pad(mask, 1) & ~ndimage.binary_erosion(np.pad(mask, 1)) for mask in (first, second)]
        target = sitk.GetImageFromArray(edges[1].astype(np.uint8))
        target.SetSpacing(SPACING)
        distance = sitk.SignedMaurerDistanceMap(target, squaredDistance=False, useImageSpacing=True)
        directed.append(np.percentile(np.abs(sitk.GetArrayFromImage(distance))[edges[0]], 95))
    assert found.hausdorff95_mm == pytest.approx(max(directed), abs=1e-3)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_symmetry_and_bounds(first_seed: int, second_seed: int) -> None:
    first, second = blob(first_seed, (8, 12, 10)), blob(second_seed, (8, 12, 10))
    one, other = compare_masks(first, second, SPACING), compare_masks(second, first, SPACING)
    assert one.dice == pytest.approx(other.dice) and 0 <= one.dice <= 1
    assert one.hausdorff95_mm == pytest.approx(other.hausdorff95_mm)
    assert one.surface_dice == pytest.approx(other.surface_dice, abs=1e-5) and 0 <= one.surface_dice <= 1
    assert dice_score(first, second) == one.dice


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="shape"):
        dice_score(np.zeros((2, 2, 2)), np.zeros((2, 2, 3)))
    with pytest.raises(ValueError, match="spacing_mm"):
        compare_masks(np.zeros((2, 2, 2)), np.zeros((2, 2, 2)), (1.0, 0.0, 1.0))


def test_description_of_a_ball() -> None:
    """A ball of 20 mm radius on anisotropic, oblique voxels: volume, mean and diameter."""
    angle = np.deg2rad(20)
    rotation = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    matrix = np.eye(4)
    matrix[:3, :3] = rotation * np.array([0.8, 1.1, 2.0])
    k, j, i = np.indices((40, 70, 80), dtype=np.float64)
    ras = np.stack([i, j, k], axis=-1) @ matrix[:3, :3].T
    centre = np.array([40, 35, 20]) @ matrix[:3, :3].T
    ball = (np.linalg.norm(ras - centre, axis=-1) <= 20).astype(np.uint8)
    mask = Volume(ball, matrix)
    ct = Volume(np.where(ball, 120, -50).astype(np.int16), matrix)
    found = describe_mask(mask, ct)
    assert found.volume_ml == pytest.approx(4 / 3 * np.pi * 8, rel=0.02)
    assert found.mean_hu == 120.0
    assert found.voxels == ball.sum()
    assert 40 <= found.longest_axis_mm <= 43


def test_longest_axis_of_thin_shapes() -> None:
    row = np.zeros((5, 6, 7), np.uint8)
    row[2, 3, 1:6] = 1
    matrix = np.diag([2.0, 3.0, 4.0, 1.0])
    assert describe_mask(Volume(row, matrix)).longest_axis_mm == pytest.approx(10.0)
    row[:] = 0
    row[2, 3, 1] = 1
    assert describe_mask(Volume(row, matrix)).longest_axis_mm == pytest.approx(4.0)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_longest_axis_equals_brute_force(seed: int) -> None:
    mask = np.random.default_rng(seed).random((4, 5, 6)) > 0.9
    mask[1, 2, 3] = True
    matrix = np.diag([0.7, 1.3, 2.9, 1.0])
    ijk = np.argwhere(mask)[:, ::-1]
    points = (ijk[:, None] + np.concatenate([np.eye(3), -np.eye(3)]) / 2).reshape(-1, 3) * np.diag(matrix)[:3]
    expected = np.linalg.norm(points[:, None] - points[None], axis=-1).max()
    assert describe_mask(Volume(mask, matrix)).longest_axis_mm == pytest.approx(expected)


def test_description_of_an_empty_mask_and_of_another_grid() -> None:
    empty = Volume(np.zeros((3, 3, 3), np.uint8))
    found = describe_mask(empty, empty)
    assert found.voxels == 0 and found.volume_ml == 0.0
    assert found.mean_hu is None and found.longest_axis_mm is None
    with pytest.raises(InputError, match="grid"):
        describe_mask(empty, Volume(np.zeros((3, 3, 4), np.int16)))

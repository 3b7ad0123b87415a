"""A ball at a known place in mm is found at that place on the model's grid, and again on the input's grid."""

from __future__ import annotations

import numpy as np
import pytest
from ball_volumes import AIR, all_orientations, axis_codes, distance_to, grid_about, place_of, rotation, with_ball
from hypothesis import given, settings
from hypothesis import strategies as st

from agunetr.inference import resampling
from agunetr.inference.resampling import (
    crop,
    model_grid,
    nearest_ras_axes,
    prepare,
    resample_mask,
    restore,
    restored_slabs,
)
from agunetr.inference.volume import Volume

RANGE = (-1000.0, 150.0)
RADIUS = 12.0
EXTENT = (60.0, 54.0, 50.0)
ball_places = st.tuples(*[st.floats(-6, 6) for _ in range(3)])


def there_and_back(grid: Volume, place: np.ndarray, model_spacing: float) -> tuple[Volume, np.ndarray]:
    """The ball on the model's grid, and the mask that comes back from there to the input's grid."""
    prepared = prepare(with_ball(grid, place, RADIUS), (model_spacing,) * 3, RANGE)
    return prepared, restore(prepared, grid) > 0.5


def assert_ball_at(prepared: Volume, mask: np.ndarray, grid: Volume, place: np.ndarray) -> None:
    coarsest = max(*prepared.spacing_mm, *grid.spacing_mm)
    assert np.linalg.norm(place_of(prepared) - place) < 0.1 * coarsest
    assert np.linalg.norm(place_of(grid, mask) - place) < 0.2 * coarsest
    true_ball = distance_to(grid, place) < RADIUS
    assert 2 * (mask & true_ball).sum() / (mask.sum() + true_ball.sum()) > 0.9


@pytest.mark.parametrize("directions", list(all_orientations()), ids=lambda matrix: " ".join(axis_codes(matrix)))
def test_ball_comes_back_in_every_axis_orientation(directions: np.ndarray) -> None:
    centre = np.array([31.0, -87.0, 412.0])
    place = centre + [8.0, -5.0, 3.0]
    # Extent and spacing differ along each patient axis, so that any mix-up of axes shows.
    extent = np.abs(directions.T) @ EXTENT
    spacing = np.abs(directions.T) @ np.array([1.3, 1.7, 2.5])
    grid = grid_about(centre, extent, directions, spacing)
    prepared, mask = there_and_back(grid, place, 2.0)
    assert_ball_at(prepared, mask, grid, place)
    # The network's axes: right, anterior, superior, whatever the file's order.
    assert np.allclose(prepared.ijk_to_ras[:3, :3], np.diag([2.0, 2.0, 2.0]), atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(
    orientation=st.sampled_from(list(all_orientations())),
    degrees=st.tuples(*[st.floats(-44, 44) for _ in range(3)]),
    spacing=st.tuples(*[st.floats(0.9, 4.0) for _ in range(3)]),
    centre=st.tuples(*[st.floats(-900, 900) for _ in range(3)]),
    offset=ball_places,
    model_spacing=st.sampled_from([1.5, 2.0, 3.0]),
)
def test_ball_comes_back_from_oblique_anisotropic_shifted_grids(
    orientation, degrees, spacing, centre, offset, model_spacing
) -> None:
    directions = rotation(*degrees) @ orientation
    grid = grid_about(centre, np.abs(orientation.T) @ EXTENT, directions, spacing)
    place = np.asarray(centre) + directions @ np.asarray(offset)
    prepared, mask = there_and_back(grid, place, model_spacing)
    assert_ball_at(prepared, mask, grid, place)
    # Oblique stays oblique: the model's axes are the input's, the nearest ones to right, anterior, superior.
    axes, _ = nearest_ras_axes(grid)
    assert np.allclose(np.abs(prepared.directions), np.abs(grid.directions[:, list(axes)]), atol=1e-9)
    assert sum(np.diag(prepared.directions)) > 1.5


@settings(max_examples=25, deadline=None)
@given(
    orientation=st.sampled_from(list(all_orientations())),
    degrees=st.tuples(*[st.floats(-30, 30) for _ in range(3)]),
    spacing=st.tuples(*[st.floats(0.9, 5.0) for _ in range(3)]),
    model_spacing=st.floats(1.0, 4.0),
    offset=ball_places,
)
def test_the_body_crop_takes_a_part_of_the_same_lattice(orientation, degrees, spacing, model_spacing, offset) -> None:
    directions = rotation(*degrees) @ orientation
    grid = grid_about((5, 6, 7), (90, 80, 70), directions, spacing)
    volume = with_ball(grid, directions @ np.asarray(offset) + (5, 6, 7), RADIUS)
    whole = prepare(volume, (model_spacing,) * 3, RANGE, body_crop=False)
    part = prepare(volume, (model_spacing,) * 3, RANGE, body_crop=True)
    first = (np.linalg.inv(whole.ijk_to_ras) @ part.ijk_to_ras[:, 3])[:3]
    start = np.rint(first).astype(int)
    assert np.allclose(first, start, atol=1e-6)
    box = tuple((int(a), int(a) + n) for a, n in zip(start, part.size, strict=True))
    assert np.allclose(crop(whole, box).array, part.array, atol=1e-4)
    # Nothing of the ball is left outside.
    assert np.isclose(part.array.sum(), whole.array.sum(), rtol=1e-5)


def test_the_lattice_and_values_are_those_of_monai() -> None:
    import torch
    from monai.data import MetaTensor
    from monai.transforms import Orientation, ScaleIntensityRange, Spacing

    random = np.random.default_rng(3)
    grid = grid_about((4, 5, 6), (40, 34, 30), rotation(4, -6, 8) @ np.diag([-1.0, -1.0, 1.0]), (1.1, 0.8, 2.5))
    volume = grid.with_array(random.integers(-900, 900, grid.array.shape).astype(np.int16))
    ours = prepare(volume, (1.5, 2.0, 1.0), (-175, 250), body_crop=False)

    network_order = torch.from_numpy(volume.array.transpose(2, 1, 0).astype(np.float32))
    image = MetaTensor(network_order[None], torch.from_numpy(grid.ijk_to_ras))
    theirs = Spacing((1.5, 2.0, 1.0), mode="bilinear", dtype=np.float64)(Orientation("RAS", labels=None)(image))
    theirs = ScaleIntensityRange(-175, 250, 0.0, 1.0, clip=True)(theirs)
    assert np.allclose(theirs.affine.numpy(), ours.ijk_to_ras, atol=1e-5)
    assert tuple(theirs.shape[1:]) == ours.size
    assert np.allclose(theirs[0].numpy().transpose(2, 1, 0), ours.array, atol=2e-3)


def test_direction_components_of_nothing_but_rounding_do_no_harm() -> None:
    """ITK's own inversion of such a direction fails silently."""
    grid = grid_about((0, 0, 0), EXTENT, rotation(1e-174, 0, 1e-117), (1, 1, 1))
    prepared, mask = there_and_back(grid, np.array([4.0, 5.0, 6.0]), 1.5)
    assert_ball_at(prepared, mask, grid, np.array([4.0, 5.0, 6.0]))


def test_intensities_are_clipped_and_scaled() -> None:
    grid = grid_about((0, 0, 0), (20, 20, 20), np.eye(3), (2, 2, 2))
    ramp = np.linspace(-500, 500, grid.array.size).reshape(grid.array.shape)
    prepared = prepare(grid.with_array(ramp.astype(np.float32)), (2, 2, 2), (-175, 250), body_crop=False)
    assert prepared.array.dtype == np.float32
    assert np.allclose(prepared.array, np.clip((ramp + 175) / 425, 0, 1), atol=1e-5)


@pytest.mark.parametrize("dtype", [np.int16, np.uint8, np.int32, np.float32, np.float64, np.dtype(">i2")])
def test_every_number_type_gives_the_same(dtype) -> None:
    grid = grid_about((0, 0, 0), (20, 20, 20), np.eye(3), (2, 2, 2))
    values = np.random.default_rng(0).integers(0, 200, grid.array.shape)
    expected = prepare(grid.with_array(values.astype(np.int16)), (1, 1, 1), (0, 200))
    same = prepare(grid.with_array(values.astype(dtype)), (1, 1, 1), (0, 200))
    assert np.allclose(same.array, expected.array, atol=1e-5)


def test_noise_and_a_thin_table_do_not_widen_the_crop() -> None:
    grid = grid_about((0, 0, 0), (160, 160, 60), np.eye(3), (2, 2, 3))
    volume = with_ball(grid, (10, 0, 0), 30.0)
    clean = prepare(volume, (3, 3, 3), RANGE)
    noisy = volume.array.copy()
    noisy.flat[np.random.default_rng(1).choice(noisy.size, 40, replace=False)] = 3000
    noisy[:, 2:4, :] = 200  # a plate of 4 mm behind the patient
    assert prepare(volume.with_array(noisy), (3, 3, 3), RANGE).size == clean.size
    assert clean.size[0] < 40  # of 54


def test_a_volume_without_air_is_not_cropped() -> None:
    grid = grid_about((0, 0, 0), (40, 40, 40), np.eye(3), (2, 2, 2))
    full = grid.with_array(np.full(grid.array.shape, 40, np.int16))
    assert prepare(full, (2, 2, 2), RANGE).size == full.size
    empty = grid.with_array(np.full(grid.array.shape, AIR, np.int16))
    assert prepare(empty, (2, 2, 2), RANGE).size == full.size


@pytest.mark.parametrize("spacing", [(1, 1), (0, 1, 1), (1, -1, 1), (1, 1, float("nan"))])
def test_wrong_spacing_is_named(spacing) -> None:
    with pytest.raises(ValueError, match="spacing_mm"):
        model_grid(grid_about((0, 0, 0), (9, 9, 9), np.eye(3), (1, 1, 1)), spacing)


def test_wrong_intensity_range_is_named() -> None:
    with pytest.raises(ValueError, match="intensity_range"):
        prepare(grid_about((0, 0, 0), (9, 9, 9), np.eye(3), (1, 1, 1)), (1, 1, 1), (250, -175))


def test_the_model_grid_covers_every_voxel_centre_of_the_input() -> None:
    for count in range(2, 40):
        volume = Volume(np.zeros((count, 2, 2), np.int16), np.diag([1.0, 1.0, 0.7, 1.0]))
        (_, _, size), matrix = model_grid(volume, (1.0, 1.0, 1.5))
        beyond = (count - 1) * 0.7 - (size - 1) * matrix[2, 2]
        assert -0.75 <= beyond < 0.75


def test_restore_is_linear_interpolation_and_zero_outside() -> None:
    from scipy.ndimage import map_coordinates

    random = np.random.default_rng(5)
    probability = Volume(random.random((9, 10, 11), dtype=np.float32), np.diag([3.0, 3.0, 3.0, 1.0]))
    onto = grid_about((15, 13, 12), (40, 40, 40), rotation(10, 20, 30), (1.5, 1.5, 2))
    restored = restore(probability, onto)
    k, j, i = np.indices(onto.array.shape)
    indices = onto.ras_of(np.stack([i, j, k], axis=-1)) / 3.0
    expected = map_coordinates(probability.array, np.moveaxis(indices[..., ::-1], -1, 0), order=1, mode="nearest")
    last = np.array(probability.size) - 1
    inside = ((indices > 0) & (indices < last)).all(axis=-1)
    assert np.allclose(restored[inside], expected[inside], atol=1e-5)
    far = ((indices < -0.51) | (indices > last + 0.51)).any(axis=-1)
    assert inside.any() and far.any()
    assert not restored[far].any()


def test_restore_works_inside_the_box_of_the_foreground_only() -> None:
    probability = Volume(np.full((30, 30, 30), 1e-5, np.float32))
    probability.array[10:13, 15:17, 20:24] = 1.0
    onto = grid_about((15, 15, 15), (40, 40, 40), np.eye(3), (1, 1, 1))
    full = restore(probability, onto, negligible=0.0)
    assert np.abs(restore(probability, onto) - full).max() < 1e-3
    assert not restore(Volume(np.zeros((5, 5, 5), np.float32)), onto).any()
    assert not restore(probability, grid_about((900, 0, 0), (9, 9, 9), np.eye(3), (1, 1, 1))).any()


def test_restoring_slab_by_slab_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    probability = Volume(np.random.default_rng(5).random((30, 20, 25), dtype=np.float32), np.diag([1.3, 1.1, 2.0, 1.0]))
    onto = grid_about((15, 10, 30), (40, 40, 70), rotation(3, 4, 5), (0.9, 1, 0.8))
    monkeypatch.setattr(resampling, "SLAB_VOXELS", 5000)
    together = np.zeros(onto.array.shape, np.float32)
    asked = 0
    for ((i0, i1), (j0, j1), (k0, k1)), values in restored_slabs(
        lambda box: crop(probability, box).array, probability, onto
    ):
        together[k0:k1, j0:j1, i0:i1] = values
        asked += 1
    assert asked > 3
    np.testing.assert_allclose(together, restore(probability, onto, negligible=0.0), rtol=0, atol=1e-6)


def test_masks_go_through_the_geometry_and_not_the_index() -> None:
    labels = np.random.default_rng(7).integers(0, 5, (6, 7, 8)).astype(np.uint8)
    mask = Volume(labels, np.diag([1.0, 2.0, 3.0, 1.0]))
    flipped = np.diag([1.0, -2.0, 3.0, 1.0])
    flipped[1, 3] = 6 * 2.0
    onto = Volume(np.zeros((6, 7, 8)), flipped)
    assert np.array_equal(resample_mask(mask, onto), labels[:, ::-1])
    assert np.array_equal(resample_mask(mask, mask), labels)
    assert resample_mask(mask, mask) is not labels
    assert resample_mask(Volume(labels > 2), Volume(np.zeros((3, 3, 3)))).dtype == np.uint8
    assert not resample_mask(Volume(np.zeros((4, 4, 4), np.uint8)), onto).any()

"""What is refused, and what is only noticed."""

from __future__ import annotations

import re

import numpy as np
import pytest

from agunetr.errors import InputError
from agunetr.inference.checks import check_volume, replace_nan
from agunetr.inference.volume import Volume


def ct(shape=(20, 24, 28)) -> np.ndarray:
    """(z, y, x) int16 HU: air, a layer of fat and soft tissue with some noise."""
    values = np.full(shape, -1000, np.int16)
    values[:, 3:-3, 3:-3] = -100
    values[:, 5:-5, 5:-5] = 50
    return values + np.random.default_rng(0).integers(-15, 15, shape).astype(np.int16)


def kinds(volume: Volume) -> list[str]:
    return [notice.kind for notice in check_volume(volume)]


def test_a_ct_passes_without_a_notice() -> None:
    assert check_volume(Volume(ct())) == []
    assert check_volume(Volume(ct().astype(np.float32))) == []


@pytest.mark.parametrize(
    ("array", "sentence"),
    [
        (np.zeros((0, 4, 4), np.int16), "holds no voxels"),
        (np.zeros((1, 40, 40), np.int16), "single slice"),
        (np.broadcast_to(np.arange(4, dtype=np.int16), (3001, 2, 4)), "3,001 slices"),
        (np.full((20, 20, 20), 7, np.int16), "same value"),
        (np.where(ct() > 60, np.inf, ct()).astype(np.float32), "infinite"),
        (np.where(ct() > 60, -np.inf, ct()).astype(np.float32), "infinite"),
        (np.where(ct() > 60, np.nan, ct()).astype(np.float32), "not a number"),
    ],
)
def test_impossible_voxels_are_refused(array: np.ndarray, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence) as refusal:
        check_volume(Volume(array))
    assert refusal.value.remedy


@pytest.mark.parametrize(
    ("column", "sentence"),
    [
        ((0.0, 0.0, 0.0), "spacing"),
        ((np.nan, 0.0, 1.0), "not numbers"),
        ((0.3, 0.0, 2.0), "right angles"),
        ((2.0, 0.0, 0.0), "right angles"),
        ((0.01, 0.0, 2.0), "right angles"),
    ],
)
def test_impossible_geometry_is_refused(column, sentence: str) -> None:
    matrix = np.eye(4)
    matrix[:3, 2] = column
    with np.errstate(invalid="ignore"), pytest.raises(InputError, match=sentence):
        check_volume(Volume(ct(), matrix))


def test_reflections_and_rounded_directions_are_no_shear() -> None:
    matrix = np.diag([-1.0, 1.0, 1.0, 1.0])
    matrix[0, 2] = 1e-4
    assert kinds(Volume(ct(), matrix)) == []


def test_few_nan_become_air() -> None:
    values = ct().astype(np.float32)
    values[3, 4, 5] = values[10, 12, 14] = np.nan
    volume, notices = replace_nan(Volume(values))
    assert volume.array[3, 4, 5] == -1000.0
    assert np.isnan(values[3, 4, 5]), "the caller's voxels must stay as they are"
    assert [notice.kind for notice in notices] == ["nan"] and "2 voxels were" in notices[0].message
    assert check_volume(volume) == []


def test_nan_in_an_image_without_air_become_its_darkest_value() -> None:
    values = np.random.default_rng(0).uniform(300, 900, (20, 20, 20)).astype(np.float32)
    values[0, 0, 0] = np.nan
    assert replace_nan(Volume(values))[0].array[0, 0, 0] == np.nanmin(values)


def test_nan_over_one_percent_are_refused() -> None:
    values = ct().astype(np.float32)
    values[0] = np.nan
    with pytest.raises(InputError, match="5.0 % of the voxels are not a number"):
        replace_nan(Volume(values))


def test_volumes_without_nan_are_not_copied() -> None:
    for array in (ct(), ct().astype(np.float32)):
        volume = Volume(array)
        assert replace_nan(volume)[0] is volume


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (ct().astype(np.int32) + 1024, "shifted by 1024"),
        (np.clip((ct() + 160.0) / 400 * 255, 0, 255).astype(np.uint8), "between 0 and 255"),
        (np.abs(np.random.default_rng(0).normal(400, 300, (20, 20, 20))), "MR"),
        (ct() / 1000.0, "dark"),
        (np.random.default_rng(0).normal(-200, 5, (20, 20, 20)), "span only"),
        (ct() * 20.0, "reach|hardly any"),
        (ct() - 1024.0, "hardly any"),
    ],
)
def test_values_that_are_not_hounsfield_units_are_noticed(array: np.ndarray, reason: str) -> None:
    notices = check_volume(Volume(np.asarray(array, np.float32)))
    assert [notice.kind for notice in notices] == ["not-hu"]
    assert re.search(reason, notices[0].message), notices[0].message


def test_padding_outside_the_field_of_view_hides_no_shift() -> None:
    padded = ct().astype(np.int16)
    padded[:, :2] = -2000
    assert kinds(Volume(padded)) == []
    shifted = np.where(padded == -2000, -2000, padded + 1024)
    assert "shifted by 1024" in check_volume(Volume(shifted.astype(np.int16)))[0].message


def test_few_and_thick_slices_are_noticed() -> None:
    assert kinds(Volume(ct()[:15])) == ["few-slices"]
    assert kinds(Volume(ct()[:16])) == []
    assert kinds(Volume(ct(), np.diag([1.0, 1.0, 8.0, 1.0]))) == []
    assert kinds(Volume(ct(), np.diag([1.0, 1.0, 10.0, 1.0]))) == ["thick-slices"]
    # A file whose slices run along the first index.
    assert kinds(Volume(np.ascontiguousarray(ct()[:10].transpose(2, 1, 0)), np.diag([10.0, 1.0, 1.0, 1.0]))) == [
        "few-slices",
        "thick-slices",
    ]

"""The phantom: repeatable, anatomically placed, varied, and one anatomy at any spacing."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from agunetr.phantom import CONTRASTS, LABELS, Phantom, make_phantom

SMALL = {"size": (64, 52, 44), "spacing_mm": (5.0, 5.0, 6.0)}
SEEDS = range(6)


@pytest.fixture(scope="module")
def phantoms() -> list[Phantom]:
    return [make_phantom(seed, **SMALL) for seed in SEEDS]


def centre(phantom: Phantom, organ: str) -> np.ndarray:
    """RAS+ mm of an organ's centre of mass."""
    ijk = np.argwhere(phantom.labels.array == LABELS[organ])[:, ::-1]
    assert ijk.size, f"no {organ}"
    return phantom.ct.ras_of(ijk.mean(0))


def test_one_seed_gives_the_same_voxels_and_another_does_not(phantoms: list[Phantom]) -> None:
    again = make_phantom(0, **SMALL)
    assert np.array_equal(again.ct.array, phantoms[0].ct.array)
    assert np.array_equal(again.labels.array, phantoms[0].labels.array)
    assert not np.array_equal(phantoms[0].spleen.array, phantoms[1].spleen.array)


def test_types_and_grids(phantoms: list[Phantom]) -> None:
    for phantom in phantoms:
        assert phantom.ct.size == SMALL["size"] and phantom.ct.spacing_mm == pytest.approx(SMALL["spacing_mm"])
        assert phantom.ct.array.dtype == np.int16
        assert phantom.spleen.array.dtype == phantom.labels.array.dtype == np.uint8
        assert phantom.ct.same_grid(phantom.spleen) and phantom.ct.same_grid(phantom.labels)
        assert np.array_equal(phantom.spleen.array > 0, phantom.labels.array == LABELS["spleen"])
        assert -1024 <= phantom.ct.array.min() and phantom.ct.array.max() <= 3071


def test_anatomy(phantoms: list[Phantom]) -> None:
    """RAS+: the liver right, the spleen left and behind, above the left kidney, the stomach in front of it."""
    for phantom in phantoms:
        spleen, liver, stomach = (centre(phantom, organ) for organ in ("spleen", "liver", "stomach"))
        kidney, spine = centre(phantom, "left_kidney"), centre(phantom, "aorta")
        assert liver[0] > 20 and spleen[0] < -40
        assert spleen[1] < stomach[1] and spleen[0] < stomach[0] + 10
        assert spleen[2] > kidney[2] + 20
        assert centre(phantom, "right_kidney")[0] > 20 > -20 > kidney[0]
        assert abs(spine[0]) < 25 and spine[1] < 10
        assert centre(phantom, "lung")[2] > spleen[2] and centre(phantom, "bowel")[2] < spleen[2]


def test_every_structure_is_there(phantoms: list[Phantom]) -> None:
    for name in LABELS:
        found = sum(bool((phantom.labels.array == LABELS[name]).any()) for phantom in phantoms)
        assert found >= (4 if name == "gallbladder" else len(phantoms)) or name == "gallbladder", name


def test_the_spleen_is_one_piece_of_a_human_size(phantoms: list[Phantom]) -> None:
    volumes = [phantom.spleen.array.sum() * phantom.spleen.voxel_ml for phantom in phantoms]
    assert all(45 < volume < 760 for volume in volumes) and max(volumes) > 1.5 * min(volumes)
    for phantom in phantoms:
        assert ndimage.label(phantom.spleen.array)[1] == 1


def test_intensities_follow_the_contrast_phase() -> None:
    means = {}
    for contrast in CONTRASTS:
        phantom = make_phantom(3, contrast=contrast, **SMALL)
        assert phantom.contrast == contrast
        inside = ndimage.binary_erosion(phantom.spleen.array)
        means[contrast] = phantom.ct.array[inside].mean()
    assert 25 < means["none"] < 70 < means["late"] < means["portal"] < 150
    fat = phantom.ct.array[ndimage.binary_erosion(phantom.labels.array == LABELS["fat"])]
    assert -130 < np.median(fat) < -80
    lung = phantom.ct.array[ndimage.binary_erosion(phantom.labels.array == LABELS["lung"])]
    assert np.median(lung) < -750


def test_without_a_spleen() -> None:
    phantom = make_phantom(2, spleen=False, **SMALL)
    assert not phantom.spleen.array.any()
    assert (phantom.labels.array == LABELS["liver"]).any()


def test_spacing_changes_the_scan_and_not_the_patient() -> None:
    """The same field of view at half the spacing shows the same spleen."""
    coarse = make_phantom(5, size=(54, 46, 40), spacing_mm=(6.0, 6.0, 6.0))
    fine = make_phantom(5, size=(108, 92, 80), spacing_mm=(3.0, 3.0, 3.0))
    fine_ml, coarse_ml = (p.spleen.array.sum() * p.spleen.voxel_ml for p in (fine, coarse))
    assert coarse_ml == pytest.approx(fine_ml, rel=0.1)
    # Each coarse voxel is the block of eight fine ones at the same place.
    blocks = fine.spleen.array.reshape(40, 2, 46, 2, 54, 2).mean(axis=(1, 3, 5)) >= 0.5
    both = np.count_nonzero(blocks & (coarse.spleen.array > 0))
    assert 2 * both / (blocks.sum() + coarse.spleen.array.sum()) > 0.88


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"seed": -1}, "seed"),
        ({"seed": 0, "size": (4, 40, 40)}, "size"),
        ({"seed": 0, "size": (40, 40)}, "size"),
        ({"seed": 0, "spacing_mm": (0.0, 1.0, 1.0)}, "spacing_mm"),
        ({"seed": 0, "spacing_mm": (1.0, float("nan"), 1.0)}, "spacing_mm"),
        ({"seed": 0, "contrast": "venous"}, "contrast"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        make_phantom(**arguments)

"""CTs drawn around spleen masks: the mask is kept, the rest is plausible; and ``agunetr data`` as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from agunetr.cli import main
from agunetr.errors import InputError, OutputError
from agunetr.inference.reading import read_mask, read_volume
from agunetr.inference.resampling import nearest_ras_axes
from agunetr.inference.volume import Volume
from agunetr.inference.writing import write_volume
from agunetr.phantom import LABELS, make_phantom, make_phantom_around
from agunetr_train.data.cases import find_cases
from agunetr_train.data.synthetic import SyntheticPlan, synthesize

SIZE, SPACING = (64, 56, 44), (6.0, 6.0, 6.0)
TOLD = {"description": "Spleen Segmentation", "reference": "a centre", "licence": "CC-BY-SA 4.0"}


@pytest.fixture(scope="module")
def mask() -> Volume:
    """The spleen of a phantom, at another place of the world."""
    drawn = make_phantom(3, SIZE, SPACING).spleen
    matrix = drawn.ijk_to_ras.copy()
    matrix[:3, 3] += (300, -50, 900)
    return Volume(drawn.array, matrix)


@pytest.fixture(scope="module")
def masks(mask: Volume, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MSD-like folder of three masks without CTs."""
    folder = tmp_path_factory.mktemp("masks")
    (folder / "labelsTr").mkdir()
    (folder / "dataset.json").write_text(json.dumps(TOLD), encoding="utf-8")
    for name in ("spleen_10", "spleen_9", "spleen_2"):
        write_volume(mask, folder / "labelsTr" / f"{name}.nii.gz")
    return folder


@pytest.fixture(scope="module")
def around(mask: Volume):
    return make_phantom_around(mask, seed=4)


def test_the_mask_is_kept_and_the_grid_too(mask, around):
    assert np.array_equal(around.spleen.array, mask.array) and around.ct.same_grid(mask)
    assert np.array_equal(around.labels.array == LABELS["spleen"], mask.array > 0)
    again = make_phantom_around(mask, seed=4)
    assert np.array_equal(again.ct.array, around.ct.array)
    assert not np.array_equal(make_phantom_around(mask, seed=5).ct.array, around.ct.array)


def test_a_scan_can_be_cut_to_the_spleen_and_a_margin(masks, mask, tmp_path):
    synthesize(masks, tmp_path / "cut", SyntheticPlan(count=1, around_mm=20.0))
    case = find_cases(tmp_path / "cut")["spleen_2"]
    image, label = read_volume(case.image)[0], read_mask(case.label)
    assert image.same_grid(label) and label.array.sum() == (mask.array > 0).sum()
    assert image.array.size < mask.array.size / 4
    whole = mask.ras_of(np.argwhere(mask.array)[:, ::-1].mean(axis=0))
    assert np.allclose(label.ras_of(np.argwhere(label.array)[:, ::-1].mean(axis=0)), whole, atol=1e-3)
    with pytest.raises(InputError, match="around_mm"):
        SyntheticPlan(around_mm=-1.0)


def test_an_abdomen_surrounds_it(mask, around):
    present = set(np.unique(around.labels.array).tolist())
    wanted = ("fat", "muscle", "bone", "lung", "liver", "left_kidney", "right_kidney", "stomach", "aorta", "skin")
    assert {LABELS[name] for name in wanted} <= present
    ct = around.ct.array.astype(float)
    organ = np.median(ct[mask.array > 0])
    assert 85 < organ < 150, "portal-venous"
    assert np.median(ct[around.labels.array == LABELS["fat"]]) < -80 < 200 < ct.max()
    centres = {
        name: around.ct.ras_of(np.argwhere(around.labels.array == LABELS[name])[:, ::-1].mean(axis=0))
        for name in ("spleen", "liver", "left_kidney", "stomach")
    }
    assert centres["liver"][0] > centres["spleen"][0] + 80, "on the right side"
    assert centres["left_kidney"][2] < centres["spleen"][2], "below"
    assert centres["stomach"][1] > centres["spleen"][1], "in front"


def test_the_order_and_direction_of_the_axes_do_not_matter(mask, around):
    last = SIZE[0] - 1, SIZE[2] - 1
    matrix = mask.ijk_to_ras @ np.array([[0, -1.0, 0, last[0]], [1, 0, 0, 0], [0, 0, -1, last[1]], [0, 0, 0, 1]])
    turned = Volume(np.ascontiguousarray(mask.array[::-1, :, ::-1].transpose(0, 2, 1)), matrix)
    assert nearest_ras_axes(turned)[0] == (1, 0, 2)
    other = make_phantom_around(turned, seed=4).ct
    assert np.array_equal(other.array.transpose(0, 2, 1)[::-1, :, ::-1], around.ct.array)


def test_a_folder_like_the_decathlons_is_made(masks, tmp_path):
    seen = []
    names = synthesize(masks, tmp_path / "made", SyntheticPlan(count=2), lambda *values: seen.append(values))
    assert names == ["spleen_2", "spleen_9"] and seen[-1] == ("draw", 2, 2)
    cases = find_cases(tmp_path / "made")
    assert list(cases) == names
    facts = cases["spleen_2"].facts
    assert facts["licence"] == "CC-BY-SA 4.0" and facts["synthetic"] is True
    assert "synthetic CT" in facts["origin"] and "Spleen Segmentation, a centre" in facts["origin"]
    kept = (tmp_path / "made" / "labelsTr" / "spleen_2.nii.gz").read_bytes()
    assert kept == (masks / "labelsTr" / "spleen_2.nii.gz").read_bytes()
    first, second = (read_volume(case.image)[0].array for case in cases.values())
    assert not np.array_equal(first, second), "each name has its own patient"
    record = json.loads((tmp_path / "made" / "dataset.json").read_text(encoding="utf-8"))
    assert record["numTraining"] == 2 and record["training"][0]["image"] == "./imagesTr/spleen_2.nii.gz"
    with pytest.raises(OutputError, match="is there already"):
        synthesize(masks, tmp_path / "made", SyntheticPlan())


def test_wrong_masks_and_numbers_are_refused_and_leave_nothing(mask, masks, tmp_path):
    with pytest.raises(InputError, match="holds 3 masks, not 4"):
        synthesize(masks, tmp_path / "made", SyntheticPlan(count=4))
    with pytest.raises(InputError, match="coarser is 0"):
        SyntheticPlan(coarser=0)
    with pytest.raises(InputError, match="no contrast 'bright'"):
        SyntheticPlan(contrast="bright")
    for name, value, words in (("a", 2, "holds the value 2"), ("b", 0, "No CT can be drawn .*the mask is empty")):
        (tmp_path / name).mkdir()
        write_volume(mask.with_array(mask.array * np.uint8(value)), tmp_path / name / "one.nii.gz")
        with pytest.raises(InputError, match=words):
            synthesize(tmp_path / name, tmp_path / "made", SyntheticPlan())
    with pytest.raises(InputError, match="There are no masks"):
        synthesize(tmp_path, tmp_path / "made", SyntheticPlan())
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b"}


@pytest.mark.parametrize("name", ["spleen_8", "spleen_17"])
def test_real_masks_lie_inside_the_imagined_abdomen(shared_data, name):
    whole = read_mask(shared_data / "labels" / "msd_task09" / "labelsTr" / f"{name}.nii.gz")
    matrix = whole.ijk_to_ras @ np.diag([6, 6, 1, 1])
    mask = Volume(np.ascontiguousarray(whole.array[:, ::6, ::6]), matrix)
    labels = make_phantom_around(mask, seed=1).labels.array
    shell = ndimage.binary_dilation(mask.array > 0, iterations=1) & (mask.array == 0)
    share = np.bincount(labels[shell], minlength=len(LABELS)) / shell.sum()
    assert share[LABELS["outside"]] == 0 and share[LABELS["skin"]] < 0.01
    assert share[LABELS["fat"]] > 0.3 and share[LABELS["bone"]] < 0.15, "it lies against the wall, not in it"


def run(*arguments: object) -> int:
    return main(["data", *map(str, arguments)])


def test_synthesize_then_check(masks, tmp_path, capfd):
    made = tmp_path / "made"
    assert run("synthesize", "--labels", masks, "--output", made, "--coarser", 2, "--count", 1) == 0
    assert "Synthetic cases in" in capfd.readouterr().out
    coarse = read_mask(made / "labelsTr" / "spleen_2.nii.gz")
    whole = read_mask(masks / "labelsTr" / "spleen_2.nii.gz")
    assert coarse.spacing_mm == pytest.approx((12, 12, 6))
    assert np.array_equal(coarse.array, whole.array[:, ::2, ::2])
    assert run("check", made, "--json", "--quiet") == 0
    (event,) = map(json.loads, capfd.readouterr().out.splitlines())
    assert event["event"] == "data" and event["usable"] and event["cases"]["spleen_2"]["size"] == [32, 28, 44]


def test_check_tells_what_is_wrong_and_ends_with_the_code_of_bad_input(phantom_cases, tmp_path, capsys):
    assert run("check", phantom_cases) == 0
    assert "Cases: 4, patients: 4; nothing forbids training" in capsys.readouterr().out
    assert run("check", phantom_cases, "--experiment", "study-v1") == 3
    assert "lacks the case 'spleen_2'" in capsys.readouterr().err
    assert run("check", tmp_path / "nowhere") == 3
    assert "There is no folder" in capsys.readouterr().err
    image = phantom_cases / "one" / "ct.nii.gz"
    folder = tmp_path / "wrong" / "one"
    folder.mkdir(parents=True)
    (folder / "ct.nii.gz").write_bytes(image.read_bytes())
    ct = read_volume(image)[0]
    write_volume(ct.with_array(np.zeros(ct.array.shape, np.uint8)), folder / "spleen.nii.gz")
    assert run("check", folder.parent) == 3
    assert "FAULT: The mask of the case one is empty." in capsys.readouterr().out


def test_download_says_where_it_is(monkeypatch, phantom_cases, tmp_path, capsys):
    monkeypatch.setattr("agunetr_train.data.msd_download.download_msd_spleen", lambda *_: phantom_cases)
    assert run("download", "--output", tmp_path) == 0
    assert "Labelled cases in" in capsys.readouterr().out

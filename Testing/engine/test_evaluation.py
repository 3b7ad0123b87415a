"""Evaluation: which files belong together, tables, undefined values, and masks on other grids."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from agunetr.errors import Cancelled, InputError, OutputError
from agunetr.evaluation import MEASURES, Summary, compare, evaluate, read_mask
from agunetr.inference.volume import Volume

MATRIX = np.array([[-1.0, 0, 0, 30], [0, -1.2, 0, 20], [0, 0, 2.5, -400], [0, 0, 0, 1]])


def mask(shift: int = 0, value: int = 1, empty: bool = False) -> Volume:
    array = np.zeros((14, 20, 24), np.uint8)
    if not empty:
        array[4:10, 5:15, 6 + shift : 16 + shift] = value
    return Volume(array, MATRIX)


def save(volume: Volume, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(volume.to_sitk(), str(path))
    return path


def test_two_files_whatever_they_are_called(tmp_path: Path) -> None:
    prediction = save(mask(1), tmp_path / "compact-base.nii.gz")
    reference = save(mask(), tmp_path / "Milz größe.nrrd")
    found = evaluate(prediction, reference)
    assert len(found.rows) == 1
    row = found.rows[0]
    assert (row.pair.case, row.pair.model) == ("Milz größe", "compact-base")
    assert row.scores.dice == pytest.approx(0.9)
    assert compare(prediction, reference).scores == row.scores


def test_folders_by_name_with_what_is_missing_named(tmp_path: Path) -> None:
    for case in (2, 10, 9):
        save(mask(1), tmp_path / "p" / f"spleen_{case}_0000.nii.gz")
        if case != 9:
            save(mask(), tmp_path / "r" / f"spleen_{case}.nii.gz")
    save(mask(), tmp_path / "r" / "spleen_77.mha")
    found = evaluate(tmp_path / "p", tmp_path / "r")
    assert [row.pair.case for row in found.rows] == ["spleen_2", "spleen_10"]
    assert {notice.kind for notice in found.notices} == {"no-reference", "no-prediction"}
    assert any("spleen_77" in notice.message for notice in found.notices)


def test_results_of_segment_against_case_folders(tmp_path: Path) -> None:
    """DIR/<case>/result.json with two models and an attention map, references as <case>/spleen.nii.gz beside the CT."""
    for case in ("a", "b"):
        folder = tmp_path / "out" / case
        for model, shift in (("base", 1), ("gated", 0)):
            save(mask(shift), folder / f"{model}.nii.gz")
        save(mask(3), folder / "gated_enc1.nii.gz")
        models = [{"name": name, "mask": f"{name}.nii.gz"} for name in ("base", "gated")]
        (folder / "result.json").write_text(json.dumps({"models": models}), encoding="utf-8")
        save(mask(), tmp_path / "ref" / case / "spleen.nii.gz")
        save(mask(2), tmp_path / "ref" / case / "ct.nii.gz")
    found = evaluate(tmp_path / "out", tmp_path / "ref")
    assert found.models == ("base", "gated") and len(found.rows) == 4
    assert found.summary("gated")["dice"].mean == 1.0
    assert found.summary("base")["dice"].mean == pytest.approx(0.9)
    one = evaluate(tmp_path / "out" / "a", tmp_path / "ref" / "a" / "spleen.nii.gz")
    assert one.models == ("base", "gated")


def test_tables_and_undefined_values(tmp_path: Path) -> None:
    for case, empty in (("full", False), ("missed", True)):
        save(mask(1, empty=empty), tmp_path / "p" / f"{case}.nii.gz")
        save(mask(), tmp_path / "r" / f"{case}.nii.gz")
    found = evaluate(tmp_path / "p", tmp_path / "r")
    assert found.summary("p")["hausdorff95_mm"].cases == 1
    assert found.summary("p")["dice"].mean == pytest.approx(0.45)
    found.write(tmp_path / "scores.csv")
    found.write(tmp_path / "scores.json")
    with open(tmp_path / "scores.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["case"] for row in rows] == ["full", "missed", "mean"]
    assert rows[1]["hausdorff95_mm"] == "" and rows[1]["dice"] == "0"
    assert list(rows[0])[2:] == list(MEASURES)
    data = json.loads((tmp_path / "scores.json").read_text(encoding="utf-8"))
    assert data["rows"][1]["hausdorff95_mm"] is None
    assert data["means"][0]["dice"]["mean"] == pytest.approx(0.45)
    with pytest.raises(OutputError, match="exists"):
        found.write(tmp_path / "scores.csv")
    found.write(tmp_path / "scores.csv", overwrite=True)
    with pytest.raises(OutputError, match="csv"):
        found.write(tmp_path / "scores.xlsx")
    with pytest.raises(OutputError, match="cannot be written"):
        found.write(tmp_path / "missing" / "scores.csv")
    assert not list(tmp_path.glob(".*"))


def test_a_mask_on_another_grid_goes_through_the_geometry(tmp_path: Path) -> None:
    """The same box, stored with flipped and permuted axes, is the same mask."""
    reference = mask()
    flipped = MATRIX.copy()
    flipped[:3, 3] = reference.ras_of(np.array([0, 19, 0]))
    flipped[:3, 1] *= -1
    turned = flipped[:, [2, 1, 0, 3]]
    other = Volume(np.ascontiguousarray(reference.array[:, ::-1].transpose(2, 1, 0)), turned)
    found = compare(save(other, tmp_path / "p.nii.gz"), save(reference, tmp_path / "r.nii.gz"))
    assert found.scores.dice == 1.0
    assert [notice.kind for notice in found.notices] == ["resampled"]


def test_a_mask_elsewhere_is_refused(tmp_path: Path) -> None:
    away = MATRIX.copy()
    away[2, 3] += 500
    with pytest.raises(InputError, match="outside the field"):
        compare(save(Volume(mask().array, away), tmp_path / "p.nii.gz"), save(mask(), tmp_path / "r.nii.gz"))


def test_label_maps(tmp_path: Path) -> None:
    both = mask()
    both.array[0, 0, 0] = 7
    path = save(both, tmp_path / "organs.nii.gz")
    assert read_mask(path, label=1).array.sum() == 600
    assert read_mask(path, label=7).array.sum() == 1
    with pytest.raises(InputError, match="several numbers"):
        read_mask(path)


def test_what_is_no_mask_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_mask(tmp_path / "none.nii.gz")
    (tmp_path / "text.nii.gz").write_text("hello", encoding="utf-8")
    with pytest.raises(InputError, match="cannot be read"):
        read_mask(tmp_path / "text.nii.gz")
    ct = Volume(np.random.default_rng(0).normal(0, 100, (9, 9, 9)).astype(np.float32), MATRIX)
    with pytest.raises(InputError, match="intensities"):
        read_mask(save(ct, tmp_path / "ct.nii.gz"))
    with pytest.raises(InputError, match="does not exist"):
        evaluate(tmp_path / "nowhere", tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no masks"):
        evaluate(tmp_path / "empty", tmp_path / "empty")
    save(mask(), tmp_path / "p" / "x.nii.gz")
    save(mask(), tmp_path / "r" / "y.nii.gz")
    with pytest.raises(InputError, match="name of a case"):
        evaluate(tmp_path / "p", tmp_path / "r")


def test_progress_and_cancel(tmp_path: Path) -> None:
    save(mask(), tmp_path / "p.nii.gz")
    seen = []
    evaluate(tmp_path / "p.nii.gz", tmp_path / "p.nii.gz", progress=lambda *step: seen.append(step))
    assert seen == [("evaluate", 0, 1), ("evaluate", 1, 1)]
    with pytest.raises(Cancelled):
        evaluate(tmp_path / "p.nii.gz", tmp_path / "p.nii.gz", cancelled=lambda: True)


def test_summary_of_nothing_is_undefined() -> None:
    assert Summary.of([None, None]) == Summary(0, None, None, None, None, None)
    assert Summary.of([0.5, None]).deviation is None

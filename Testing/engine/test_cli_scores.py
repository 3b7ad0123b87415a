"""``agunetr compare`` and ``agunetr evaluate``: what is printed, written and refused."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import SimpleITK as sitk

from agunetr.cli import main


def write_mask(path, shift=0, label=1, empty=False):
    """A 10x10x10 cube in 20x20x20 voxels of 1x1x2 mm, moved along i."""
    array = np.zeros((20, 20, 20), np.uint8)
    if not empty:
        array[5:15, 5:15, 5 + shift : 15 + shift] = label
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((1.0, 1.0, 2.0))
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path))
    return str(path)


def event(capfd):
    """The one event on standard output."""
    (line,) = capfd.readouterr().out.splitlines()
    return json.loads(line)


def test_compare(tmp_path, capfd):
    first, second = write_mask(tmp_path / "a.nii.gz", shift=2), write_mask(tmp_path / "Größe.nii.gz")
    assert main(["compare", first, second]) == 0
    assert "dice" in capfd.readouterr().out
    assert main(["compare", first, second, "--json"]) == 0
    row = event(capfd)["comparison"]
    assert row["dice"] == pytest.approx(0.8)


def test_compare_shows_what_is_undefined(tmp_path, capfd):
    first, second = write_mask(tmp_path / "a.nii.gz", empty=True), write_mask(tmp_path / "b.nii.gz")
    assert main(["compare", first, second]) == 0
    assert "undefined" in capfd.readouterr().out


def test_compare_one_label_of_a_map(tmp_path, capfd):
    first, second = write_mask(tmp_path / "a.nii.gz", label=3), write_mask(tmp_path / "b.nii.gz", label=3)
    assert main(["compare", first, second, "--label", "3", "--json"]) == 0
    assert event(capfd)["comparison"]["dice"] == 1
    assert main(["compare", first, second, "--label", "2", "--json"]) == 0
    assert event(capfd)["comparison"]["dice"] == 1  # both empty


def test_compare_refuses_what_is_no_mask(tmp_path, capfd):
    mask = write_mask(tmp_path / "a.nii.gz")
    assert main(["compare", str(tmp_path / "missing.nii.gz"), mask]) == 3
    assert "missing.nii.gz" in capfd.readouterr().err


def test_evaluate_folders_with_means_and_table(tmp_path, capfd):
    for case, shift in (("one", 0), ("two", 2), ("three", 5)):
        write_mask(tmp_path / "predicted" / f"{case}.nii.gz", shift)
        write_mask(tmp_path / "truth" / f"{case}.nii.gz")
    write_mask(tmp_path / "predicted" / "extra.nii.gz")
    arguments = ["evaluate", str(tmp_path / "predicted"), str(tmp_path / "truth")]
    table = tmp_path / "scores.csv"
    assert main([*arguments, "--table", str(table)]) == 0
    text = capfd.readouterr().out
    assert "mean" in text and "warning: extra" in text and str(table) in text
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert [row["case"] for row in rows] == ["one", "three", "two", "mean"]
    assert float(rows[-1]["dice"]) == pytest.approx((1 + 0.5 + 0.8) / 3)

    assert main([*arguments, "--table", str(table)]) == 5
    assert main([*arguments, "--table", str(table), "--overwrite", "--quiet"]) == 0
    assert main([*arguments, "--table", str(tmp_path / "scores.xlsx")]) == 2
    capfd.readouterr()
    assert main([*arguments, "--json"]) == 0
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert {line["event"] for line in lines} == {"progress", "evaluation"}
    assert lines[-1]["means"][0]["dice"]["cases"] == 3


def test_means_say_over_how_many_cases(tmp_path, capfd):
    write_mask(tmp_path / "predicted" / "full.nii.gz")
    write_mask(tmp_path / "truth" / "full.nii.gz")
    write_mask(tmp_path / "predicted" / "none.nii.gz", empty=True)
    write_mask(tmp_path / "truth" / "none.nii.gz")
    assert main(["evaluate", str(tmp_path / "predicted"), str(tmp_path / "truth")]) == 0
    text = capfd.readouterr().out
    assert "undefined" in text
    assert "(1)" in text.splitlines()[3]


def test_evaluate_one_mask(tmp_path, capfd):
    first, second = write_mask(tmp_path / "x.nii.gz", shift=2), write_mask(tmp_path / "y.nii.gz")
    assert main(["evaluate", first, second, "--json", "--quiet"]) == 0
    assert event(capfd)["rows"][0]["dice"] == pytest.approx(0.8)


@pytest.mark.parametrize("side", ["predicted", "truth"])
def test_evaluate_refuses_a_missing_side(tmp_path, side, capfd):
    for folder in {"predicted", "truth"} - {side}:
        write_mask(tmp_path / folder / "a.nii.gz")
    assert main(["evaluate", str(tmp_path / "predicted"), str(tmp_path / "truth")]) == 3
    assert side in capfd.readouterr().err

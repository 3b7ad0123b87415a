"""Labelled cases: found in every layout, and checked before training with one clear sentence for each fault."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from agunetr.errors import InputError
from agunetr.inference.reading import read_mask, read_volume
from agunetr.inference.volume import Volume
from agunetr.inference.writing import write_volume
from agunetr_train.data.cases import Case, find_cases, pick_cases
from agunetr_train.data.checks import check_cases
from agunetr_train.data.checksums import voxel_checksum
from agunetr_train.experiments.splits import Split

RANGE = (-175.0, 250.0)
SPLIT = Split(("one", "two"), ("three",), ("four",))


@pytest.fixture
def folder(phantom_cases: Path, tmp_path: Path) -> Path:
    """The phantoms for a test to change."""
    return Path(shutil.copytree(phantom_cases, tmp_path / "data"))


def paired(folder: Path, images: str, labels: str, *names: str, mask_suffix: str = "") -> Path:
    """Empty files in two folders; ``mask_suffix`` is cut off the masks' names."""
    for part in (images, labels):
        (folder / part).mkdir(parents=True)
    for name in names:
        (folder / images / f"{name}.nii.gz").touch()
        (folder / labels / f"{name.removesuffix(mask_suffix)}.nii.gz").touch()
    return folder


def test_the_decathlons_folder_is_read_with_origin_and_licence(tmp_path):
    folder = paired(tmp_path / "Task09_Spleen", "imagesTr", "labelsTr", "spleen_2", "spleen_10", "._spleen_2")
    record = {"description": "Spleen Segmentation", "reference": "a centre", "licence": "CC-BY-SA 4.0"}
    (folder / "dataset.json").write_text(json.dumps(record), encoding="utf-8")
    cases = find_cases(tmp_path)  # one folder above is understood too
    assert list(cases) == ["spleen_10", "spleen_2"] and cases == find_cases(folder)
    assert cases["spleen_2"].facts == {"origin": "Spleen Segmentation, a centre", "licence": "CC-BY-SA 4.0"}
    assert cases["spleen_2"].patient == "spleen_2"


def test_nnunets_names_and_any_pair_of_folders_are_read(tmp_path):
    nnunet = paired(tmp_path / "a", "imagesTr", "labelsTr", "ct_7_0000", "ct_8_0000", mask_suffix="_0000")
    assert [case.label.name for case in find_cases(nnunet).values()] == ["ct_7.nii.gz", "ct_8.nii.gz"]
    numbered = paired(tmp_path / "b", "images", "labels", "0000", "scan_0000")
    assert list(find_cases(numbered)) == ["0000", "scan_0000"], "the ending belongs to the name where masks have it"


def test_cases_json_tells_patients(tmp_path):
    folder = paired(tmp_path, "images", "labels", "first", "second")
    (folder / "cases.json").write_text('{"second": {"patient": "P1", "licence": "CC0"}}', encoding="utf-8")
    cases = find_cases(folder)
    assert cases["first"].patient == "first" and cases["second"].patient == "P1"
    (folder / "cases.json").write_text('{"second": ', encoding="utf-8")
    with pytest.raises(InputError, match=r"cases\.json is damaged"):
        find_cases(folder)
    (folder / "cases.json").write_text('{"second": "P1"}', encoding="utf-8")
    with pytest.raises(InputError, match="says about second"):
        find_cases(folder)


def test_what_is_missing_is_named(phantom_cases, tmp_path):
    assert pick_cases(find_cases(phantom_cases), ("two", "one"))[0].name == "two"
    with pytest.raises(InputError, match=r"lacks the case 'six' \(2 of 3 are missing\)"):
        pick_cases(find_cases(phantom_cases), ("one", "six", "five"))
    with pytest.raises(InputError, match="There is no folder"):
        find_cases(tmp_path / "nowhere")
    with pytest.raises(InputError, match="No labelled case was found"):
        find_cases(tmp_path)
    folder = paired(tmp_path, "images", "labels", "one")
    (folder / "labels" / "one.nii.gz").unlink()
    with pytest.raises(InputError, match="The case one has no mask: .*one.nii.gz is missing"):
        find_cases(folder)
    folder = paired(tmp_path / "c", "images", "labels", "one")
    (folder / "images" / "one.nii").touch()
    with pytest.raises(InputError, match="The case one has two images"):
        find_cases(folder)


def test_good_cases_are_described(phantom_cases, tmp_path):
    cases = find_cases(phantom_cases)
    seen: list[tuple[str, int, int]] = []
    report = check_cases(cases, [SPLIT], RANGE, tmp_path, lambda *values: seen.append(values))
    report.refuse()
    assert seen[0] == ("check", 0, 4) and seen[-1] == ("check", 4, 4)
    one = report.to_dict()["cases"]["one"]
    mask = read_mask(cases["one"].label)
    assert one["label_ml"] == pytest.approx(mask.array.sum() * mask.voxel_ml) and one["size"] == (48, 40, 40)
    assert one["licence"] == "CC0" and one["origin"] == "phantom" and one["patient"] == "one"
    assert len(one["image_sha256"]) == 64 and 40 < one["label_hu"][1] < 160
    text = report.text()
    assert "Cases: 4, patients: 4; nothing forbids training" in text and "training 2, validation 1, test 1" in text
    assert [line.split()[:2] for line in text.splitlines()[-4:]] == [
        ["four", "test"], ["one", "training"], ["three", "validation"], ["two", "training"]
    ]  # fmt: skip
    json.dumps(report.to_dict())


def test_measurements_are_kept_by_content(phantom_cases, tmp_path, monkeypatch):
    cases = find_cases(phantom_cases)
    first = check_cases(cases, [SPLIT], RANGE, tmp_path)
    monkeypatch.setattr("agunetr_train.data.examination.read_volume", lambda path: pytest.fail("read again"))
    assert check_cases(cases, [SPLIT], RANGE, tmp_path).to_dict() == first.to_dict()
    moved = {"one": Case("one", cases["one"].image, cases["two"].label)}
    with pytest.raises(pytest.fail.Exception):
        check_cases(moved, [], RANGE, tmp_path)


def spoil_label(array: np.ndarray) -> np.ndarray:
    array[array > 0] = 7
    return array


def change(path: Path, how) -> None:
    volume = read_mask(path) if path.name.startswith("spleen") else read_volume(path)[0]
    changed = how(volume)
    write_volume(changed, path, overwrite=True)


def moved(volume: Volume) -> Volume:
    matrix = volume.ijk_to_ras.copy()
    matrix[0, 3] += 5
    return Volume(volume.array, matrix)


FAULTS = {
    "values": ("spleen", lambda v: v.with_array(spoil_label(v.array.copy())), "mask of the case one holds the value 7"),
    "empty": ("spleen", lambda v: v.with_array(0 * v.array), "mask of the case one is empty"),
    "size": ("spleen", lambda v: Volume(v.array[:-1], v.ijk_to_ras), "one have 48 x 40 x 40 and 48 x 40 x 39 voxels"),
    "place": ("spleen", moved, "one lie on different grids"),
    "no hu": ("ct", lambda v: v.with_array((v.array + 1024).astype(np.int16)), "one is not in Hounsfield units.*1024"),
    "picture": ("ct", lambda v: v.with_array(v.array.clip(-175, 80) + 175), "one is not in Hounsfield.*0 and 255"),
    "mask": ("ct", lambda v: v.with_array((v.array > 0).astype(np.int16)), "one: .*is a mask and no CT"),
    "constant": ("ct", lambda v: v.with_array(0 * v.array), "one.*All voxels have the same value"),
    "shifted": ("ct", lambda v: v.with_array(np.where(v.array > 0, 1500, v.array)), "organ of one has .* outside of"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_sentence(folder, fault):
    file, how, words = FAULTS[fault]
    name = "ct.nii.gz" if file == "ct" else "spleen.nii.gz"
    change(folder / "one" / name, how)
    report = check_cases(find_cases(folder), [SPLIT], RANGE)
    with pytest.raises(InputError, match=words):
        report.refuse()
    assert sum(finding.fatal for finding in report.findings) == 1 and "FAULT: " in report.text()


def test_a_damaged_file_is_a_fault_and_the_others_are_checked(folder):
    image = folder / "two" / "ct.nii.gz"
    image.write_bytes(image.read_bytes()[:5000])
    change(folder / "one" / "spleen.nii.gz", lambda v: v.with_array(0 * v.array))
    report = check_cases(find_cases(folder), [SPLIT], RANGE)
    with pytest.raises(InputError, match=r"further faults are in the data report"):
        report.refuse()
    assert {finding.case for finding in report.findings if finding.fatal} == {"one", "two"}
    assert set(report.examined) == {"one", "three", "four"} and "cannot be used" in report.text()


def test_an_empty_mask_is_allowed_in_the_test_part(folder):
    change(folder / "four" / "spleen.nii.gz", lambda v: v.with_array(0 * v.array))
    report = check_cases(find_cases(folder), [SPLIT], RANGE)
    report.refuse()
    assert [finding.message for finding in report.findings] == ["The mask of the case four is empty."]


def test_one_scan_in_two_parts_is_found_however_it_was_stored(folder):
    image, _ = read_volume(folder / "one" / "ct.nii.gz")
    mask = read_mask(folder / "one" / "spleen.nii.gz")
    turned = np.diag([-1.0, 1.0, -1.0, 1.0]) @ np.eye(4)
    for volume, name in ((image, "ct.nii.gz"), (mask, "spleen.nii.gz")):
        # Other axes, another place, another number type.
        matrix = volume.ijk_to_ras @ turned
        matrix[:3, 3] += 100
        other = Volume(np.ascontiguousarray(volume.array[::-1, :, ::-1]).astype(np.float32), matrix)
        write_volume(other, folder / "four" / name, overwrite=True)
    assert voxel_checksum(read_volume(folder / "four" / "ct.nii.gz")[0]) == voxel_checksum(image)
    report = check_cases(find_cases(folder), [SPLIT], RANGE)
    with pytest.raises(InputError, match=r"four \(in test\) and one \(in training\) are the same image"):
        report.refuse()
    together = check_cases(find_cases(folder), [Split(("one", "four"), ("two",), ("three",))], RANGE)
    together.refuse()
    assert any("four and one are the same image." in finding.message for finding in together.findings)


def test_terms_and_oddities_are_warnings(folder):
    facts = {"use": "evaluate", "licence": "CC BY-NC 3.0"}
    (folder / "one" / "case.json").write_text(json.dumps(facts), encoding="utf-8")

    def cut(volume: Volume) -> Volume:
        array = volume.array.copy()
        array[:4, 10:16, 10:16] = 1
        return volume.with_array(array)

    change(folder / "two" / "spleen.nii.gz", cut)
    report = check_cases(find_cases(folder), [SPLIT], RANGE)
    report.refuse()
    texts = " ".join(finding.message for finding in report.findings)
    assert "The terms of one allow evaluation only (CC BY-NC 3.0)" in texts
    assert "two consists of 2 separate pieces" in texts and "two cuts the organ" in texts
    unused = check_cases(find_cases(folder), [Split(("three",), (), ("four",))], RANGE)
    assert set(unused.cases) == {"three", "four"} and not unused.findings

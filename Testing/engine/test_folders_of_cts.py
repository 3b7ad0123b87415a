"""A folder is one DICOM scan, or holds many CTs."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from dicom_files import STUDY_UID, write_series

from agunetr.many_scans.folders import list_cts

VOXELS = np.zeros((2, 4, 5), np.int16)


@pytest.fixture
def results(tmp_path):
    return tmp_path / "results"


def listed(folder, results):
    """Names of the CTs below the folder, or None where it is one scan."""
    listing = list_cts([folder], results)
    if not listing.many:
        assert listing.cts == (folder,)
        return None
    return [path.relative_to(folder).as_posix() for path in listing.cts]


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def test_files_and_dicom_subfolders(tmp_path, results):
    folder = tmp_path / "cts"
    touch(folder, "b.nii.gz", "a.nrrd", "c.mha", "notes.txt", "mask.seg.nrrd", "._b.nii.gz", ".hidden.nii")
    write_series(folder / "d 脾臓" / "deeper", VOXELS)
    assert listed(folder, results) == ["a.nrrd", "b.nii.gz", "c.mha", "d 脾臓"]


def test_a_single_file_in_a_folder_is_a_case_of_its_own(tmp_path, results):
    touch(tmp_path / "cts", "a.nii")
    assert listed(tmp_path / "cts", results) == ["a.nii"]


def test_patients_are_many(tmp_path, results):
    for number in (1, 2):
        write_series(tmp_path / "cts" / f"p{number}", VOXELS, study=f"{STUDY_UID}.{number}")
    assert listed(tmp_path / "cts", results) == ["p1", "p2"]


def test_an_anonymisers_empty_study_joins_nothing(tmp_path, results):
    for number in (1, 2):
        write_series(tmp_path / "cts" / f"p{number}", VOXELS, study="")
    assert listed(tmp_path / "cts", results) == ["p1", "p2"]


def test_one_series_and_one_study_are_one_scan(tmp_path, results):
    write_series(tmp_path / "series", VOXELS)
    touch(tmp_path / "series", "report.nii.gz")
    assert listed(tmp_path / "series", results) is None
    for number in (1, 2):
        write_series(tmp_path / "study" / f"s{number}", VOXELS, series=f"{STUDY_UID}.{number}")
    assert listed(tmp_path / "study", results) is None


def test_the_first_patient_of_many_is_a_case_of_its_own(tmp_path, results):
    """With the next patient beside it, its results are still where they were."""
    write_series(tmp_path / "cts" / "p1" / "s1", VOXELS)
    assert listed(tmp_path / "cts", results) == ["p1"]
    write_series(tmp_path / "cts" / "p2" / "s1", VOXELS, study=f"{STUDY_UID}.2")
    assert listed(tmp_path / "cts", results) == ["p1", "p2"]


def test_a_folder_of_nothing_is_left_to_the_reader_to_refuse(tmp_path, results):
    touch(tmp_path / "empty", "notes.txt", "sub/notes.txt")
    assert listed(tmp_path / "empty", results) is None
    assert list_cts([tmp_path / "missing"], results).cts == (tmp_path / "missing",)


def test_results_are_no_cts_wherever_they_lie(tmp_path):
    folder = tmp_path / "cts"
    touch(folder, "a.nii.gz", "results/a/result.json", "results/a/m.nii.gz", "a/result.json", "a/m.nii.gz")
    for results in (folder / "results", folder):
        listing = list_cts([folder], results)
        assert [path.name for path in listing.cts] == ["a.nii.gz"]
    assert list_cts([folder], folder / "results").notices == ()


def test_what_is_left_out_is_told(tmp_path, results):
    folder = tmp_path / "cts"
    touch(folder, "a.nii.gz", "deep/b.nii.gz", "notes/readme.txt")
    notices = list_cts([folder], results).notices
    assert [notice.kind for notice in notices] == ["left-out"]
    assert "2 subfolders without DICOM slices were left out" in notices[0].message
    touch(folder, "a.seg.nrrd")
    message = list_cts([folder], results).notices[1].message
    assert message == f"1 segmentation (.seg.nrrd) was left out, for example {folder / 'a.seg.nrrd'}."


def test_files_and_folders_may_be_mixed(tmp_path, results):
    touch(tmp_path / "cts", "b.nii", "a.nii")
    touch(tmp_path, "z.nii")
    listing = list_cts([tmp_path / "z.nii", tmp_path / "cts"], results)
    assert listing.many and [path.name for path in listing.cts] == ["z.nii", "a.nii", "b.nii"]


def test_a_link_to_a_folder_above_does_not_go_round_in_circles(tmp_path, results):
    folder = tmp_path / "cts"
    touch(folder, "a.nii", "sub/x.txt")
    try:
        (folder / "sub" / "up").symlink_to(folder, target_is_directory=True)
    except OSError:
        pytest.skip("this system makes no links")
    assert listed(folder, results) == ["a.nii"]
    shutil.rmtree(folder)

"""DICOM folders: regular series become volumes, others are refused with one sentence."""

from __future__ import annotations

import os
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from ball_volumes import axis_codes, rotation
from dicom_files import SERIES_UID, write_series, write_slice
from test_checks import ct

from agunetr.errors import InputError
from agunetr.inference.dicom_series import find_series
from agunetr.inference.reading import read_mask, read_volume
from agunetr.inference.resampling import resample_mask
from agunetr.inference.volume import LPS_TO_RAS, Volume


@pytest.fixture
def voxels() -> np.ndarray:
    return ct((18, 20, 16))


@pytest.fixture
def folder(voxels: np.ndarray, tmp_path: Path) -> Path:
    write_series(tmp_path / "série 腹部", voxels)
    return tmp_path / "série 腹部"


def test_a_series_is_ordered_by_position_and_placed(folder: Path, voxels: np.ndarray) -> None:
    volume, notices = read_volume(folder)
    expected = np.diag([1.5, 2.0, 3.0, 1.0])
    expected[:3, 3] = (-30, -200, 700)
    assert np.allclose(volume.ijk_to_ras, LPS_TO_RAS @ expected)
    assert volume.array.dtype == np.int16 and np.array_equal(volume.array, voxels)
    assert notices == []


def test_the_place_is_that_of_itk(tmp_path: Path, voxels: np.ndarray) -> None:
    axes = rotation(20, -10, 30)
    write_series(tmp_path, voxels, step=axes[:, 2] * 2.5, axes=(axes[:, 0], axes[:, 1]))
    volume, _ = read_volume(tmp_path)
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(tmp_path))
    theirs = Volume.from_sitk(sitk.ReadImage(names))
    assert volume.same_grid(theirs, tolerance_mm=0.01)
    assert np.array_equal(volume.array, theirs.array)


def test_coronal_slices_from_front_to_back(tmp_path: Path, voxels: np.ndarray) -> None:
    axes = ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0))
    write_series(tmp_path, voxels, step=(0.0, 3.0, 0.0), axes=axes)
    volume, _ = read_volume(tmp_path)
    assert axis_codes(volume.directions) == ["L", "I", "P"]
    assert np.array_equal(volume.array, voxels)


def test_subfolders_are_searched_and_other_files_passed_over(tmp_path: Path, voxels: np.ndarray) -> None:
    write_series(tmp_path / "study" / "A", voxels[:9])
    write_series(tmp_path / "study" / "B", voxels[9:], first=(-30, -200, 727), prefix="other")
    (tmp_path / "notes.txt").write_text("nothing")
    (tmp_path / "DICOMDIR").write_bytes(bytes(128) + b"DICM")
    volume, notices = read_volume(tmp_path)
    assert np.array_equal(volume.array, voxels) and notices == []


def test_dicom_files_without_an_image_are_told(folder: Path) -> None:
    kind = b"1.2.840.10008.5.1.4.1.1.88.11\0"
    meta = b"\2\0\2\0UI" + struct.pack("<H", len(kind)) + kind
    (folder / "report.dcm").write_bytes(bytes(128) + b"DICM" + meta)
    assert [notice.kind for notice in read_volume(folder)[1]] == ["skipped-files"]


def test_the_largest_ct_series_is_chosen_and_named(folder: Path, voxels: np.ndarray) -> None:
    write_series(folder / "thin", np.repeat(voxels, 2, axis=0), series="1.2.3.4", prefix="thin", description="Thin")
    write_series(folder / "pet", np.repeat(voxels, 3, axis=0), series="1.2.3.5", prefix="pet", modality="PT")
    volume, notices = read_volume(folder)
    assert volume.size[2] == 36
    assert [notice.kind for notice in notices] == ["several-series"]
    assert "2 CT series" in notices[0].message and '"Thin"' in notices[0].message and "1.2.3.4" in notices[0].message
    named, notices = read_volume(folder, series=SERIES_UID)
    assert named.size[2] == 18 and notices == []
    assert read_volume(folder, series="1.2.3.5")[0].size[2] == 54
    with pytest.raises(InputError, match="no series 9.9") as refusal:
        read_volume(folder, series="9.9")
    assert "1.2.3.4" in refusal.value.remedy


def test_a_folder_without_a_ct_series_is_refused(tmp_path: Path, voxels: np.ndarray) -> None:
    write_series(tmp_path, voxels, modality="MR", description="T1")
    with pytest.raises(InputError, match='no CT series, but MR "T1"'):
        read_volume(tmp_path)


def test_localizers_are_left_out(folder: Path, voxels: np.ndarray) -> None:
    axes = ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0))
    write_slice(folder / "scout.dcm", voxels[0], (0, 0, 0), axes=axes, image_type="ORIGINAL\\PRIMARY\\LOCALIZER")
    assert read_volume(folder)[0].size[2] == 18


def test_gaps_are_refused(folder: Path) -> None:
    series, _ = find_series(folder)
    inner = sorted(series[0].slices, key=lambda item: item.position[2])[7]
    inner.path.unlink()
    with pytest.raises(InputError, match=r"gap.*6\.00 mm after slice 7 of 17, 3\.00 mm"):
        read_volume(folder)


def test_uneven_steps_are_refused(folder: Path, voxels: np.ndarray) -> None:
    write_slice(folder / "far.dcm", voxels[0], (-30, -200, 700 + 17 * 3 + 5))
    with pytest.raises(InputError, match="gap or an uneven step"):
        read_volume(folder)


def test_rounded_positions_are_no_gap(tmp_path: Path, voxels: np.ndarray) -> None:
    for index, values in enumerate(voxels):
        write_slice(tmp_path / f"{index}.dcm", values, (-30, -200, round(700 + index * 0.625, 1)))
    with pytest.raises(InputError, match="uneven"):
        read_volume(tmp_path)
    for index, values in enumerate(voxels):
        write_slice(tmp_path / f"{index}.dcm", values, (-30, -200, round(700 + index * 0.625, 2)))
    assert np.isclose(read_volume(tmp_path)[0].spacing_mm[2], 0.625, atol=1e-3)


def test_duplicates_are_refused(folder: Path) -> None:
    shutil.copy(sorted(folder.iterdir())[4], folder / "copy.dcm")
    with pytest.raises(InputError, match="two slices at the same place"):
        read_volume(folder)


def test_mixed_orientations_and_sizes_are_refused(folder: Path, voxels: np.ndarray) -> None:
    odd = folder / "odd.dcm"
    write_slice(odd, voxels[0], (-30, -200, 697), axes=((0.0, 1.0, 0.0), (0.0, 0.0, -1.0)))
    with pytest.raises(InputError, match="mixed orientations"):
        read_volume(folder)
    write_slice(odd, voxels[0][:10], (-30, -200, 697))
    with pytest.raises(InputError, match="differ in size"):
        read_volume(folder)
    write_slice(odd, voxels[0], (-30, -200, 697), spacing=(1.5, 1.9))
    with pytest.raises(InputError, match="differ in size or pixel spacing"):
        read_volume(folder)


def test_a_tilted_gantry_is_refused(tmp_path: Path, voxels: np.ndarray) -> None:
    write_series(tmp_path, voxels, step=(0.0, 0.6, 3.0))
    with pytest.raises(InputError, match="tilted gantry"):
        read_volume(tmp_path)


def test_one_slice_is_refused(folder: Path, tmp_path: Path) -> None:
    one = sorted(folder.iterdir())[0]
    with pytest.raises(InputError, match="single DICOM slice"):
        read_volume(one)
    (tmp_path / "alone").mkdir()
    shutil.copy(one, tmp_path / "alone")
    with pytest.raises(InputError, match="is no volume"):
        read_volume(tmp_path / "alone")


def test_a_slice_that_breaks_off_is_refused(folder: Path) -> None:
    series, _ = find_series(folder)
    last = max(series[0].slices, key=lambda item: item.position[2]).path
    last.write_bytes(last.read_bytes()[:-300])
    with pytest.raises(InputError, match="incomplete or damaged"):  # it must not just be left out
        read_volume(folder)


@pytest.mark.parametrize("kept", [0, 60, 140, 200, 400])
def test_a_last_slice_cut_in_its_header_is_refused(folder: Path, kept: int) -> None:
    series, _ = find_series(folder)
    last = max(series[0].slices, key=lambda item: item.position[2]).path
    last.write_bytes(last.read_bytes()[:kept])
    with pytest.raises(InputError, match="incomplete or damaged"):
        read_volume(folder)


def test_slices_that_do_not_state_their_place_are_refused(tmp_path: Path, voxels: np.ndarray) -> None:
    for path in write_series(tmp_path, voxels)[-4:]:
        path.write_bytes(path.read_bytes().replace(b"\x20\x00\x32\x00", b"\x20\x00\x31\x00", 1))
    with pytest.raises(InputError, match="4 of 18 slices of the series .* do not state their place"):
        read_volume(tmp_path)


@pytest.mark.parametrize("at", [10, 17])
def test_a_slice_shifted_sideways_is_refused(tmp_path: Path, voxels: np.ndarray, at: int) -> None:
    files = write_series(tmp_path, voxels)
    write_slice(files[at], voxels[at], (-30 + 0.05, -200, 700 + 3 * at))
    assert read_volume(tmp_path)[0].size[2] == 18
    write_slice(files[at], voxels[at], (-30 + 40, -200, 700 + 3 * at))
    with pytest.raises(InputError, match="shifted against each other"):
        read_volume(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes and names of any bytes are POSIX's")
def test_pipes_are_passed_over_and_names_that_are_not_utf_8_refused(folder: Path) -> None:
    os.mkfifo(folder / "pipe.dcm")
    assert read_volume(folder)[0].size[2] == 18
    first = sorted(folder.glob("slice*"))[0]
    try:
        first.rename(folder / os.fsdecode(b"l\xe9.dcm"))
    except OSError:
        pytest.skip("this disk takes UTF-8 names only")
    with pytest.raises(InputError, match="not valid UTF-8"):
        read_volume(folder)


def test_slices_with_their_own_rescaling_come_in_hounsfield_units(tmp_path: Path, voxels: np.ndarray) -> None:
    even = voxels // 2 * 2
    for index, values in enumerate(even):
        rescale = (1.0, -1024.0) if index % 2 else (2.0, -1000.0)
        write_slice(tmp_path / f"{index}.dcm", values, (-30, -200, 700 + 3 * index), rescale=rescale)
    assert np.array_equal(read_volume(tmp_path)[0].array, even)


def test_values_beyond_16_bits_become_float32(tmp_path: Path, voxels: np.ndarray) -> None:
    large = voxels[:4].astype(np.int32) // 2 * 2
    large[2, 3, 4] = 60_000
    for index, values in enumerate(large):
        write_slice(tmp_path / f"{index}.dcm", values, (-30, -200, 700 + 3 * index), rescale=(2.0, 0.0))
    volume, _ = read_volume(tmp_path)
    assert volume.array.dtype == np.float32
    assert np.array_equal(volume.array, large)


def test_the_real_series_lies_on_its_mask(shared_data: Path) -> None:
    volume, notices = read_volume(shared_data / "dicom" / "totalsegmentator")
    assert volume.size == (512, 512, 20) and np.allclose(volume.spacing_mm, (0.9765625, 0.9765625, 2.0))
    assert notices == []
    organs = read_mask(shared_data / "dicom" / "totalsegmentator_organs.nii.gz")
    spleen = resample_mask(organs, volume) == 1
    assert spleen.sum() == (organs.array == 1).sum()
    assert 60 < volume.array[spleen].mean() < 120 and volume.array[spleen].std() < 40

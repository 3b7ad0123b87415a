"""Files that are read, and files that are refused with one sentence."""

from __future__ import annotations

import gzip
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from ball_volumes import grid_about, rotation
from test_checks import ct

from agunetr.errors import InputError
from agunetr.inference.reading import read_mask, read_volume
from agunetr.inference.volume import Volume
from agunetr.inference.writing import write_volume

FORMATS = (".nii", ".nii.gz", ".nrrd", ".mha", ".mhd", ".nhdr")
# Offsets into a NIfTI-1 header, nifti1.h.
BITPIX, PIXDIM_Z, VOX_OFFSET, QFORM_CODE, SFORM_CODE, SROW_X = 72, 88, 108, 252, 254, 280


@pytest.fixture
def scan() -> Volume:
    grid = grid_about((-20, 30, 400), (25, 21, 38), rotation(3, -8, 12) @ np.diag([-1.0, 1.0, 1.0]), (1.0, 1.0, 2.0))
    return grid.with_array(ct(grid.array.shape))


def written(volume: Volume, path: Path, compressed: bool = True) -> Path:
    sitk.WriteImage(volume.to_sitk(), str(path), compressed)
    return path


def patched(path: Path, *changes: tuple[int, str, tuple]) -> Path:
    raw = bytearray(path.read_bytes())
    for offset, layout, values in changes:
        struct.pack_into(layout, raw, offset, *values)
    path.write_bytes(raw)
    return path


@pytest.mark.parametrize("ending", FORMATS)
def test_every_format_keeps_voxels_and_place(scan: Volume, ending: str, tmp_path: Path) -> None:
    volume, notices = read_volume(written(scan, tmp_path / f"scan{ending}"))
    assert volume.same_grid(scan)
    assert volume.array.dtype == np.int16
    assert np.array_equal(volume.array, scan.array)
    assert notices == []


@pytest.mark.parametrize("name", ["a b.nii.gz", "Jürgen Ärzte é.nrrd", "脾臓 scan.mha", "Селезёнка.nii"])
def test_spaces_accents_and_other_scripts_in_paths_work(scan: Volume, name: str, tmp_path: Path) -> None:
    folder = tmp_path / "dossier d'été 患者"
    folder.mkdir()
    path = write_volume(scan, folder / name)
    assert np.array_equal(read_volume(path)[0].array, scan.array)
    assert np.array_equal(read_volume(str(path))[0].array, scan.array)


@pytest.mark.parametrize(
    ("stored", "expected"),
    [("int16", "int16"), ("int32", "int16"), ("int8", "int16"), ("float32", "float32"), ("float64", "float32")],
)
def test_voxels_become_int16_or_float32(stored: str, expected: str, scan: Volume, tmp_path: Path) -> None:
    values = np.clip(scan.array, -128, 127) if stored == "int8" else scan.array
    path = written(scan.with_array(values.astype(stored)), tmp_path / "scan.nrrd")
    volume, _ = read_volume(path)
    assert volume.array.dtype == expected
    assert np.array_equal(volume.array, values)


def test_integers_that_do_not_fit_become_float32(scan: Volume, tmp_path: Path) -> None:
    path = written(scan.with_array(scan.array.astype(np.int32) * 100), tmp_path / "scan.nrrd")
    assert read_volume(path)[0].array.dtype == np.float32


@pytest.mark.parametrize("ending", FORMATS[:4])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nan_are_replaced_and_told(scan: Volume, ending: str, dtype: str, tmp_path: Path) -> None:
    values = scan.array.astype(dtype)
    values[2, 3, 4] = values[-1, -1, -1] = np.nan
    volume, notices = read_volume(written(scan.with_array(values), tmp_path / f"scan{ending}"))
    expected = np.where(np.isnan(values), -1000, values)
    assert np.array_equal(volume.array, expected)
    assert [notice.kind for notice in notices] == ["nan"]


@pytest.mark.parametrize("ending", FORMATS[:4])
def test_many_nan_and_infinite_voxels_are_refused(scan: Volume, ending: str, tmp_path: Path) -> None:
    for value, count, sentence in ((np.nan, 500, "not a number"), (np.inf, 1, "infinite"), (-np.inf, 1, "infinite")):
        values = scan.array.astype(np.float32)
        values.flat[100 : 100 + count] = value
        with pytest.raises(InputError, match=sentence):
            read_volume(written(scan.with_array(values), tmp_path / f"scan{ending}"))


def test_nan_in_a_file_of_several_chunks_are_found_at_their_places(tmp_path: Path) -> None:
    values = np.tile(ct((40, 24, 28)), (2, 6, 8)).astype(np.float32)  # 10 MB
    places = np.random.default_rng(0).choice(values.size, 2000, replace=False)
    values.flat[places] = np.nan
    for ending in (".nii", ".nii.gz"):
        volume, _ = read_volume(written(Volume(values), tmp_path / f"scan{ending}"))
        assert np.array_equal(volume.array, np.where(np.isnan(values), -1000, values))


def test_warnings_of_the_checks_come_with_the_volume(scan: Volume, tmp_path: Path) -> None:
    values = (scan.array.astype(np.int32) + 1024).clip(0).astype(np.uint16)[:10]
    _, notices = read_volume(written(Volume(values, scan.ijk_to_ras), tmp_path / "scan.mha"))
    assert {notice.kind for notice in notices} == {"not-hu", "few-slices"}


@pytest.mark.parametrize("ending", FORMATS[:4])
@pytest.mark.parametrize("kept", [0.0, 0.01, 0.5, 0.98])
def test_files_that_break_off_are_refused(scan: Volume, ending: str, kept: float, tmp_path: Path) -> None:
    path = written(scan, tmp_path / f"scan{ending}")
    raw = path.read_bytes()
    path.write_bytes(raw[: int(len(raw) * kept)])
    with pytest.raises(InputError, match=r"damaged|empty file|not a NIfTI|not an image|no format"):
        read_volume(path)


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".mha"])
def test_damaged_compressed_voxels_are_refused(scan: Volume, ending: str, tmp_path: Path) -> None:
    path = written(scan, tmp_path / f"scan{ending}")
    raw = bytearray(path.read_bytes())
    middle = len(raw) * 3 // 4
    raw[middle : middle + 40] = bytes(value ^ 0x5A for value in raw[middle : middle + 40])
    path.write_bytes(raw)
    with pytest.raises(InputError, match="incomplete or damaged"):
        read_volume(path)


def test_gzip_of_several_members_is_complete(scan: Volume, tmp_path: Path) -> None:
    raw = written(scan, tmp_path / "scan.nii").read_bytes()
    path = tmp_path / "members.nii.gz"
    path.write_bytes(gzip.compress(raw[:5000]) + gzip.compress(raw[5000:]) + bytes(64))
    assert np.array_equal(read_volume(path)[0].array, scan.array)


@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz", "scan.nrrd", "scan.mha", "scan.png", "scan.txt", "scan"])
def test_files_that_are_no_image_are_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text("This is no image. " * 100)
    with pytest.raises(InputError) as refusal:
        read_volume(path)
    assert str(path) in refusal.value.message and "\n" not in str(refusal.value)


def test_a_missing_file_and_an_empty_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_volume(tmp_path / "nothing.nii.gz")
    with pytest.raises(InputError, match="no DICOM images"):
        read_volume(tmp_path)


def test_two_and_four_dimensions_and_colour_are_refused(scan: Volume, tmp_path: Path) -> None:
    image = scan.to_sitk()
    cases = {
        "2 dimensions": image[:, :, 3],
        "4 dimensions": sitk.JoinSeries([image, image]),
        "3 values a voxel": sitk.Compose(image, image, image),
    }
    for sentence, wrong in cases.items():
        for ending in (".nii.gz", ".nrrd", ".mha"):
            path = tmp_path / f"{sentence}{ending}"
            sitk.WriteImage(wrong, str(path))
            with pytest.raises(InputError, match=sentence):
                read_volume(path)
    sitk.WriteImage(image[:, :, :1], str(tmp_path / "slice.nii"))
    with pytest.raises(InputError, match="single slice"):
        read_volume(tmp_path / "slice.nii")


@pytest.mark.parametrize("spacing", [0.0, -2.0, float("nan")])
def test_spacing_that_is_not_positive_is_refused(scan: Volume, spacing: float, tmp_path: Path) -> None:
    nifti = patched(written(scan, tmp_path / "scan.nii"), (PIXDIM_Z, "<f", (spacing,)))
    with pytest.raises(InputError, match="spacing"):
        read_volume(nifti)
    meta = written(scan, tmp_path / "scan.mha", compressed=False)
    text = meta.read_bytes()
    line = next(line for line in text.split(b"\n") if line.startswith(b"ElementSpacing"))
    meta.write_bytes(text.replace(line, b"ElementSpacing = 1 1 " + str(spacing).encode()))
    with pytest.raises(InputError, match="spacing"):
        read_volume(meta)


def test_sheared_axes_are_refused(tmp_path: Path) -> None:
    sheared = np.eye(4)
    sheared[1, 2] = 0.3
    volume = Volume(ct(), sheared)
    with pytest.raises(InputError, match="right angles"):
        read_volume(written(volume, tmp_path / "scan.nrrd"))
    straight = written(Volume(ct()), tmp_path / "scan.nii")
    with pytest.raises(InputError, match="right angles"):
        read_volume(patched(straight, (QFORM_CODE, "<2h", (0, 2)), (SROW_X + 4, "<f", (0.5,))))


def test_a_sheared_sform_is_refused_even_with_a_qform(tmp_path: Path) -> None:
    straight = written(Volume(ct()), tmp_path / "scan.nii")
    with pytest.raises(InputError, match="right angles"):
        read_volume(patched(straight, (QFORM_CODE, "<2h", (1, 2)), (SROW_X + 4, "<f", (0.5,))))


@pytest.mark.parametrize("change", [(VOX_OFFSET, "<f", (np.inf,)), (VOX_OFFSET, "<f", (np.nan,)), (BITPIX, "<h", (8,))])
def test_a_nifti_header_that_contradicts_itself_is_refused(tmp_path: Path, change: tuple) -> None:
    path = patched(written(Volume(ct()), tmp_path / "scan.nii"), change)
    with pytest.raises(InputError, match="incomplete or damaged"):
        read_volume(path)


@pytest.mark.parametrize(("ending", "data"), [(".nhdr", "scan.raw.gz"), (".mhd", "scan.zraw")])
def test_damaged_voxels_in_a_file_of_their_own_are_refused(ending: str, data: str, tmp_path: Path) -> None:
    path = written(Volume(ct()), tmp_path / f"scan{ending}")
    voxels, header = tmp_path / data, path.read_bytes()
    raw = bytearray(voxels.read_bytes())
    middle = len(raw) // 2
    raw[middle : middle + 40] = bytes(value ^ 0x5A for value in raw[middle : middle + 40])
    voxels.write_bytes(raw)
    with pytest.raises(InputError, match=rf"{data} is incomplete or damaged"):
        read_volume(path)
    path.write_bytes(header.replace(data.encode(), b"scan%03d.raw 1 9 1"))
    with pytest.raises(InputError, match="several files"):
        read_volume(path)
    path.write_bytes(header)
    voxels.unlink()
    with pytest.raises(InputError, match="is not there"):
        read_volume(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes and names of any bytes are POSIX's")
def test_pipes_and_names_that_are_not_utf_8_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "scan.nii")
    with pytest.raises(InputError, match="neither a file nor a folder"):
        read_volume(tmp_path / "scan.nii")
    with pytest.raises(InputError, match=r"The name .*l\\udce9.nii.gz is not valid UTF-8") as refusal:
        read_volume(tmp_path / os.fsdecode(b"l\xe9.nii.gz"))
    str(refusal.value).encode()


@pytest.mark.parametrize("space", ["scanner-xyz", "3D-right-handed"])
def test_a_nrrd_space_that_is_not_the_patients_is_noticed(space: str, tmp_path: Path) -> None:
    nrrd = written(Volume(ct()), tmp_path / "scan.nrrd")
    nrrd.write_bytes(nrrd.read_bytes().replace(b"left-posterior-superior", space.encode(), 1))
    assert [notice.kind for notice in read_volume(nrrd)[1]] == ["no-orientation"]


def test_a_file_that_does_not_say_how_the_patient_lies_is_noticed(tmp_path: Path) -> None:
    path = patched(written(Volume(ct()), tmp_path / "scan.nii"), (QFORM_CODE, "<2h", (0, 0)))
    assert [notice.kind for notice in read_volume(path)[1]] == ["no-orientation"]
    nrrd = written(Volume(ct()), tmp_path / "scan.nrrd", compressed=False)
    lines = nrrd.read_bytes().split(b"\n\n", 1)
    header = b"\n".join(line for line in lines[0].split(b"\n") if not line.startswith((b"space", b"kinds")))
    nrrd.write_bytes(header + b"\n\n" + lines[1])
    assert [notice.kind for notice in read_volume(nrrd)[1]] == ["no-orientation"]


def test_two_spacings_in_one_header_are_noticed(tmp_path: Path) -> None:
    path = patched(written(Volume(ct()), tmp_path / "scan.nii"), (SROW_X, "<f", (-3.0,)), (QFORM_CODE, "<2h", (0, 1)))
    assert [notice.kind for notice in read_volume(path)[1]] == ["two-spacings"]


def test_nifti_2_is_refused_by_its_name(tmp_path: Path) -> None:
    nibabel = pytest.importorskip("nibabel")
    path = tmp_path / "scan.nii.gz"
    nibabel.save(nibabel.Nifti2Image(ct().transpose(2, 1, 0), np.eye(4)), path)
    with pytest.raises(InputError, match="NIfTI-2"):
        read_volume(path)


def test_geometry_is_that_of_nibabel(scan: Volume, tmp_path: Path) -> None:
    nibabel = pytest.importorskip("nibabel")
    path = written(scan, tmp_path / "scan.nii.gz")
    assert np.allclose(read_volume(path)[0].ijk_to_ras, nibabel.load(path).affine, atol=1e-4)


def test_masks_are_read_without_the_checks_of_a_ct(tmp_path: Path) -> None:
    empty = Volume(np.zeros((3, 4, 5), np.uint8))
    mask = read_mask(written(empty, tmp_path / "mask.nii.gz"))
    assert mask.array.dtype == np.uint8 and not mask.array.any()
    labels = np.arange(60, dtype=np.float32).reshape(3, 4, 5)
    assert np.array_equal(read_mask(written(Volume(labels), tmp_path / "labels.nrrd")).array, labels)
    for wrong in (labels + 0.5, labels - 1):
        with pytest.raises(InputError, match="is no mask"):
            read_mask(written(Volume(wrong), tmp_path / "labels.nrrd"))
    with pytest.raises(InputError, match="folder"):
        read_mask(tmp_path)


def test_a_series_of_a_single_file_is_refused(scan: Volume, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no DICOM series"):
        read_volume(written(scan, tmp_path / "scan.nii"), series="1.2.3")


def test_the_real_cts_are_read_without_a_warning(shared_data: Path) -> None:
    for name in ("totalsegmentator-example", "cptac-pda-00189"):
        volume, notices = read_volume(shared_data / "cases" / name / "ct.nii.gz")
        assert volume.array.dtype == np.int16 and notices == []

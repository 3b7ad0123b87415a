"""NIfTI of every kind is read as ITK reads it, and what is written comes back."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from ball_volumes import rotation

from agunetr.inference.reading import read_volume
from agunetr.inference.volume import Volume
from agunetr.inference.writing import write_volume


def _volume(dtype: str, shape: tuple[int, int, int] = (37, 64, 51)) -> Volume:
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(5.0, -8.0, 20.0) * np.array([0.7, 0.8, -2.5])
    matrix[:3, 3] = (12.5, -30.25, 400.0)
    array = np.zeros(shape, dtype)
    array[10:15, 20:40, 5:30] = np.random.default_rng(1).integers(0, 2, (5, 20, 25))
    array[-1, -1, -1] = 1
    return Volume(array, matrix)


def test_a_volume_that_is_not_contiguous_is_written_as_it_is(tmp_path):
    array = np.random.default_rng(3).normal(size=(8, 9, 10)).astype(np.float32)
    path = write_volume(Volume(array.transpose(2, 0, 1)[::-1]), tmp_path / "map.nii.gz")
    np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(path))), array.transpose(2, 0, 1)[::-1])


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", "int32", "float64"])
def test_reading_gives_what_itk_reads(tmp_path, ending, dtype):
    array = np.random.default_rng(4).integers(0, 200, (20, 30, 40)).astype(dtype)
    array[:10] -= np.array(100, dtype) if dtype != "uint8" else np.array(0, dtype)
    image = Volume(array, _volume("uint8").ijk_to_ras).to_sitk()
    path = tmp_path / f"ct{ending}"
    sitk.WriteImage(image, str(path), True)
    volume, _ = read_volume(path)
    np.testing.assert_array_equal(volume.array, array)
    assert volume.same_grid(Volume.from_sitk(sitk.ReadImage(str(path))), 1e-6)


def test_a_file_with_rescaled_voxels_is_rescaled(tmp_path):
    path = tmp_path / "ct.nii"
    sitk.WriteImage(Volume(np.arange(8000, dtype=np.int16).reshape(20, 20, 20)).to_sitk(), str(path))
    raw = bytearray(path.read_bytes())
    raw[112:120] = np.array([2.0, -1000.0], "<f4").tobytes()
    path.write_bytes(raw)
    assert read_volume(path)[0].array[0, 0, 3] == 2 * 3 - 1000


@pytest.mark.parametrize("offset", [0, 348, 352, 400])
def test_voxels_begin_where_itk_finds_them(tmp_path, offset):
    path = tmp_path / "ct.nii"
    sitk.WriteImage(Volume(np.arange(8000, dtype=np.int16).reshape(20, 20, 20)).to_sitk(), str(path))
    raw = bytearray(path.read_bytes())
    raw[108:112] = np.array(offset, "<f4").tobytes()
    path.write_bytes(raw + bytes(48))
    np.testing.assert_array_equal(read_volume(path)[0].array, sitk.GetArrayFromImage(sitk.ReadImage(str(path))))

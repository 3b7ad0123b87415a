"""Results are complete under their final names, or not there; nothing is replaced unless asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from ball_volumes import all_orientations, grid_about, rotation

from agunetr.errors import OutputError
from agunetr.inference import writing
from agunetr.inference.reading import read_mask
from agunetr.inference.volume import Volume
from agunetr.inference.writing import check_output_folder, new_file, write_json, write_segmentation, write_volume

FORMATS = (".nii", ".nii.gz", ".nrrd", ".mha")


@pytest.fixture
def mask() -> Volume:
    grid = grid_about((31.25, -87.5, 1412.75), (20, 24, 18), rotation(5, -9, 14), (0.7421875, 0.7421875, 2.5))
    return grid.with_array(np.random.default_rng(0).integers(0, 2, grid.array.shape).astype(np.uint8))


@pytest.mark.parametrize("ending", FORMATS)
def test_voxels_and_place_are_kept(mask: Volume, ending: str, tmp_path: Path) -> None:
    for directions in all_orientations():
        matrix = mask.ijk_to_ras.copy()
        matrix[:3, :3] = rotation(2, 3, 4) @ directions * mask.spacing_mm
        placed = Volume(mask.array, matrix)
        back = read_mask(write_volume(placed, tmp_path / f"mask{ending}", overwrite=True))
        assert back.same_grid(placed, tolerance_mm=2e-4 if ".nii" in ending else 1e-9)
        assert back.array.dtype == np.uint8 and np.array_equal(back.array, mask.array)


def test_a_mask_of_bool_is_written_as_uint8_and_small(tmp_path: Path) -> None:
    path = write_volume(Volume(np.zeros((60, 60, 60), bool)), tmp_path / "mask.nii.gz")
    image = sitk.ReadImage(str(path))
    assert image.GetPixelID() == sitk.sitkUInt8
    assert path.stat().st_size < 2000


@pytest.mark.parametrize("ending", FORMATS)
def test_nothing_is_replaced_unless_asked(mask: Volume, ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"mask{ending}"
    path.write_text("precious")
    with pytest.raises(OutputError, match="is there already"):
        write_volume(mask, path)
    assert path.read_text() == "precious"
    write_volume(mask, path, overwrite=True)
    assert np.array_equal(read_mask(path).array, mask.array)


def test_wrong_names_and_folders_are_refused(mask: Volume, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no known ending"):
        write_volume(mask, tmp_path / "mask.png")
    with pytest.raises(OutputError, match="no segmentation file name"):
        write_segmentation(mask, tmp_path / "mask.nrrd")
    with pytest.raises(OutputError, match="does not exist"):
        write_volume(mask, tmp_path / "missing" / "mask.nii.gz")
    (tmp_path / "folder.nii.gz").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        write_volume(mask, tmp_path / "folder.nii.gz", overwrite=True)


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode there")
def test_names_that_are_not_utf8_are_refused(mask: Volume, tmp_path: Path) -> None:
    folder = tmp_path / "\udcff"  # ITK would end the process
    folder.mkdir()
    with pytest.raises(OutputError, match="UTF-8"):
        check_output_folder(folder)
    for ending in FORMATS:
        with pytest.raises(OutputError, match="UTF-8"):
            write_volume(mask, folder / f"mask{ending}")
    assert list(folder.iterdir()) == []


def test_an_interrupted_write_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), new_file(tmp_path / "mask.nii.gz") as temporary:
        temporary.write_bytes(b"half")
        assert temporary.name.startswith(".") and temporary.name.endswith(".nii.gz")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    with pytest.raises(OutputError, match="is there already"), new_file(path) as temporary:
        temporary.write_text("ours")
        path.write_text("theirs")
    assert path.read_text() == "theirs" and os.listdir(tmp_path) == ["result.json"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a limit on file sizes")
@pytest.mark.parametrize(("ending", "room"), [*((ending, 20_000) for ending in (*FORMATS, ".json")), (".nii.gz", 0)])
def test_a_full_disk_leaves_nothing(ending: str, room: int, tmp_path: Path) -> None:
    # A limit on the size of files fails in the middle of a write, as a full disk does, or before the first byte.
    program = f"""
import resource, signal
import numpy as np
from agunetr.errors import OutputError
from agunetr.inference.volume import Volume
from agunetr.inference.writing import write_json, write_volume
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({room}, {room}))
noise = np.random.default_rng(0).integers(0, 255, (40, 50, 60)).astype(np.uint8)
try:
    if {ending!r} == ".json":
        write_json(noise.tolist(), {str(tmp_path / "result.json")!r})
    else:
        write_volume(Volume(noise), {str(tmp_path / "mask")!r} + {ending!r})
except OutputError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, encoding="utf-8", timeout=120)
    assert "disk" in done.stdout and done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_json_is_readable_and_knows_numpy(tmp_path: Path) -> None:
    content = {"Ärzte": np.float32(0.5), "n": np.int64(3), "list": np.arange(3), "path": Path("a"), "none": None}
    path = write_json(content, tmp_path / "result.json")
    assert json.loads(path.read_text(encoding="utf-8")) == {
        "Ärzte": 0.5,
        "n": 3,
        "list": [0, 1, 2],
        "path": "a",
        "none": None,
    }
    assert b"\r" not in path.read_bytes() and "Ärzte".encode() in path.read_bytes()
    with pytest.raises(ValueError):
        write_json({"dice": float("nan")}, tmp_path / "nan.json")
    assert not (tmp_path / "nan.json").exists()


def test_a_segmentation_file_holds_slicers_fields(mask: Volume, tmp_path: Path) -> None:
    path = write_segmentation(mask, tmp_path / "spleen.seg.nrrd")
    image = sitk.ReadImage(str(path))
    assert image.GetMetaData("Segment0_Name") == "spleen"
    assert "SCT^78961009^spleen" in image.GetMetaData("Segment0_Tags")
    assert np.allclose(
        [float(part) for part in image.GetMetaData("Segment0_Color").split()],
        np.array([157, 108, 162]) / 255,
        atol=1e-5,
    )
    assert Volume.from_sitk(image).same_grid(mask, 1e-9)


def test_slicer_reads_the_segmentation_file(mask: Volume, tmp_path: Path) -> None:
    pytest.importorskip("slicer")
    import slicer
    import slicer.util
    import vtk

    path = write_segmentation(mask, tmp_path / "Milz 脾.seg.nrrd")
    scene = slicer.vtkMRMLScene()
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "spleen")
    storage = scene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
    storage.SetFileName(str(path))
    assert storage.ReadData(node)
    segmentation = node.GetSegmentation()
    assert segmentation.GetNumberOfSegments() == 1
    segment = segmentation.GetSegment(segmentation.GetNthSegmentID(0))
    assert segment.GetName() == "spleen"
    assert np.allclose(segment.GetColor(), np.array([157, 108, 162]) / 255, atol=1e-5)
    tag = slicer.vtkSegment.GetTerminologyEntryTagName()
    text = vtk.reference("")
    assert segment.GetTag(tag, text) and str(text) == writing.SPLEEN_TERMINOLOGY
    image = slicer.vtkOrientedImageData()
    node.GetBinaryLabelmapRepresentation(segmentation.GetNthSegmentID(0), image)
    assert image.GetScalarRange() == (0.0, 1.0)
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    assert np.allclose(slicer.util.arrayFromVTKMatrix(matrix), mask.ijk_to_ras, atol=1e-6)


def test_output_folders_that_can_be_used_stay_as_they_are(tmp_path: Path) -> None:
    check_output_folder(tmp_path)
    check_output_folder(tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_output_folders_that_cannot_be_used_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OutputError, match=r"does not exist"):
        check_output_folder(tmp_path / "missing" / "results")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="is a file"):
        check_output_folder(tmp_path / "file")
    with pytest.raises(OutputError, match="does not exist"):
        check_output_folder(tmp_path / "file" / "results")
    try:
        (tmp_path / "link").symlink_to(tmp_path / "nothing")
    except OSError:
        pass  # Windows lets only some users make links
    else:
        with pytest.raises(OutputError, match="link to nothing"):
            check_output_folder(tmp_path / "link")
    usage = namedtuple("usage", "total used free")(10**9, 10**9 - 1000, 1000)
    monkeypatch.setattr(writing.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(OutputError, match="is full"):
        check_output_folder(tmp_path)


def test_a_read_only_folder_is_refused(tmp_path: Path, mask: Volume) -> None:
    folder = tmp_path / "read only"
    folder.mkdir()
    folder.chmod(0o555)
    try:
        (folder / "probe").touch()
    except OSError:
        with pytest.raises(OutputError, match="read-only"):
            check_output_folder(folder / "results")
        with pytest.raises(OutputError, match="read-only"):
            write_volume(mask, folder / "mask.nii.gz")
    else:  # the administrator may write everywhere; the kernel's own folder refuses all the same
        (folder / "probe").unlink()
        if not Path("/proc/self").is_dir():
            pytest.skip("nothing is read-only for this user")
        with pytest.raises(OutputError, match="cannot be written"):
            check_output_folder("/proc/results")
    finally:
        folder.chmod(0o755)

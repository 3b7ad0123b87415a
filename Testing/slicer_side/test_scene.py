"""The demo's scene bundle: written, read back, and complete."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("slicer")

import scene as demo_scene
import SimpleITK as sitk
import slicer
import slicer.util
import vtk
from bare_slicer import newScene
from scene_builder import addVolume, ballMask, image, orientationMatrix, writeResult

from AGUNETRSegmentLib.errors import SegmentationError
from AGUNETRSegmentLib.nodes import exportVolume


@pytest.fixture
def files(tmp_path):
    """A CT with a left-handed geometry, which Slicer's reader turns round, and the results for it."""
    matrix = orientationMatrix((0, 1, 2), (-1, -1, -1))
    job = exportVolume(addVolume(newScene(), matrix), tmp_path)
    ct = tmp_path / "Szkoła CT.nii.gz"
    sitk.WriteImage(image(np.random.default_rng(3).integers(-900, 900, (8, 10, 12)).astype(np.int16), matrix), str(ct))
    writeResult(tmp_path / "result", job, ballMask())
    return ct, tmp_path / "result", tmp_path / "demo scene.mrb"


def nodesOf(scene, className) -> list:
    return [scene.GetNthNodeByClass(index, className) for index in range(scene.GetNumberOfNodesByClass(className))]


def test_the_bundle_reads_back_with_everything_in_it(files):
    demo_scene.writeScene(*files)
    scene = demo_scene.readScene(files[2])
    ct, *maps = nodesOf(scene, "vtkMRMLScalarVolumeNode")
    assert ct.GetName() == "CT" and len(maps) == 2
    assert all(node.GetDisplayNode().GetColorNode() is not None for node in maps)
    # The reader flipped an axis, so compare places, not indices.
    original = sitk.ReadImage(str(files[0]))
    matrix = vtk.vtkMatrix4x4()
    ct.GetIJKToRASMatrix(matrix)
    voxels = slicer.util.arrayFromVolume(ct)
    for i, j, k in ((0, 0, 0), (11, 9, 7), (3, 5, 2)):
        right, anterior, superior = matrix.MultiplyPoint((i, j, k, 1))[:3]
        assert voxels[k, j, i] == original[original.TransformPhysicalPointToIndex((-right, -anterior, superior))]
    segmentations = nodesOf(scene, "vtkMRMLSegmentationNode")
    assert len(segmentations) == 2
    for segmentationNode in segmentations:
        assert segmentationNode.GetSegmentation().ContainsRepresentation("Closed surface")
        found = slicer.util.arrayFromSegmentBinaryLabelmap(segmentationNode, "spleen", ct)
        assert found.sum() == ballMask().sum()
    table = nodesOf(scene, "vtkMRMLTableNode")[0]
    assert table.GetTable().GetColumnByName("Volume").GetValue(0) == 123.5
    red = scene.GetNodeByID("vtkMRMLSliceCompositeNodeRed")
    assert red.GetBackgroundVolumeID() == ct.GetID() and not red.GetForegroundVolumeID()


def test_nothing_but_the_bundle_is_left_behind(files):
    before = set(files[2].parent.iterdir())
    demo_scene.writeScene(*files)
    assert set(files[2].parent.iterdir()) - before == {files[2]}


def test_results_of_another_ct_write_nothing(files):
    ct, results, target = files
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((4, 4, 4), np.int16)), str(ct))
    with pytest.raises(SegmentationError):
        demo_scene.writeScene(ct, results, target)
    assert not target.exists()


def test_a_ct_that_is_none(files, tmp_path):
    with pytest.raises(ValueError, match="cannot be read"):
        demo_scene.writeScene(tmp_path / "absent.nii.gz", *files[1:])


def test_the_command_line(files):
    script = Path(demo_scene.__file__)
    run = subprocess.run([sys.executable, str(script), *map(str, files)], capture_output=True, encoding="utf-8")
    assert run.returncode == 0, run.stderr
    assert "2 segmentations, 3 volumes, 1 table" in run.stdout and files[2].is_file()

"""A volume node goes out: voxels and geometry of the written file, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("slicer")

import SimpleITK as sitk
import slicer
import slicer.util
import vtk
from bare_slicer import newScene
from scene_builder import (
    ALL_ORIENTATIONS,
    addTransform,
    addVolume,
    imageMatrix,
    nodeNames,
    orientationMatrix,
    rotation,
)

from AGUNETRSegmentLib.errors import SegmentationError
from AGUNETRSegmentLib.nodes import exportVolume


def worldOf(volumeNode, ijk):
    local = np.zeros(3)
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    local = np.array(matrix.MultiplyPoint((*ijk, 1.0)))[:3]
    world = [0.0, 0.0, 0.0]
    volumeNode.TransformPointToWorld(local.tolist(), world)
    return np.array(world)


def test_every_voxel_is_written_where_slicer_shows_it(tmp_path):
    scene = newScene()
    for orientation in ALL_ORIENTATIONS:
        volumeNode = addVolume(scene, orientationMatrix(*orientation))
        job = exportVolume(volumeNode, tmp_path)
        written = sitk.ReadImage(str(job.path))
        np.testing.assert_array_equal(sitk.GetArrayFromImage(written), slicer.util.arrayFromVolume(volumeNode))
        np.testing.assert_allclose(imageMatrix(written), job.ijkToWorld, atol=1e-9)
        for ijk in ((0, 0, 0), (11, 9, 7), (3, 5, 2)):
            np.testing.assert_allclose(imageMatrix(written) @ [*ijk, 1], [*worldOf(volumeNode, ijk), 1], atol=1e-9)


def test_nested_linear_parents_are_hardened_on_the_copy_only(tmp_path):
    scene = newScene()
    oblique = rotation(25) @ orientationMatrix((1, 0, 2), (-1, 1, 1))
    volumeNode = addVolume(scene, oblique)
    outer, inner = addTransform(scene, rotation(40, (0, 1, 1)), "outer"), addTransform(scene, rotation(-70), "inner")
    shift = np.eye(4)
    shift[:3, 3] = 10, -20, 30
    outer.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(rotation(40, (0, 1, 1)) @ shift))
    inner.SetAndObserveTransformNodeID(outer.GetID())
    volumeNode.SetAndObserveTransformNodeID(inner.GetID())
    before = nodeNames(scene)
    job = exportVolume(volumeNode, tmp_path)
    written = imageMatrix(sitk.ReadImage(str(job.path)))
    for ijk in ((0, 0, 0), (11, 9, 7)):
        np.testing.assert_allclose(written @ [*ijk, 1], [*worldOf(volumeNode, ijk), 1], atol=1e-6)
    assert nodeNames(scene) == before
    assert volumeNode.GetParentTransformNode() is inner
    np.testing.assert_allclose(slicer.util.arrayFromVTKMatrix(_local(volumeNode)), oblique)


def _local(volumeNode):
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    return matrix


def test_a_path_with_spaces_accents_and_other_scripts_works(tmp_path):
    folder = tmp_path / "Übung 脾臓 žluč"
    folder.mkdir()
    job = exportVolume(addVolume(newScene(), orientationMatrix((0, 1, 2), (-1, -1, 1))), folder)
    assert job.path.parent == folder and sitk.ReadImage(str(job.path)).GetSize() == (12, 10, 8)


@pytest.mark.parametrize("scalarType", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64])
def test_the_voxel_type_is_kept(tmp_path, scalarType):
    volumeNode = addVolume(newScene(), np.eye(4))
    slicer.util.updateVolumeFromArray(volumeNode, np.arange(24).reshape(2, 3, 4).astype(scalarType))
    job = exportVolume(volumeNode, tmp_path)
    assert sitk.GetArrayFromImage(sitk.ReadImage(str(job.path))).dtype == scalarType
    assert job.shape == (2, 3, 4)


@pytest.mark.parametrize(("scalarType", "written"), [(np.int8, np.int16), (np.uint64, np.float64)])
def test_a_voxel_type_that_nrrd_cannot_hold_is_converted(tmp_path, scalarType, written):
    volumeNode = addVolume(newScene(), np.eye(4))
    voxels = np.arange(100, 124).reshape(2, 3, 4).astype(scalarType)
    slicer.util.updateVolumeFromArray(volumeNode, voxels)
    array = sitk.GetArrayFromImage(sitk.ReadImage(str(exportVolume(volumeNode, tmp_path).path)))
    assert array.dtype == written and np.array_equal(array, voxels)
    assert slicer.util.arrayFromVolume(volumeNode).dtype == scalarType


def refusal(volumeNode, folder) -> SegmentationError:
    with pytest.raises(SegmentationError) as caught:
        exportVolume(volumeNode, folder)
    assert not list(folder.iterdir())
    assert caught.value.message.endswith(".") and caught.value.remedy.endswith(".")
    return caught.value


def test_refused_nothing_selected(tmp_path):
    assert "No volume" in refusal(None, tmp_path).message


def test_refused_without_voxels(tmp_path):
    scene = newScene()
    assert "no voxels" in refusal(scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty"), tmp_path).message


def test_refused_label_map(tmp_path):
    volumeNode = addVolume(newScene(), np.eye(4), className="vtkMRMLLabelMapVolumeNode")
    assert "not a scalar volume" in refusal(volumeNode, tmp_path).message


def test_refused_colour(tmp_path):
    volumeNode = newScene().AddNewNodeByClass("vtkMRMLVectorVolumeNode", "photo")
    colours = vtk.vtkImageData()
    colours.SetDimensions(3, 3, 3)
    colours.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 3)
    volumeNode.SetAndObserveImageData(colours)
    assert "photo" in refusal(volumeNode, tmp_path).message


def test_refused_bending_transform(tmp_path):
    scene = newScene()
    volumeNode = addVolume(scene, np.eye(4))
    volumeNode.SetAndObserveTransformNodeID(scene.AddNewNodeByClass("vtkMRMLBSplineTransformNode").GetID())
    bspline = vtk.vtkThinPlateSplineTransform()
    points = vtk.vtkPoints()
    for point in ((0, 0, 0), (9, 0, 0), (0, 9, 0), (0, 0, 9)):
        points.InsertNextPoint(point)
    bent = vtk.vtkPoints()
    for point in ((0, 0, 1), (9, 0, 0), (0, 9, 0), (0, 2, 9)):
        bent.InsertNextPoint(point)
    bspline.SetSourceLandmarks(points)
    bspline.SetTargetLandmarks(bent)
    bspline.SetBasisToR()
    volumeNode.GetParentTransformNode().SetAndObserveTransformToParent(bspline)
    assert "bends space" in refusal(volumeNode, tmp_path).message


def test_refused_sheared_by_its_transform(tmp_path):
    scene = newScene()
    volumeNode = addVolume(scene, np.eye(4))
    shear = np.eye(4)
    shear[1, 2] = 0.3
    volumeNode.SetAndObserveTransformNodeID(addTransform(scene, shear).GetID())
    assert "right angles" in refusal(volumeNode, tmp_path).message


def test_refused_when_the_folder_cannot_be_written(tmp_path):
    with pytest.raises(SegmentationError) as caught:
        exportVolume(addVolume(newScene(), np.eye(4)), tmp_path / "absent")
    assert caught.value.kind == "output"

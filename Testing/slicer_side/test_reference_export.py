"""A reference segmentation goes out: the spleen of it, on the CT's voxels, whatever the frames of both."""

from __future__ import annotations

import time

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
    ballMask,
    imageMatrix,
    nodeNames,
    orientationMatrix,
    rotation,
)

from AGUNETRSegmentLib.errors import SegmentationError
from AGUNETRSegmentLib.export_reference import exportReference, prepareReference, spleenSegment
from AGUNETRSegmentLib.segmentation_nodes import addSegmentation
from AGUNETRSegmentLib.terminology import SPLEEN_TERMINOLOGY
from AGUNETRSegmentLib.volume_job import VolumeJob, exportVolume

UPRIGHT = orientationMatrix((0, 1, 2), (-1, -1, 1))


def sceneWithCt(matrix=UPRIGHT):
    scene = newScene()
    return scene, addVolume(scene, matrix)


def addSegments(scene, volumeNode, names, mask=None):
    """A segmentation of that many blocks; the first holds the mask."""
    segmentationNode = addSegmentation(scene, ballMask() if mask is None else mask, volumeNode, "Truth", surface=False)
    segmentation = segmentationNode.GetSegmentation()
    segmentation.GetSegment("spleen").SetName(names[0])
    segmentation.GetSegment("spleen").RemoveTag(slicer.vtkSegment.GetTerminologyEntryTagName())
    for name in names[1:]:
        segmentation.AddEmptySegment("", name)
    return segmentationNode


def exported(tmp_path, segmentationNode, volumeNode):
    job = exportVolume(volumeNode, tmp_path)
    image = sitk.ReadImage(str(exportReference(segmentationNode, job, tmp_path)))
    ct = sitk.ReadImage(str(job.path))
    np.testing.assert_allclose(imageMatrix(image), imageMatrix(ct), atol=1e-6)
    return sitk.GetArrayFromImage(image)


def test_the_mask_stands_on_the_ct_in_every_orientation(tmp_path):
    for number, orientation in enumerate(ALL_ORIENTATIONS[::5]):
        scene, volumeNode = sceneWithCt(rotation(7 * number) @ orientationMatrix(*orientation))
        segmentationNode = addSegmentation(scene, ballMask(), volumeNode, "Truth", surface=False)
        before = nodeNames(scene)
        # The file's axes may be flipped against the node's (the writer keeps them): compare through the CT's file.
        array = exported(tmp_path, segmentationNode, volumeNode)
        np.testing.assert_array_equal(array, ballMask(), err_msg=f"{orientation}")
        assert nodeNames(scene) == before


@pytest.mark.parametrize("moving", ["both", "CT", "reference"])
def test_parent_transforms_of_both_are_applied(tmp_path, moving):
    scene, volumeNode = sceneWithCt()
    transformNode = addTransform(scene, rotation(30))
    segmentationNode = addSegmentation(scene, ballMask(), volumeNode, "Truth", surface=False)
    if moving in ("both", "CT"):
        volumeNode.SetAndObserveTransformNodeID(transformNode.GetID())
    if moving in ("both", "reference"):
        segmentationNode.SetAndObserveTransformNodeID(transformNode.GetID())
    if moving == "CT":  # the reference was drawn where the CT is seen
        segmentationNode.ApplyTransformMatrix(slicer.util.vtkMatrixFromArray(rotation(30)))
    elif moving == "reference":  # it was drawn elsewhere and brought back by its transform
        segmentationNode.ApplyTransformMatrix(slicer.util.vtkMatrixFromArray(np.linalg.inv(rotation(30))))
    np.testing.assert_array_equal(exported(tmp_path, segmentationNode, volumeNode), ballMask())


def test_a_reference_on_a_finer_grid_comes_onto_the_voxels_of_the_ct(tmp_path):
    scene, volumeNode = sceneWithCt()
    fine = UPRIGHT.copy()
    fine[:3, :3] /= 2
    fine[:3, 3] -= fine[:3, :3].sum(axis=1) / 2
    fineNode = addVolume(scene, fine, (16, 20, 24), "fine")
    mask = ballMask().repeat(2, axis=0).repeat(2, axis=1).repeat(2, axis=2)
    segmentationNode = addSegmentation(scene, mask, fineNode, "Truth", surface=False)
    np.testing.assert_array_equal(exported(tmp_path, segmentationNode, volumeNode), ballMask())


def test_preparing_a_large_reference_does_not_hold_up_the_application(tmp_path):
    """A CT of the usual size, and a reference on other voxels: what takes time belongs to the thread that writes."""
    scene = newScene()
    job = VolumeJob(None, "CT", tmp_path / "input.nrrd", (300, 512, 512), np.diag([0.8, 0.8, 1.5, 1.0]))
    mask = np.zeros((200, 300, 300), np.uint8)
    mask[60:120, 100:200, 100:200] = 1
    segmentationNode = addSegmentation(
        scene, mask, addVolume(scene, np.diag([1.3, 1.3, 2.1, 1.0]), mask.shape), "Truth", surface=False)
    started = time.thread_time()
    export = prepareReference(segmentationNode, job, tmp_path)
    assert time.thread_time() - started < 0.1
    export.write()
    image = sitk.ReadImage(str(export.path))
    found = sitk.GetArrayViewFromImage(image).sum(dtype=float) * np.prod(image.GetSpacing())
    assert found == pytest.approx(mask.sum() * 1.3 * 1.3 * 2.1, rel=0.02)


def test_a_surface_is_converted_on_a_copy(tmp_path):
    scene, volumeNode = sceneWithCt()
    sphere = vtk.vtkSphereSource()
    centre = [0.0, 0.0, 0.0, 1.0]
    slicer.util.vtkMatrixFromArray(UPRIGHT).MultiplyPoint((6, 5, 4, 1), centre)
    sphere.SetCenter(centre[:3])
    sphere.SetRadius(3.5)
    sphere.Update()
    segmentationNode = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Surface")
    segmentationNode.SetSourceRepresentationToClosedSurface()
    segmentationNode.AddSegmentFromClosedSurfaceRepresentation(sphere.GetOutput(), "spleen", (1, 0, 0))
    array = exported(tmp_path, segmentationNode, volumeNode)
    # Voxels of 0.8 x 1.1 x 2.5 mm in a ball of 3.5 mm.
    assert array.sum() * 0.8 * 1.1 * 2.5 == pytest.approx(4 / 3 * np.pi * 3.5**3, rel=0.3) and array[4, 5, 6] == 1
    binary = slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName()
    assert not segmentationNode.GetSegmentation().ContainsRepresentation(binary)


def test_an_empty_reference_is_an_empty_mask(tmp_path):
    scene, volumeNode = sceneWithCt()
    segmentationNode = addSegmentation(scene, np.zeros_like(ballMask()), volumeNode, "Truth", surface=False)
    assert not exported(tmp_path, segmentationNode, volumeNode).any()


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["anything"], "anything"),
        (["Spleen", "liver"], "Spleen"),
        (["liver", "spleen", "accessory spleen"], "spleen"),
        (["liver", "Spleen_1"], "Spleen_1"),
    ],
)
def test_which_segment_is_the_spleen(names, found):
    scene, volumeNode = sceneWithCt()
    segmentationNode = addSegments(scene, volumeNode, names)
    segmentId = spleenSegment(segmentationNode)
    assert segmentationNode.GetSegmentation().GetSegment(segmentId).GetName() == found


def test_the_code_says_more_than_the_name():
    scene, volumeNode = sceneWithCt()
    segmentationNode = addSegments(scene, volumeNode, ["old spleen", "Segment_2"])
    segment = segmentationNode.GetSegmentation().GetNthSegment(1)
    segment.SetTag(slicer.vtkSegment.GetTerminologyEntryTagName(), SPLEEN_TERMINOLOGY)
    assert spleenSegment(segmentationNode) == segmentationNode.GetSegmentation().GetNthSegmentID(1)


def refused(tmp_path, segmentationNode, volumeNode):
    job = exportVolume(volumeNode, tmp_path)
    with pytest.raises(SegmentationError) as error:
        exportReference(segmentationNode, job, tmp_path)
    assert error.value.kind == "input" and error.value.remedy.endswith(".")
    return error.value.message


def test_what_cannot_be_the_reference_is_refused_with_a_sentence(tmp_path):
    scene, volumeNode = sceneWithCt()
    assert "no segment" in refused(tmp_path, scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Nothing"), volumeNode)
    assert "which of the 2 segments" in refused(tmp_path, addSegments(scene, volumeNode, ["a", "b"]), volumeNode)
    moved = UPRIGHT.copy()
    moved[0, 3] += 300
    elsewhere = addSegmentation(scene, ballMask(), addVolume(scene, moved, name="other"), "Elsewhere", surface=False)
    assert '100 % of the reference "Elsewhere" lies outside "CT"' in refused(tmp_path, elsewhere, volumeNode)


def test_a_transform_that_bends_space_is_refused(tmp_path):
    scene, volumeNode = sceneWithCt()
    segmentationNode = addSegmentation(scene, ballMask(), volumeNode, "Truth", surface=False)
    transformNode = scene.AddNewNodeByClass("vtkMRMLTransformNode", "Bend")
    spline = vtk.vtkThinPlateSplineTransform()
    transformNode.SetAndObserveTransformToParent(spline)
    segmentationNode.SetAndObserveTransformNodeID(transformNode.GetID())
    assert "bends space" in refused(tmp_path, segmentationNode, volumeNode)

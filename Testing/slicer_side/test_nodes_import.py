"""Results come in: segmentation, attention and table nodes on real MRML, and an import that fails."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("slicer")

import slicer
import slicer.util
import vtk
from bare_slicer import newScene
from scene_builder import (
    ALL_ORIENTATIONS,
    addTransform,
    addVolume,
    ballMask,
    nodeNames,
    orientationMatrix,
    rotation,
    writeResult,
)

from AGUNETRSegmentLib import nodes as nodes_module
from AGUNETRSegmentLib.errors import SegmentationError
from AGUNETRSegmentLib.nodes import ResultImport, exportVolume, importResult


def imported(tmp_path, scene, volumeNode, mask=None, **options):
    job = exportVolume(volumeNode, tmp_path)
    mask = ballMask() if mask is None else mask
    result = writeResult(tmp_path / "result", job, mask, **options)
    return importResult(scene, result, tmp_path / "result", job)


def segmentArray(segmentationNode, volumeNode):
    return slicer.util.arrayFromSegmentBinaryLabelmap(segmentationNode, "spleen", volumeNode)


def test_the_mask_lands_on_its_voxels_in_every_orientation(tmp_path):
    scene = newScene()
    for number, orientation in enumerate(ALL_ORIENTATIONS):
        folder = tmp_path / str(number)
        folder.mkdir()
        volumeNode = addVolume(scene, rotation(number) @ orientationMatrix(*orientation))
        found = imported(folder, scene, volumeNode, models=("compact-base",))
        voxels = segmentArray(found.segmentations["compact-base"], volumeNode)
        np.testing.assert_array_equal(voxels, ballMask(), err_msg=f"{orientation}")


def test_name_terminology_colour_and_reference_geometry(tmp_path):
    scene = newScene()
    volumeNode = addVolume(scene, rotation(20) @ orientationMatrix((0, 1, 2), (-1, -1, 1)))
    segmentationNode = imported(tmp_path, scene, volumeNode).segmentations["compact-base"]
    segment = segmentationNode.GetSegmentation().GetSegment("spleen")
    assert segment.GetName() == "spleen"
    assert [round(255 * value) for value in segment.GetColor()] == [157, 108, 162]
    entry = slicer.vtkSlicerTerminologyEntry()
    tag = vtk.reference("")
    assert segment.GetTag(slicer.vtkSegment.GetTerminologyEntryTagName(), tag)
    assert slicer.vtkSlicerTerminologiesModuleLogic().DeserializeTerminologyEntry(str(tag), entry)
    code = entry.GetTypeObject()
    assert (code.GetCodingSchemeDesignator(), code.GetCodeValue()) == ("SCT", "78961009")
    role = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
    assert segmentationNode.GetNodeReference(role) is volumeNode
    geometry = slicer.vtkOrientedImageData()
    serialised = segmentationNode.GetSegmentation().GetConversionParameter(
        slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName())
    slicer.vtkSegmentationConverter.DeserializeImageGeometry(serialised, geometry, False)
    assert geometry.GetDimensions() == volumeNode.GetImageData().GetDimensions()
    assert segmentationNode.GetDisplayNode() is not None
    assert segmentationNode.GetAttribute("AGUNETR.model") == "compact-base"
    assert segmentationNode.GetAttribute("AGUNETR.checksum") == "0" * 64


def test_the_closed_surface_stands_where_the_mask_is(tmp_path):
    scene = newScene()
    volumeNode = addVolume(scene, orientationMatrix((0, 1, 2), (-1, -1, 1)))
    segmentationNode = imported(tmp_path, scene, volumeNode).segmentations["compact-gated"]
    surface = vtk.vtkPolyData()
    assert segmentationNode.GetClosedSurfaceRepresentation("spleen", surface) and surface.GetNumberOfPoints() > 0
    bounds = np.array(surface.GetBounds()).reshape(3, 2).mean(axis=1)
    k, j, i = (np.mean([voxels.min(), voxels.max()]) for voxels in np.nonzero(ballMask()))
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    np.testing.assert_allclose(bounds, matrix.MultiplyPoint((i, j, k, 1))[:3], atol=1.5)


def test_results_follow_the_transform_of_the_volume(tmp_path):
    scene = newScene()
    volumeNode = addVolume(scene, orientationMatrix((0, 1, 2), (-1, -1, 1)))
    transformNode = addTransform(scene, rotation(30))
    volumeNode.SetAndObserveTransformNodeID(transformNode.GetID())
    found = imported(tmp_path, scene, volumeNode)
    for node in (*found.segmentations.values(), *found.attention.values()):
        assert node.GetParentTransformNode() is transformNode
    np.testing.assert_array_equal(segmentArray(found.segmentations["compact-base"], volumeNode), ballMask())


@pytest.mark.parametrize("change", ["move", "harden", "remove transform"])
def test_a_volume_that_moved_meanwhile_keeps_its_results(tmp_path, change):
    scene = newScene()
    volumeNode = addVolume(scene, orientationMatrix((0, 1, 2), (-1, -1, 1)))
    transformNode = addTransform(scene, rotation(30))
    volumeNode.SetAndObserveTransformNodeID(transformNode.GetID())
    job = exportVolume(volumeNode, tmp_path)
    result = writeResult(tmp_path / "result", job, ballMask())
    if change == "move":
        transformNode.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(rotation(-55, (3, 1, 0))))
    elif change == "harden":
        volumeNode.HardenTransform()
    else:
        volumeNode.SetAndObserveTransformNodeID(None)
    found = importResult(scene, result, tmp_path / "result", job)
    np.testing.assert_array_equal(segmentArray(found.segmentations["compact-base"], volumeNode), ballMask())
    # The map's first voxel was written at the volume's first voxel: they must still coincide in world.
    mapWorld, volumeWorld = (worldOrigin(node) for node in (found.attention["compact-gated", "enc1"], volumeNode))
    np.testing.assert_allclose(mapWorld, volumeWorld, atol=1e-3)


def worldOrigin(volumeNode):
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    world = [0.0, 0.0, 0.0]
    volumeNode.TransformPointToWorld(matrix.MultiplyPoint((0, 0, 0, 1))[:3], world)
    return world


def test_a_volume_that_was_deleted_meanwhile_leaves_results_in_world(tmp_path):
    scene = newScene()
    volumeNode = addVolume(scene, orientationMatrix((0, 1, 2), (-1, -1, 1)))
    volumeNode.SetAndObserveTransformNodeID(addTransform(scene, rotation(30)).GetID())
    job = exportVolume(volumeNode, tmp_path)
    result = writeResult(tmp_path / "result", job, ballMask())
    scene.RemoveNode(volumeNode)
    found = importResult(scene, result, tmp_path / "result", job)
    segmentationNode = found.segmentations["compact-base"]
    assert segmentationNode.GetParentTransformNode() is None
    again = addVolume(scene, job.ijkToWorld, name="again")
    np.testing.assert_array_equal(segmentArray(segmentationNode, again), ballMask())


def test_attention_maps_are_heat_coloured_on_a_fixed_scale(tmp_path):
    scene = newScene()
    found = imported(tmp_path, scene, addVolume(scene, orientationMatrix((0, 1, 2), (-1, -1, 1))))
    assert set(found.attention) == {("compact-gated", "enc1"), ("compact-gated", "enc2")}
    node = found.attention["compact-gated", "enc2"]
    values = slicer.util.arrayFromVolume(node)
    assert values.shape == (6, 5, 4) and values.dtype == np.float32 and values.max() == pytest.approx(1)
    np.testing.assert_allclose(node.GetSpacing(), (2, 2, 2), atol=1e-5)
    display = node.GetDisplayNode()
    assert not display.GetAutoWindowLevel() and (display.GetWindowLevelMin(), display.GetWindowLevelMax()) == (0, 1)
    assert display.GetColorNode() is not None and node.GetAttribute("AGUNETR.gate") == "enc2"


def test_the_table_names_units_and_keeps_undefined_undefined(tmp_path):
    scene = newScene()
    volumeNode = addVolume(scene, orientationMatrix((0, 1, 2), (-1, -1, 1)))
    table = imported(tmp_path, scene, volumeNode).table
    assert table.GetNumberOfRows() == 2
    columns = [table.GetColumnName(index) for index in range(table.GetNumberOfColumns())]
    assert columns[:5] == ["Model", "Volume", "Voxels", "Longest axis", "Mean density"]
    assert table.GetColumnUnitLabel("Volume") == "ml"
    assert table.GetUseColumnTitleAsColumnHeader()
    units = {"Volume": " (ml)", "Longest axis": " (mm)", "Mean density": " (HU)"}
    assert [table.GetColumnTitle(name) for name in columns] == [name + units.get(name, "") for name in columns]
    assert table.GetTable().GetColumnByName("Volume").GetValue(1) == 124.5
    assert table.GetTable().GetColumnByName("Dice with compact-base").GetValue(1) == 0.875
    assert table.GetTable().GetColumnByName("Dice with compact-base").GetValue(0) == 1.0


def test_an_empty_mask_gives_an_empty_segment_and_says_so(tmp_path):
    scene = newScene()
    volumeNode = addVolume(scene, orientationMatrix((0, 1, 2), (-1, -1, 1)))
    found = imported(tmp_path, scene, volumeNode, mask=np.zeros((8, 10, 12), np.uint8))
    segmentationNode = found.segmentations["compact-base"]
    assert segmentationNode.GetSegmentation().GetNumberOfSegments() == 1
    assert not np.any(segmentArray(segmentationNode, volumeNode))
    assert math.isnan(found.table.GetTable().GetColumnByName("Mean density").GetValue(0))
    assert "No spleen" in found.table.GetTable().GetColumnByName("Warnings").GetValue(0)


def test_results_stand_beside_the_ct_in_its_study(tmp_path):
    scene = newScene()
    volumeNode = addVolume(scene, orientationMatrix((0, 1, 2), (-1, -1, 1)))
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    patient = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), "Patient")
    study = hierarchy.CreateStudyItem(patient, "Study")
    hierarchy.CreateItem(study, volumeNode)
    for node in imported(tmp_path, scene, volumeNode).nodes():
        assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) == study, node.GetName()


def test_running_again_makes_new_nodes_and_overwrites_nothing(tmp_path):
    scene = newScene()
    volumeNode = addVolume(scene, orientationMatrix((0, 1, 2), (-1, -1, 1)))
    job = exportVolume(volumeNode, tmp_path)
    result = writeResult(tmp_path / "result", job, ballMask())
    first = importResult(scene, result, tmp_path / "result", job)
    other = writeResult(tmp_path / "other", job, np.zeros((8, 10, 12), np.uint8))
    second = importResult(scene, other, tmp_path / "other", job)
    names = [node.GetName() for node in (*first.nodes(), *second.nodes())]
    assert len(set(names)) == len(names)
    np.testing.assert_array_equal(segmentArray(first.segmentations["compact-base"], volumeNode), ballMask())


def failing(*arguments, **options):
    raise RuntimeError("the table could not be made")


@pytest.mark.parametrize("fault", [
    "missing mask", "truncated mask", "other grid", "other shape", "missing map", "no models", "format", "path", "late",
])
def test_a_failed_import_leaves_the_scene_as_it_was(tmp_path, monkeypatch, fault):
    scene = newScene()
    volumeNode = addVolume(scene, orientationMatrix((0, 1, 2), (-1, -1, 1)))
    slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    job = exportVolume(volumeNode, tmp_path)
    folder = tmp_path / "result"
    result = writeResult(folder, job, ballMask())
    mask = folder / "compact-gated.nii.gz"
    if fault == "missing mask":
        mask.unlink()
    elif fault == "truncated mask":
        mask.write_bytes(mask.read_bytes()[:40])
    elif fault in ("other grid", "other shape"):
        moved = job.ijkToWorld.copy()
        moved[0, 3] += 0.5
        wrong = type(job)(job.volumeNode, job.volumeName, job.path, job.shape, moved)
        shape = (8, 10, 12) if fault == "other grid" else (8, 10, 11)
        writeResult(tmp_path / "wrong", wrong if fault == "other grid" else job, ballMask()[:, :, :shape[2]])
        mask.write_bytes((tmp_path / "wrong" / "compact-gated.nii.gz").read_bytes())
    elif fault == "missing map":
        (folder / "compact-gated_enc2.nii.gz").unlink()
    elif fault == "no models":
        del result["models"]
    elif fault == "format":
        result["format"] = 99
    elif fault == "path":
        result["models"][0]["mask"] = "../result/compact-base.nii.gz"
    else:
        monkeypatch.setattr(nodes_module, "addMeasurementTable", failing)
    before = nodeNames(scene)
    with pytest.raises(RuntimeError if fault == "late" else SegmentationError):
        importResult(scene, result, folder, job)
    assert nodeNames(scene) == before


def test_a_node_is_complete_when_it_comes(tmp_path):
    """A change of a segmentation or a volume of the scene makes the application draw all its views again."""
    scene, changes = newScene(), []
    volumeNode = addVolume(scene, rotation(20) @ orientationMatrix((0, 1, 2), (-1, -1, 1)))

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def onAdded(_scene, _event, node):
        if node.GetAttribute("AGUNETR.run"):
            assert node.GetNodeReferenceID("AGUNETR.inputVolume") == volumeNode.GetID()
            assert node.GetAttribute("AGUNETR.model") or node.IsA("vtkMRMLTableNode")
            node.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda caller, _event: changes.append(caller.GetName()))

    scene.AddObserver(scene.NodeAddedEvent, onAdded)
    found = imported(tmp_path, scene, volumeNode)
    assert found.nodes()
    assert len(changes) <= 2 * len(found.nodes()), changes  # display node and place in the subject hierarchy


def test_the_results_come_one_node_a_step_and_can_be_undone(tmp_path):
    scene = newScene()
    job = exportVolume(addVolume(scene, rotation(20) @ orientationMatrix((0, 1, 2), (-1, -1, 1))), tmp_path)
    result = writeResult(tmp_path / "result", job, ballMask())
    before, work, added = nodeNames(scene), ResultImport(scene, result, tmp_path / "result", job), []
    found = None
    while found is None:
        known = scene.GetNumberOfNodes()
        found = work.step()
        added.append(scene.GetNumberOfNodes() - known)
    assert len(found.nodes()) < len(added) + 1 and max(added) <= 3  # a node, its display node and its item
    work.undo()
    assert nodeNames(scene) == before

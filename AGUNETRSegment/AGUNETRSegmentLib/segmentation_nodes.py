"""Masks become segmentation nodes: the spleen with its terminology and colour, in the CT's reference geometry."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import slicer
import slicer.util
import vtk
from vtk.util import numpy_support

from .terminology import SPLEEN_COLOUR, SPLEEN_NAME, SPLEEN_TERMINOLOGY


def addSegmentation(scene, mask: np.ndarray, referenceVolume, name: str, surface: bool = True,
                    colour: tuple[float, float, float] = SPLEEN_COLOUR,
                    firstVoxel: tuple[int, int, int] = (0, 0, 0), polyData=None, mark: Callable | None = None):
    """Add a segmentation node with one segment, the spleen.

    :param mask: uint8, ``(k, j, i)``, on the voxels of *referenceVolume*, all of them or a box.
    :param referenceVolume: the volume whose geometry and parent transform the segmentation takes over. It may stand
      outside the scene, then only its geometry is taken.
    :param name: the node's name, already unique.
    :param surface: also make the closed surface for 3D views (none is made of an empty mask).
    :param colour: red, green and blue, 0 to 1; another than the spleen's own tells models apart.
    :param firstVoxel: where in *referenceVolume* the mask begins, ``(i, j, k)``.
    :param polyData: that surface where it is already made, in the frame of *referenceVolume*; None: it is made here.
    :param mark: takes the node before it comes into the scene, to say in its attributes where it is from.
    :returns: the ``vtkMRMLSegmentationNode``.
    """
    # Whatever changes in a segmentation of the scene, all views look at it anew: it is complete when it comes.
    segmentationNode = slicer.vtkMRMLSegmentationNode()
    segmentationNode.SetName(name)
    if mark:
        mark(segmentationNode)
    segmentation = segmentationNode.GetSegmentation()
    segmentation.SetConversionParameter(
        slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName(), _geometry(referenceVolume))
    if referenceVolume.GetScene() is scene:
        segmentationNode.SetAndObserveTransformNodeID(referenceVolume.GetTransformNodeID())
        segmentationNode.SetNodeReferenceID(
            segmentationNode.GetReferenceImageGeometryReferenceRole(), referenceVolume.GetID())
    segment = slicer.vtkSegment()
    segment.SetName(SPLEEN_NAME)
    segment.SetColor(*colour)
    segment.SetTag(slicer.vtkSegment.GetTerminologyEntryTagName(), SPLEEN_TERMINOLOGY)
    segment.AddRepresentation(
        slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName(),
        _labelmap(mask, referenceVolume, firstVoxel))
    if surface and polyData is not None:
        segment.AddRepresentation(
            slicer.vtkSegmentationConverter.GetSegmentationClosedSurfaceRepresentationName(), polyData)
    segmentation.AddSegment(segment, SPLEEN_NAME)
    scene.AddNode(segmentationNode)
    segmentationNode.CreateDefaultDisplayNodes()
    if surface and polyData is None and mask.any():
        segmentationNode.CreateClosedSurfaceRepresentation()
    return segmentationNode


def _geometry(volumeNode) -> str:
    """A volume's voxels in its own frame, as segmentations keep them; the segmentation stands in the same frame."""
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    return slicer.vtkSegmentationConverter.SerializeImageGeometry(matrix, volumeNode.GetImageData())


def _labelmap(mask: np.ndarray, referenceVolume, firstVoxel: tuple[int, int, int]):
    """The mask's bounding box as an oriented image; the extent says where in the volume it stands."""
    bounds = _bounds(mask)
    matrix = vtk.vtkMatrix4x4()
    referenceVolume.GetIJKToRASMatrix(matrix)
    labelmap = slicer.vtkOrientedImageData()
    if bounds is None:
        labelmap.SetExtent(0, -1, 0, -1, 0, -1)
    else:
        (k0, k1), (j0, j1), (i0, i1) = bounds
        i, j, k = firstVoxel
        labelmap.SetExtent(i + i0, i + i1, j + j0, j + j1, k + k0, k + k1)
        voxels = np.ascontiguousarray(mask[k0:k1 + 1, j0:j1 + 1, i0:i1 + 1])
        scalars = numpy_support.numpy_to_vtk(voxels.ravel(), deep=True, array_type=vtk.VTK_UNSIGNED_CHAR)
        scalars.SetName("ImageScalars")
        labelmap.GetPointData().SetScalars(scalars)
    labelmap.SetImageToWorldMatrix(matrix)
    return labelmap


def _bounds(mask: np.ndarray) -> list[tuple[int, int]] | None:
    bounds = []
    for axis in range(3):
        found = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
        if found.size == 0:
            return None
        bounds.append((int(found[0]), int(found[-1])))
    return bounds

"""The disagreement of two segmentations as a segmentation node of its own: two segments, one for each side."""

from __future__ import annotations

import numpy as np
import slicer
import slicer.util
import vtk
from vtk.util import numpy_support

from .comparison import DIFFERENCE
from .comparison_layout import SIDE_COLOURS
from .disagreement import Disagreement
from .segment_masks import CommonMasks
from .translation import _

SEGMENT_IDS = ("onlyFirst", "onlySecond")


def differenceNode(scene):
    """The node of the difference that is shown, None where there is none."""
    for index in range(scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")):
        node = scene.GetNthNodeByClass(index, "vtkMRMLSegmentationNode")
        if node.GetAttribute(DIFFERENCE):
            return node
    return None


def addDifference(scene, masks: CommonMasks, found: Disagreement, names, viewIds):
    """Show what two segmentations do not have in common; a difference that was shown before goes.

    It is made anew for every comparison and not saved with the scene.

    :param names: of the first and of the second segmentation, for the segments.
    :param viewIds: the views that show it; it has no surface.
    :returns: the ``vtkMRMLSegmentationNode``.
    """
    removeDifference(scene)
    node = slicer.vtkMRMLSegmentationNode()
    node.SetName(_("Difference"))
    node.SetAttribute(DIFFERENCE, "yes")
    node.SetSaveWithScene(False)
    scene.AddNode(node)
    node.CreateDefaultDisplayNodes()
    displayNode = node.GetDisplayNode()
    displayNode.SetSaveWithScene(False)
    displayNode.SetViewNodeIDs(list(viewIds))
    displayNode.SetVisibility3D(False)
    displayNode.SetVisibility2DFill(True)
    displayNode.SetVisibility2DOutline(False)
    displayNode.SetOpacity2DFill(0.6)
    node.SetAndObserveTransformNodeID(masks.frameNode.GetTransformNodeID())
    for segmentId, name, mask, colour in zip(
        SEGMENT_IDS, names, (found.onlyFirst, found.onlySecond), SIDE_COLOURS, strict=True
    ):
        segment = slicer.vtkSegment()
        segment.SetName(_("Only {name}").format(name=name))
        segment.SetColor(*colour)
        segment.AddRepresentation(
            slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName(), _image(masks, mask))
        node.GetSegmentation().AddSegment(segment, segmentId)
    return node


def removeDifference(scene) -> None:
    """Take the difference out of the scene, where there is one."""
    node = differenceNode(scene)
    if node:
        displayNode = node.GetDisplayNode()
        scene.RemoveNode(node)
        if displayNode and displayNode.GetScene() is scene:
            scene.RemoveNode(displayNode)


def _image(masks: CommonMasks, mask: np.ndarray):
    image = slicer.vtkOrientedImageData()
    depth, height, width = mask.shape
    if mask.size:
        i, j, k = masks.offset
        image.SetExtent(i, i + width - 1, j, j + height - 1, k, k + depth - 1)
        scalars = numpy_support.numpy_to_vtk(
            np.ascontiguousarray(mask, np.uint8).ravel(), deep=True, array_type=vtk.VTK_UNSIGNED_CHAR)
        scalars.SetName("ImageScalars")
        image.GetPointData().SetScalars(scalars)
    else:
        image.SetExtent(0, -1, 0, -1, 0, -1)
    image.SetImageToWorldMatrix(slicer.util.vtkMatrixFromArray(masks.ijkToRas))
    return image

"""Bringing a run's results before the user's eyes: which segmentations are visible, where the slices are."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import slicer

from .attention_view import sliceCompositeNodes
from .comparison_layout import VIEW_NAMES
from .result_sets import ResultSet, resultSets
from .terminology import SPLEEN_NAME


def showOnly(scene, shown: ResultSet) -> None:
    """Make the segmentations of one run visible and those of all other runs invisible.

    What is drawn of each segmentation (fill, outline, surface) stays as the user set it, and so does everything that
    no run made.
    """
    for resultSet in resultSets(scene):
        for segmentationNode in resultSet.segmentations.values():
            displayNode = segmentationNode.GetDisplayNode()
            if displayNode:
                displayNode.SetVisibility(resultSet.run == shown.run)


def showVolume(scene, volumeNode, applicationLogic=None) -> None:
    """Bring a CT into the slice views where none of them shows it; the views of the comparison are left alone.

    :param volumeNode: None: nothing happens.
    :param applicationLogic: gives the slice logics that fit the CT into the views; None: views are not fitted.
    """
    composites = [node for node in sliceCompositeNodes(scene) if node.GetLayoutName() not in VIEW_NAMES]
    if volumeNode is None or any(
            volumeNode.GetID() in (node.GetBackgroundVolumeID(), node.GetForegroundVolumeID()) for node in composites):
        return
    for node in composites:
        node.SetBackgroundVolumeID(volumeNode.GetID())
        logic = applicationLogic.GetSliceLogicByLayoutName(node.GetLayoutName()) if applicationLogic else None
        if logic:
            logic.FitSliceToBackground()


def jumpToOrgan(scene, segmentationNodes) -> bool:
    """Move all slice views to the middle of the first segmentation in which something was found.

    :returns: whether there was one.
    """
    jumps = jumpsToOrgan(scene, segmentationNodes)
    for jump in jumps:
        jump()
    return bool(jumps)


def jumpsToOrgan(scene, segmentationNodes) -> list[Callable[[], None]]:
    """The same as one call a slice view, none where nothing was found: each draws its view anew, and takes its time."""
    centre = next((centre for centre in map(organCentre, segmentationNodes) if centre), None)
    if centre is None:
        return []
    count = scene.GetNumberOfNodesByClass("vtkMRMLSliceNode")
    sliceNodes = [scene.GetNthNodeByClass(index, "vtkMRMLSliceNode") for index in range(count)]
    # Offset, not centre: the slices change, the place in the view that the user zoomed to does not.
    return [partial(sliceNode.JumpSliceByOffsetting, *centre) for sliceNode in sliceNodes]


def organCentre(segmentationNode) -> tuple[float, float, float] | None:
    """The middle of the spleen in world RAS; None where it is empty or was removed from the segmentation."""
    if segmentationNode.GetSegmentation().GetSegment(SPLEEN_NAME) is None:
        return None
    labelmap = slicer.vtkOrientedImageData()
    if not segmentationNode.GetBinaryLabelmapRepresentation(SPLEEN_NAME, labelmap) or labelmap.IsEmpty():
        return None
    centre = segmentationNode.GetSegmentCenterRAS(SPLEEN_NAME)
    return tuple(centre) if centre else None

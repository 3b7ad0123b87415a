"""From one difference to the next: the slice views jump there, and a sentence says what is seen."""

from __future__ import annotations

import numpy as np
import slicer.util

from .disagreement import Disagreement, disagreement
from .geometry import localMatrix
from .segment_masks import CommonMasks, commonMasks, segmentLabelmap
from .translation import _


class DifferenceTour:
    """The differences of two segmentations, the largest first, then from the beginning again.

    :param firstNode: a segmentation node.
    :param secondNode: another one.
    :param volumeNode: the CT on whose voxels they are compared, or None.
    :raises SegmentationError: kind ``input``, where one holds no segment.
    """

    def __init__(self, firstNode, secondNode, volumeNode=None) -> None:
        self.nodes = (firstNode, secondNode)
        self.volumeNode = volumeNode
        self.masks: CommonMasks = commonMasks(firstNode, secondNode, volumeNode)
        self.found: Disagreement = disagreement(self.masks.first, self.masks.second, self.masks.voxelMl)
        self._state = self._nodesState()
        self._next = 0

    def isCurrent(self, firstNode, secondNode) -> bool:
        """Whether this is still the difference of these two: nobody edited or moved one since."""
        return self.nodes == (firstNode, secondNode) and self._state == self._nodesState()

    def summary(self, names) -> str:
        """All differences in one sentence.

        :param names: what the two segmentations are called.
        """
        millilitres = [float(mask.sum()) * self.masks.voxelMl for mask in (self.found.onlyFirst, self.found.onlySecond)]
        if not any(millilitres):
            return _("{first} and {second} mark the same voxels.").format(first=names[0], second=names[1])
        return _("Only {first}: {firstMl:.1f} ml. Only {second}: {secondMl:.1f} ml.").format(
            first=names[0], firstMl=millilitres[0], second=names[1], secondMl=millilitres[1])

    def next(self, scene, names, sliceNodes=None) -> str:
        """Show the next difference.

        :param sliceNodes: the slice views that show it; None: all of them.
        :returns: which of how many it is, how large, and which segmentation marks it.
        """
        regions = self.found.regions
        if not regions:
            return self.summary(names)
        number = self._next % len(regions)
        region = regions[number]
        self._next = number + 1
        jumpSlices(scene, self.masks.world(region.centre), sliceNodes)
        text = _("Difference {number} of {count}: {volume:.2f} ml that only {name} marks.").format(
            number=number + 1, count=len(regions), volume=region.voxels * self.masks.voxelMl, name=names[region.side])
        if self.found.smaller and number + 1 == len(regions):
            text += " " + _("{count} smaller ones are not visited.").format(count=self.found.smaller)
        return text

    def _nodesState(self) -> tuple:
        state = [_segmentState(node) for node in self.nodes]
        if self.volumeNode is not None:
            state.append((localMatrix(self.volumeNode).tobytes(), _transformState(self.volumeNode)))
        return tuple(state)


def _segmentState(segmentationNode) -> tuple:
    """What changes whenever the compared segment is edited, replaced or moved."""
    image, label = segmentLabelmap(segmentationNode)
    return image.GetMTime(), label, _transformState(segmentationNode)


def _transformState(node) -> tuple:
    transformNode = node.GetParentTransformNode()
    return node.GetTransformNodeID(), transformNode.GetTransformToWorldMTime() if transformNode else 0


def jumpSlices(scene, position, sliceNodes=None) -> None:
    """Show a world position in slice views; one that is zoomed in elsewhere is centred on it, others stay put.

    :param sliceNodes: None: all of the scene.
    """
    if sliceNodes is None:
        count = scene.GetNumberOfNodesByClass("vtkMRMLSliceNode")
        sliceNodes = [scene.GetNthNodeByClass(index, "vtkMRMLSliceNode") for index in range(count)]
    for sliceNode in sliceNodes:
        sliceNode.JumpSliceByOffsetting(*position)
        if not _isInView(sliceNode, position):
            sliceNode.JumpSliceByCentering(*position)


def _isInView(sliceNode, position) -> bool:
    toView = np.linalg.inv(slicer.util.arrayFromVTKMatrix(sliceNode.GetXYToRAS()))
    across, up = (toView @ [*position, 1.0])[:2]
    width, height = sliceNode.GetDimensions()[:2]
    return 0 <= across < width and 0 <= up < height

"""The frames of a sequence whose current one is shown by a volume."""

from __future__ import annotations

from dataclasses import dataclass

import slicer


@dataclass(frozen=True)
class FrameSource:
    """A sequence of volumes behind the volume that the scene shows.

    :ivar browserNode: the sequence browser that plays it.
    :ivar sequenceNode: the sequence.
    """

    browserNode: object
    sequenceNode: object

    @property
    def count(self) -> int:
        """How many frames there are."""
        return self.sequenceNode.GetNumberOfDataNodes()

    def frames(self) -> list:
        """The volumes, in order; they are in no scene of the user."""
        return [self.sequenceNode.GetNthDataNode(index) for index in range(self.count)]

    @staticmethod
    def of(volumeNode) -> FrameSource | None:
        """The sequence that *volumeNode* is a frame of, None where it is none."""
        scene = volumeNode.GetScene()
        # Without the module Sequences there is no such class, and no sequence either.
        if scene is None or not hasattr(slicer, "vtkMRMLSequenceBrowserNode"):
            return None
        for index in range(scene.GetNumberOfNodesByClass("vtkMRMLSequenceBrowserNode")):
            browserNode = scene.GetNthNodeByClass(index, "vtkMRMLSequenceBrowserNode")
            sequenceNode = browserNode.GetSequenceNode(volumeNode)
            if sequenceNode and sequenceNode.GetNumberOfDataNodes() > 1:
                return FrameSource(browserNode, sequenceNode)
        return None

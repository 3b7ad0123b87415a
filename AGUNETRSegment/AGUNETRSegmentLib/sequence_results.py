"""The results of a sequence's frames become sequences that play along with it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import slicer.util

from .nodes import ImportedResult, ResultImport
from .scene_changes import Additions
from .sequence_frames import FrameSource
from .translation import _
from .volume_job import VolumeJob


@dataclass(frozen=True)
class FrameResult:
    """What the worker answered for one frame.

    :ivar job: the frame as it was exported.
    :ivar result: the parsed ``result.json``.
    :ivar folder: the folder of the files that it names.
    :ivar models: what :func:`.result_files.readResult` gave; None where the files are still to be read.
    """

    job: VolumeJob
    result: dict
    folder: Path
    models: list | None = None


class FrameImport:
    """Adds the results of all the frames to the scene: of each segmentation, map and table a sequence.

    One node a call, so that a long sequence does not hold up the application.

    :param source: the sequence that was segmented; its browser plays the results, too.
    :param frames: in the order of the sequence.
    :param surface: make closed surfaces for 3D views.
    :ivar shown: index of the frame that the browser shows.
    """

    def __init__(self, scene, source: FrameSource, frames: list[FrameResult], surface: bool) -> None:
        self._scene, self._source, self._frames, self._surface = scene, source, frames, surface
        self.shown = min(max(0, source.browserNode.GetSelectedItemNumber()), len(frames) - 1)
        # The shown frame first: its nodes have the names without a number.
        self._order = [self.shown, *(index for index in range(len(frames)) if index != self.shown)]
        self._additions = Additions(scene)
        self._sequences: list = []
        self._first: ImportedResult | None = None
        self._import: ResultImport | None = None  # of the frame whose turn it is

    def step(self) -> ImportedResult | None:
        """Add the next node.

        :returns: None until all are there, then the nodes of the frame that is shown; the browser changes what they
          hold.
        :raises SegmentationError: kind ``result``; call :meth:`undo`.
        """
        with self._additions.noted():
            if self._import is None:
                frame, run = self._frames[self._order[0]], self._first.run if self._first else ""
                self._import = ResultImport(
                    self._scene, frame.result, frame.folder, frame.job, self._surface, models=frame.models, run=run)
            imported = self._import.step()
            if imported is None:
                return None
            self._import = None
            self._keep(self._order.pop(0), imported)
            if self._order:
                return None
            browserNode = self._source.browserNode
            # In one change, or the browser would make nodes of its own between the two steps.
            with slicer.util.NodeModify(browserNode):
                for sequenceNode, node in zip(self._sequences, self._first.nodes(), strict=True):
                    browserNode.AddSynchronizedSequenceNode(sequenceNode)
                    browserNode.AddProxyNode(node, sequenceNode, False)
        return self._first

    def undo(self) -> None:
        """Leave the scene as it was."""
        self._additions.remove()

    def _keep(self, index: int, imported: ImportedResult) -> None:
        """Put a frame's nodes into the sequences; those of the shown frame stay in the scene, too."""
        if self._first is None:
            self._first = imported
            self._sequences = [_addSequence(self._scene, self._source, node) for node in imported.nodes()]
        for sequenceNode, node in zip(self._sequences, imported.nodes(), strict=True):
            sequenceNode.SetDataNodeAtValue(node, self._source.sequenceNode.GetNthIndexValue(index))
        if imported is not self._first:
            for node in imported.nodes():
                self._scene.RemoveNode(node)


def mergedResult(frames: list[FrameResult], shown: int) -> dict:
    """The result of the shown frame, with the warnings of all and the number of frames.

    :param shown: index of the frame.
    """
    warnings = [warning for frame in frames for warning in frame.result.get("warnings") or []]
    return {**frames[shown].result, "warnings": warnings, "frames": len(frames)}


def _addSequence(scene, source: FrameSource, node):
    sequenceNode = scene.AddNewNodeByClass(
        "vtkMRMLSequenceNode", scene.GenerateUniqueName(_("{name} sequence").format(name=node.GetName())))
    sequenceNode.SetIndexName(source.sequenceNode.GetIndexName())
    sequenceNode.SetIndexUnit(source.sequenceNode.GetIndexUnit())
    sequenceNode.SetIndexType(source.sequenceNode.GetIndexType())
    return sequenceNode

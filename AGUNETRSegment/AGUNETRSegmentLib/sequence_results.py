"""The results of a sequence's frames become sequences that play along with it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import slicer.util

from .nodes import ImportedResult, importResult
from .result_sets import RUN
from .scene_changes import allOrNothing
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


def importFrames(scene, source: FrameSource, frames: list[FrameResult], surface: bool) -> ImportedResult:
    """Add the results of all the frames to the scene: of each segmentation, map and table a sequence.

    :param source: the sequence that was segmented; its browser plays the results, too.
    :param frames: in the order of the sequence.
    :param surface: make closed surfaces for 3D views.
    :returns: the nodes of the frame that is shown; the browser changes what they hold.
    :raises SegmentationError: kind ``result``; the scene is then as it was.
    """
    shown = min(max(0, source.browserNode.GetSelectedItemNumber()), len(frames) - 1)
    # The shown frame first: its nodes have the names without a number.
    order = [shown, *(index for index in range(len(frames)) if index != shown)]
    sequences, first = [], None
    with allOrNothing(scene):
        for index in order:
            frame = frames[index]
            imported = importResult(scene, frame.result, frame.folder, frame.job, surface, models=frame.models)
            if first is None:
                first = imported
                sequences = [_addSequence(scene, source, node) for node in imported.nodes()]
            for sequenceNode, node in zip(sequences, imported.nodes(), strict=True):
                node.SetAttribute(RUN, first.run)
                sequenceNode.SetDataNodeAtValue(node, source.sequenceNode.GetNthIndexValue(index))
            if imported is not first:
                for node in imported.nodes():
                    scene.RemoveNode(node)
        # In one change, or the browser would make nodes of its own between the two steps.
        with slicer.util.NodeModify(source.browserNode):
            for sequenceNode, node in zip(sequences, first.nodes(), strict=True):
                source.browserNode.AddSynchronizedSequenceNode(sequenceNode)
                source.browserNode.AddProxyNode(node, sequenceNode, False)
    return first


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

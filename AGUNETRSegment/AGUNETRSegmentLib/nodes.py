"""Between the scene and a job folder: a volume node goes out, segmentations, attention maps and a table come in.

.. code-block:: python

    job = exportVolume(volumeNode, folder)                        # writes folder/input.nrrd
    ...                                                           # the worker writes masks and maps into folder/result
    imported = importResult(slicer.mrmlScene, result, folder / "result", job)
    imported.segmentations["compact-gated"]                       # vtkMRMLSegmentationNode

Results take the volume's frame: they stand under its parent transform, on its voxels, beside it in the subject
hierarchy. That holds even when the user moved, transformed or hardened the volume while the job ran, since the voxels
say where the organ is. If the volume left the scene meanwhile, results stand in world coordinates, as exported.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import slicer

from .attention_nodes import addAttentionVolume
from .geometry import localMatrix, setLocalMatrix
from .measurement_table import addMeasurementTable
from .result_files import AttentionMap, ModelResult, readResult
from .result_sets import CHECKSUM, GATE, INPUT_ROLE, MODEL, REFERENCE, RUN, VERSION, VOLUME, newRun
from .scene_changes import Additions
from .segmentation_nodes import addSegmentation
from .subject_hierarchy import placeBeside
from .terminology import modelColour
from .translation import _
from .volume_job import VolumeJob, exportVolume

__all__ = ["ImportedResult", "ResultImport", "VolumeJob", "exportVolume", "importResult", "surfaceMatrix"]


@dataclass
class ImportedResult:
    """The nodes that one result became.

    :ivar run: the id that all of them carry; :func:`.result_sets.resultSets` finds them by it.
    :ivar segmentations: by model name, in the order of the result.
    :ivar attention: by (model name, gate name).
    :ivar table: the measurements.
    """

    run: str = ""
    segmentations: dict[str, object] = field(default_factory=dict)
    attention: dict[tuple[str, str], object] = field(default_factory=dict)
    table: object = None

    def nodes(self) -> list:
        """All of them."""
        return [*self.segmentations.values(), *self.attention.values(), *([self.table] if self.table else [])]


def surfaceMatrix(job: VolumeJob) -> np.ndarray:
    """The volume's IJK to RAS matrix as it is now, for the surfaces that :func:`.result_files.readResult` makes."""
    return localMatrix(job.volumeNode)


def importResult(scene, result: dict, folder: Path, job: VolumeJob, surface: bool = True,
                 referenceName: str = "", models: list[ModelResult] | None = None) -> ImportedResult:
    """Add a finished job's results to the scene at once; arguments and errors are those of :class:`ResultImport`."""
    resultImport = ResultImport(scene, result, folder, job, surface, referenceName, models)
    try:
        imported = None
        while imported is None:
            imported = resultImport.step()
    except BaseException:
        resultImport.undo()
        raise
    return imported


class ResultImport:
    """Adds a finished job's results to the scene as new nodes; nothing that exists is changed.

    One node a call, since each makes the application look at all its views anew.

    :param scene: the MRML scene.
    :param result: the parsed ``result.json``.
    :param folder: the folder of the files that it names.
    :param job: what :func:`exportVolume` gave for the volume.
    :param surface: make closed surfaces for 3D views.
    :param referenceName: of the segmentation that the models were scored against; empty where there was none.
    :param models: what :func:`.result_files.readResult` gave where the files were read already; None: they are read
      here.
    :param run: the id that the nodes carry; empty: a new one.
    :raises SegmentationError: kind ``result``.
    """

    def __init__(self, scene, result: dict, folder: Path, job: VolumeJob, surface: bool = True,
                 referenceName: str = "", models: list[ModelResult] | None = None, run: str = "") -> None:
        self._scene, self._result, self._job, self._surface = scene, result, job, surface
        self._referenceName = referenceName
        self._models = readResult(result, folder, job) if models is None else models
        self._imported = ImportedResult(run or newRun(scene))
        self._additions = Additions(scene)
        self._work = self._addNodes()

    def step(self) -> ImportedResult | None:
        """Add the next node.

        :returns: None until all are there.
        :raises Exception: it could not be added; call :meth:`undo`.
        """
        with self._additions.noted():
            return next(self._work)

    def undo(self) -> None:
        """Leave the scene as it was."""
        self._additions.remove()

    def _addNodes(self):
        imported, job = self._imported, self._job
        for modelResult in self._models:
            imported.segmentations[modelResult.name] = self._addSegmentation(modelResult)
            yield
            for attentionMap in modelResult.attention:
                imported.attention[modelResult.name, attentionMap.gate] = self._addMap(modelResult, attentionMap)
                yield
        name = self._scene.GenerateUniqueName(_("{volume} measurements").format(volume=job.volumeName))
        imported.table = addMeasurementTable(self._scene, self._result, name, self._mark)
        yield
        reference = self._reference()
        if reference.GetScene() is self._scene:
            for node in imported.nodes():  # last: an item that was made for the volume would outlive a failure
                placeBeside(self._scene, node, reference)
        yield imported

    def _mark(self, node, modelResult: ModelResult | None = None) -> None:
        """Note on a node where it is from. Before it is in the scene, where each note would cost milliseconds."""
        node.SetAttribute(RUN, self._imported.run)
        node.SetAttribute(VOLUME, self._job.volumeName)
        node.SetAttribute(VERSION, str(self._result.get("agunetr_version", "")))
        if modelResult:
            node.SetAttribute(MODEL, modelResult.name)
            node.SetAttribute(CHECKSUM, str(modelResult.entry.get("checksum", "")))
        elif self._referenceName:
            node.SetAttribute(REFERENCE, self._referenceName)
        reference = self._reference()
        if reference.GetScene() is self._scene:
            node.SetNodeReferenceID(INPUT_ROLE, reference.GetID())

    def _reference(self):
        return _referenceVolume(self._scene, self._job)

    def _addSegmentation(self, modelResult: ModelResult):
        reference, made = self._reference(), modelResult.surface
        # Not where the volume was moved since: Slicer then makes another.
        fits = made is not None and np.allclose(made.ijkToRas, localMatrix(reference), atol=1e-6)
        name = self._scene.GenerateUniqueName(_("{volume} {model} spleen").format(
            volume=self._job.volumeName, model=modelResult.name))

        def mark(node) -> None:
            self._mark(node, modelResult)
            node.SetDescription(modelResult.title)

        return addSegmentation(
            self._scene, modelResult.mask, reference, name, self._surface,
            modelColour(len(self._imported.segmentations)), modelResult.firstVoxel, made.polyData if fits else None,
            mark)

    def _addMap(self, modelResult: ModelResult, attentionMap: AttentionMap):
        reference = self._reference()
        # From world at the time of export to the frame that the volume has now.
        worldToLocal = localMatrix(reference) @ np.linalg.inv(self._job.ijkToWorld)
        name = self._scene.GenerateUniqueName(_("{volume} {model} attention {gate}").format(
            volume=self._job.volumeName, model=modelResult.name, gate=attentionMap.gate))
        volumeNode = slicer.vtkMRMLScalarVolumeNode()
        volumeNode.SetAndObserveImageData(attentionMap.image)
        setLocalMatrix(volumeNode, worldToLocal @ attentionMap.ijkToWorld)
        # Before it is in the scene: selectors that offer maps alone look at it once it is.
        volumeNode.SetAttribute(GATE, attentionMap.gate)
        self._mark(volumeNode, modelResult)
        if reference.GetScene() is self._scene:
            volumeNode.SetAndObserveTransformNodeID(reference.GetTransformNodeID())
        return addAttentionVolume(self._scene, volumeNode, name)


def _referenceVolume(scene, job: VolumeJob):
    """The job's volume where its voxels are still in the scene, else a stand-in outside the scene, placed in world."""
    volumeNode = job.volumeNode
    image = volumeNode.GetImageData()
    if volumeNode.GetScene() is scene and image is not None and image.GetDimensions() == job.shape[::-1]:
        return volumeNode
    standIn = slicer.vtkMRMLScalarVolumeNode()
    image = slicer.vtkOrientedImageData()
    image.SetDimensions(*job.shape[::-1])
    standIn.SetAndObserveImageData(image)
    setLocalMatrix(standIn, job.ijkToWorld)
    return standIn

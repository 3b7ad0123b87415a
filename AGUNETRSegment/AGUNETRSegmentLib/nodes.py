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
from .result_files import ModelResult, readResult
from .result_sets import CHECKSUM, GATE, INPUT_ROLE, MODEL, REFERENCE, RUN, VERSION, VOLUME, newRun
from .scene_changes import allOrNothing
from .segmentation_nodes import addSegmentation
from .subject_hierarchy import placeBeside
from .terminology import modelColour
from .translation import _
from .volume_job import VolumeJob, exportVolume

__all__ = ["ImportedResult", "VolumeJob", "exportVolume", "importResult", "surfaceMatrix"]


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
    """Add a finished job's results to the scene as new nodes; nothing that exists is changed.

    :param scene: the MRML scene.
    :param result: the parsed ``result.json``.
    :param folder: the folder of the files that it names.
    :param job: what :func:`exportVolume` gave for the volume.
    :param surface: make closed surfaces for 3D views.
    :param referenceName: of the segmentation that the models were scored against; empty where there was none.
    :param models: what :func:`.result_files.readResult` gave where the files were read already; None: they are read
      here.
    :raises SegmentationError: kind ``result``; the scene is then as it was.
    """
    modelResults = readResult(result, folder, job) if models is None else models
    with allOrNothing(scene):
        reference = _referenceVolume(scene, job)
        inScene = reference.GetScene() is scene
        # From world at the time of export to the frame that the volume has now.
        worldToLocal = localMatrix(reference) @ np.linalg.inv(job.ijkToWorld)
        imported = ImportedResult(newRun(scene))
        for modelResult in modelResults:
            _importModel(scene, modelResult, reference, worldToLocal, job, surface, imported)
        imported.table = addMeasurementTable(
            scene, result, scene.GenerateUniqueName(_("{volume} measurements").format(volume=job.volumeName)))
        if referenceName:
            imported.table.SetAttribute(REFERENCE, referenceName)
        for node in imported.nodes():
            node.SetAttribute(RUN, imported.run)
            node.SetAttribute(VOLUME, job.volumeName)
            node.SetAttribute(VERSION, str(result.get("agunetr_version", "")))
            if inScene:
                node.SetNodeReferenceID(INPUT_ROLE, reference.GetID())
        if inScene:  # last, because an item that was made for the volume would outlive a failure
            for node in imported.nodes():
                placeBeside(scene, node, reference)
    return imported


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


def _importModel(scene, modelResult: ModelResult, reference, worldToLocal, job: VolumeJob, surface: bool,
                 imported: ImportedResult) -> None:
    name = scene.GenerateUniqueName(_("{volume} {model} spleen").format(
        volume=job.volumeName, model=modelResult.name))
    colour = modelColour(len(imported.segmentations))
    made = modelResult.surface
    # Not where the volume was moved since: Slicer then makes another.
    fits = made is not None and np.allclose(made.ijkToRas, localMatrix(reference), atol=1e-6)
    segmentationNode = addSegmentation(
        scene, modelResult.mask, reference, name, surface, colour, modelResult.firstVoxel,
        made.polyData if fits else None)
    segmentationNode.SetDescription(modelResult.title)
    imported.segmentations[modelResult.name] = segmentationNode
    for attentionMap in modelResult.attention:
        name = scene.GenerateUniqueName(_("{volume} {model} attention {gate}").format(
            volume=job.volumeName, model=modelResult.name, gate=attentionMap.gate))
        volumeNode = slicer.vtkMRMLScalarVolumeNode()
        volumeNode.SetAndObserveImageData(attentionMap.image)
        setLocalMatrix(volumeNode, worldToLocal @ attentionMap.ijkToWorld)
        # Before it is in the scene: selectors that offer maps alone look at it once it is.
        volumeNode.SetAttribute(GATE, attentionMap.gate)
        addAttentionVolume(scene, volumeNode, name)
        if reference.GetScene() is scene:
            volumeNode.SetAndObserveTransformNodeID(reference.GetTransformNodeID())
        imported.attention[modelResult.name, attentionMap.gate] = volumeNode
    modelNodes = [segmentationNode, *(imported.attention[modelResult.name, m.gate] for m in modelResult.attention)]
    for node in modelNodes:
        node.SetAttribute(MODEL, modelResult.name)
        node.SetAttribute(CHECKSUM, str(modelResult.entry.get("checksum", "")))

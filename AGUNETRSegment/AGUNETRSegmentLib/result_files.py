"""The files of a finished job, read and checked before anything touches the scene."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import slicer
import slicer.util

from .errors import SegmentationError
from .geometry import localMatrix, onLattice
from .translation import _
from .volume_job import VolumeJob

RESULT_FORMAT = 1


@dataclass(frozen=True)
class AttentionMap:
    """One gate's map: values in 0..1 as a volume node outside any scene, placed in world RAS."""

    gate: str
    volumeNode: object


@dataclass(frozen=True)
class ModelResult:
    """What one model found.

    :ivar entry: the model's entry of ``result.json`` (name, checksum, volume_ml ...).
    :ivar mask: uint8, ``(k, j, i)``, on the voxels of the job's volume.
    :ivar attention: one map a gate, empty where none was asked for.
    """

    entry: dict
    mask: np.ndarray
    attention: list[AttentionMap] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.entry["name"]

    @property
    def title(self) -> str:
        return self.entry.get("title") or self.name


def readResult(result: dict, folder: Path, job: VolumeJob) -> list[ModelResult]:
    """Read masks and attention maps that ``result.json`` names.

    :param result: the parsed ``result.json``, as the worker's ``result`` event carries it.
    :param folder: where its files are.
    :param job: the job that was asked for; every mask must stand on its voxels.
    :raises SegmentationError: kind ``result`` when a file is missing, unreadable or on another grid.
    """
    if result.get("format") != RESULT_FORMAT:
        raise _unusable(_('The result has format {found}, this module reads format {expected}.').format(
            found=result.get("format"), expected=RESULT_FORMAT))
    try:
        return [_readModel(entry, Path(folder), job) for entry in result["models"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise _unusable(_("The result lacks an entry: {problem}.").format(problem=error)) from error


def _readModel(entry: dict, folder: Path, job: VolumeJob) -> ModelResult:
    volumeNode = _readVolume(folder, entry["mask"])
    mask = onLattice(slicer.util.arrayFromVolume(volumeNode), localMatrix(volumeNode), job.ijkToWorld, job.shape)
    if mask is None:
        raise _unusable(_('The mask "{file}" does not stand on the voxels of "{volume}".').format(
            file=entry["mask"], volume=job.volumeName))
    attention = [
        AttentionMap(gate, _readVolume(folder, fileName)) for gate, fileName in (entry.get("attention") or {}).items()
    ]
    # A copy, so that the reader's image is freed and any flip of axes is done once.
    return ModelResult(entry, np.ascontiguousarray(mask != 0, dtype=np.uint8), attention)


def _readVolume(folder: Path, fileName: str):
    path = folder / fileName
    if Path(fileName).name != fileName or not path.is_file():
        raise _unusable(_('The result file "{file}" is missing.').format(file=fileName))
    volumeNode = slicer.vtkMRMLScalarVolumeNode()
    storageNode = slicer.vtkMRMLVolumeArchetypeStorageNode()
    storageNode.SetFileName(str(path))
    storageNode.SetCenterImage(0)
    storageNode.SetSingleFile(1)  # else files with similar names beside it are taken for further slices
    if not storageNode.ReadData(volumeNode) or volumeNode.GetImageData() is None:
        raise _unusable(_('The result file "{file}" cannot be read.').format(file=fileName))
    return volumeNode


def _unusable(message: str) -> SegmentationError:
    return SegmentationError("result", message, _("Nothing was added to the scene; please run the segmentation again."))

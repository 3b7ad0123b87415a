"""The files of a finished job, read and checked before anything touches the scene; may be done in any thread."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from vtk.util import numpy_support

from .closed_surface import closedSurface
from .errors import SegmentationError
from .geometry import onLattice
from .image_files import readImage
from .translation import _
from .volume_job import VolumeJob

RESULT_FORMAT = 1


@dataclass(frozen=True)
class AttentionMap:
    """One gate's map.

    :ivar image: values in 0..1, a ``vtkImageData``.
    :ivar ijkToWorld: 4x4, mm.
    """

    gate: str
    image: object
    ijkToWorld: np.ndarray


@dataclass(frozen=True)
class Surface:
    """The closed surface of a mask.

    :ivar polyData: a ``vtkPolyData`` in RAS.
    :ivar ijkToRas: of the volume that it was made for, 4x4, mm.
    """

    polyData: object
    ijkToRas: np.ndarray


@dataclass(frozen=True)
class ModelResult:
    """What one model found.

    :ivar entry: the model's entry of ``result.json`` (name, checksum, volume_ml ...).
    :ivar mask: uint8, 0 and 1, ``(k, j, i)``: the box of the job's volume that holds the organ; of size 0 where
      nothing was found.
    :ivar firstVoxel: where that box begins, ``(i, j, k)``.
    :ivar surface: None where none was asked for or nothing was found.
    :ivar attention: one map a gate, empty where none was asked for.
    """

    entry: dict
    mask: np.ndarray
    firstVoxel: tuple[int, int, int] = (0, 0, 0)
    surface: Surface | None = None
    attention: list[AttentionMap] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.entry["name"]

    @property
    def title(self) -> str:
        return self.entry.get("title") or self.name


def readResult(result: dict, folder: Path, job: VolumeJob, surfacesOn: np.ndarray | None = None) -> list[ModelResult]:
    """Read masks and attention maps that ``result.json`` names.

    :param result: the parsed ``result.json``, as the worker's ``result`` event carries it.
    :param folder: where its files are.
    :param job: the job that was asked for; every mask must stand on its voxels.
    :param surfacesOn: the IJK to RAS matrix for which closed surfaces are made, too; None: none are made.
    :raises SegmentationError: kind ``result`` when a file is missing, unreadable or on another grid.
    """
    if result.get("format") != RESULT_FORMAT:
        raise _unusable(_('The result has format {found}, this module reads format {expected}.').format(
            found=result.get("format"), expected=RESULT_FORMAT))
    try:
        return [_readModel(entry, Path(folder), job, surfacesOn) for entry in result["models"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise _unusable(_("The result lacks an entry: {problem}.").format(problem=error)) from error


def _readModel(entry: dict, folder: Path, job: VolumeJob, surfacesOn: np.ndarray | None) -> ModelResult:
    image, ijkToWorld = _read(folder, entry["mask"])
    voxels = numpy_support.vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1])
    mask = onLattice(voxels, ijkToWorld, job.ijkToWorld, job.shape)
    if mask is None:
        raise _unusable(_('The mask "{file}" does not stand on the voxels of "{volume}".').format(
            file=entry["mask"], volume=job.volumeName))
    mask, firstVoxel = _cutToOrgan(mask)
    surface = None
    if surfacesOn is not None and mask.size:
        surface = Surface(closedSurface(mask, firstVoxel, surfacesOn), surfacesOn)
    attention = [
        AttentionMap(gate, *_read(folder, fileName)) for gate, fileName in (entry.get("attention") or {}).items()]
    return ModelResult(entry, mask, firstVoxel, surface, attention)


def _cutToOrgan(mask: np.ndarray) -> tuple[np.ndarray, tuple[int, int, int]]:
    """The box of all voxels that are not 0, as a copy of 0 and 1, and where it begins, ``(i, j, k)``."""
    box = []
    for axis in range(3):  # each cut makes the next search shorter
        found = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
        if found.size == 0:
            return np.zeros((0, 0, 0), np.uint8), (0, 0, 0)
        box.append(int(found[0]))
        mask = mask[(slice(None),) * axis + (slice(found[0], found[-1] + 1),)]
    return np.ascontiguousarray(mask != 0, dtype=np.uint8), tuple(reversed(box))


def _read(folder: Path, fileName: str) -> tuple[object, np.ndarray]:
    path = folder / fileName
    if Path(fileName).name != fileName or not path.is_file():
        raise _unusable(_('The result file "{file}" is missing.').format(file=fileName))
    found = readImage(path)
    if found is None:
        raise _unusable(_('The result file "{file}" cannot be read.').format(file=fileName))
    return found


def _unusable(message: str) -> SegmentationError:
    return SegmentationError("result", message, _("Nothing was added to the scene; please run the segmentation again."))

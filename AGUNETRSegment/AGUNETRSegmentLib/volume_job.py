"""A volume node becomes the input file of a job."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import vtk

from .errors import SegmentationError
from .geometry import isOrthogonal, localMatrix, parentMatrix
from .image_files import writeNrrd
from .translation import _

# The NRRD writer knows no signed char and no 64-bit integers; what is written in their place.
WRITTEN_AS = {
    vtk.VTK_SIGNED_CHAR: vtk.VTK_SHORT,
    **dict.fromkeys(
        (vtk.VTK_LONG, vtk.VTK_UNSIGNED_LONG, vtk.VTK_LONG_LONG, vtk.VTK_UNSIGNED_LONG_LONG, vtk.VTK_ID_TYPE),
        vtk.VTK_DOUBLE),
}


@dataclass(frozen=True)
class VolumeJob:
    """What has to be remembered of a volume node while the worker is busy with its voxels.

    :ivar volumeNode: the node itself; it may leave the scene before the result comes.
    :ivar volumeName: its name when the job began.
    :ivar path: the written file, NRRD.
    :ivar shape: voxels, ``(k, j, i)``.
    :ivar ijkToWorld: 4x4, mm: the node's geometry with its parent transforms applied, as written to the file.
    """

    volumeNode: object
    volumeName: str
    path: Path
    shape: tuple[int, int, int]
    ijkToWorld: np.ndarray


def exportVolume(volumeNode, folder: Path, frame=None) -> VolumeJob:
    """Write a volume node to ``input.nrrd`` in *folder*, parent transforms hardened in the file.

    Arguments and errors are those of :func:`prepareExport`, and ``output`` when writing failed.
    """
    export = prepareExport(volumeNode, folder, frame)
    export.write()
    return export.job


@dataclass(frozen=True)
class VolumeExport:
    """A volume node's voxels on their way into the file of a job.

    :ivar job: what remains of the node when it is written.
    :ivar image: shares the voxels with the node, so nothing is duplicated in memory and the node may go.
    """

    job: VolumeJob
    image: object

    def write(self) -> None:
        """Write the file; may be called in any thread.

        Only voxels of a type that NRRD files cannot hold are converted.

        :raises SegmentationError: kind ``output``.
        """
        if not writeNrrd(_writableImage(self.image), self.job.ijkToWorld, self.job.path):
            raise SegmentationError(
                "output",
                _('The volume could not be written to "{path}".').format(path=self.job.path),
                _("Check that the temporary folder (Edit > Application Settings > Modules) is writable and not full."))


def prepareExport(volumeNode, folder: Path, frame=None) -> VolumeExport:
    """Check a volume node and take what is to be written; the scene does not change.

    :param volumeNode: a single-component scalar volume; linear parent transforms are applied.
    :param folder: an existing folder.
    :param frame: a volume outside the scene whose voxels and geometry are written in place of the node's own: a frame
      of the sequence that the node shows.
    :raises SegmentationError: kind ``input`` when the node cannot be segmented.
    """
    ijkToWorld = checkVolume(volumeNode, frame)
    image = (frame or volumeNode).GetImageData()
    shared = vtk.vtkImageData()
    shared.SetDimensions(image.GetDimensions())
    shared.GetPointData().SetScalars(image.GetPointData().GetScalars())
    path = Path(folder) / "input.nrrd"
    columns, rows, slices = image.GetDimensions()
    job = VolumeJob(volumeNode, volumeNode.GetName() or "volume", path, (slices, rows, columns), ijkToWorld)
    return VolumeExport(job, shared)


def _writableImage(image):
    if image.GetScalarType() not in WRITTEN_AS:
        return image
    cast = vtk.vtkImageCast()
    cast.SetInputData(image)
    cast.SetOutputScalarType(WRITTEN_AS[image.GetScalarType()])
    cast.Update()
    return cast.GetOutput()


def checkVolume(volumeNode, frame=None) -> np.ndarray:
    """Refuse a volume that cannot be segmented; the arguments and the error are those of :func:`prepareExport`.

    :returns: 4x4 IJK to world, mm.
    """
    _refuseUnsuitable(volumeNode, frame)
    ijkToWorld = parentMatrix(volumeNode) @ localMatrix(frame or volumeNode)
    if not isOrthogonal(ijkToWorld):
        raise SegmentationError(
            "input",
            _('The voxel axes of "{name}" are not at right angles (tilted gantry or a shearing transform).').format(
                name=volumeNode.GetName()),
            _('Resample it first with "Crop Volume", then segment the new volume.'))
    return ijkToWorld


def _refuseUnsuitable(volumeNode, frame) -> None:
    if volumeNode is None:
        raise SegmentationError("input", _("No volume is selected."), _("Load a CT and select it as input."))
    name = volumeNode.GetName()
    if not volumeNode.IsA("vtkMRMLScalarVolumeNode") or volumeNode.IsA("vtkMRMLTensorVolumeNode") \
            or volumeNode.IsA("vtkMRMLLabelMapVolumeNode"):
        raise SegmentationError(
            "input", _('"{name}" is not a scalar volume.').format(name=name), _("Select the CT itself."))
    image = (frame or volumeNode).GetImageData()
    if image is None or image.GetNumberOfPoints() == 0 or image.GetPointData().GetScalars() is None:
        raise SegmentationError(
            "input", _('"{name}" holds no voxels.').format(name=name), _("Load the CT again."))
    if image.GetNumberOfScalarComponents() != 1:
        raise SegmentationError(
            "input",
            _('"{name}" has {count} components a voxel (colour?).').format(
                name=name, count=image.GetNumberOfScalarComponents()),
            _("Select a CT with one value a voxel."))
    transformNode = volumeNode.GetParentTransformNode()
    if transformNode and not transformNode.IsTransformToWorldLinear():
        raise SegmentationError(
            "input",
            _('"{name}" is under a transform that bends space.').format(name=name),
            _("Harden the transform on the volume (right-click it in the Data module), then segment it."))

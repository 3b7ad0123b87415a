"""The spleen of a reference segmentation becomes a mask file on the voxels of a job's CT."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import slicer
import slicer.util
import vtk
from vtk.util import numpy_support

from .errors import SegmentationError
from .geometry import parentMatrix
from .image_files import writeNrrd
from .terminology import SPLEEN_CODE, SPLEEN_NAME
from .translation import _
from .volume_job import VolumeJob

MOST_OUTSIDE = 0.01  # a larger share of the segment outside the CT means that it was drawn on another one


def spleenSegment(segmentationNode) -> str:
    """The id of the segment that is the spleen: the only one, else by SNOMED code, else by name.

    :raises SegmentationError: kind ``input`` when there is none, or no telling which.
    """
    segmentation = segmentationNode.GetSegmentation()
    ids = list(segmentation.GetSegmentIDs())
    name = segmentationNode.GetName()
    if not ids:
        raise SegmentationError(
            "input", _('The reference "{name}" has no segment.').format(name=name),
            _("Select another reference segmentation, or none."))
    if len(ids) == 1:
        return ids[0]
    titles = {segmentId: segmentation.GetSegment(segmentId).GetName().strip().casefold() for segmentId in ids}
    for candidates in (
        [segmentId for segmentId in ids if _isSpleenByCode(segmentation.GetSegment(segmentId))],
        [segmentId for segmentId in ids if titles[segmentId] == SPLEEN_NAME],
        [segmentId for segmentId in ids if SPLEEN_NAME in titles[segmentId]],
    ):
        if len(candidates) == 1:
            return candidates[0]
    raise SegmentationError(
        "input",
        _('It cannot be told which of the {count} segments of the reference "{name}" is the spleen.').format(
            count=len(ids), name=name),
        _('Name exactly one of them "spleen".'))


def exportReference(segmentationNode, job: VolumeJob, folder: Path) -> Path:
    """Write the spleen of a reference segmentation to ``reference.nrrd`` in *folder*, on the voxels of the job's CT.

    The parent transforms of both are applied, as for the CT itself; the scene does not change.

    :param segmentationNode: a ``vtkMRMLSegmentationNode``, of whatever representation.
    :param job: what :func:`.volume_job.exportVolume` gave for the CT.
    :param folder: an existing folder.
    :raises SegmentationError: kind ``input`` when there is no spleen in it, it lies elsewhere or under a transform that
      bends space, ``output`` when writing failed.
    """
    export = prepareReference(segmentationNode, job, folder)
    export.write()
    return export.path


@dataclass(frozen=True)
class ReferenceExport:
    """A reference on its way into its file.

    :ivar job: the CT's.
    :ivar path: the file.
    :ivar name: the segmentation's, for error messages.
    :ivar voxels: the voxels of the labelmap that holds the segment, ``(k, j, i)``, shared with the node.
    :ivar label: the segment's value in it.
    :ivar toCt: 4x4, indices ``(i, j, k, 1)`` of *voxels* to those of the CT.
    """

    job: VolumeJob
    path: Path
    name: str
    voxels: np.ndarray
    label: int
    toCt: np.ndarray

    def write(self) -> None:
        """Write the file; may be called in any thread, where it lets others run.

        :raises SegmentationError: kind ``output``, or ``input`` when the reference lies elsewhere.
        """
        mask = np.zeros(self.job.shape, np.uint8)
        found = _cutToSegment(self.voxels == self.label)
        if found is not None:
            first, box = found
            toCt = self.toCt @ _translation(first)
            _refuseOutside(_shareOutside(box, toCt, self.job.shape), self.name, self.job)
            low, inside = _onCt(box, toCt, self.job.shape)
            mask[tuple(slice(start, start + size) for start, size in zip(low, inside.shape, strict=True))] = inside
        if not writeNrrd(_imageOf(mask), self.job.ijkToWorld, self.path):
            raise SegmentationError(
                "output",
                _('The reference could not be written to "{path}".').format(path=self.path),
                _("Check that the temporary folder (Edit > Application Settings > Modules) is writable and not full."))


def prepareReference(segmentationNode, job: VolumeJob, folder: Path) -> ReferenceExport:
    """Take what is to be written, at once however large it is; arguments and errors are :func:`exportReference`'s."""
    name = segmentationNode.GetName()
    transformNode = segmentationNode.GetParentTransformNode()
    if transformNode and not transformNode.IsTransformToWorldLinear():
        raise SegmentationError(
            "input",
            _('The reference "{name}" is under a transform that bends space.').format(name=name),
            _("Harden the transform on it (right-click it in the Data module), or select no reference."))
    segment, labelmap = _binaryLabelmap(segmentationNode, spleenSegment(segmentationNode), job)
    scalars = labelmap.GetPointData().GetScalars() if labelmap else None
    if scalars is None or labelmap.IsEmpty():
        return ReferenceExport(job, Path(folder) / "reference.nrrd", name, np.zeros((0, 0, 0)), 1, np.eye(4))
    voxels = numpy_support.vtk_to_numpy(scalars).reshape(labelmap.GetDimensions()[::-1])
    toWorld = parentMatrix(segmentationNode) @ _imageToWorld(labelmap) @ _translation(labelmap.GetExtent()[::2])
    return ReferenceExport(
        job, Path(folder) / "reference.nrrd", name, voxels, segment.GetLabelValue(),
        np.linalg.inv(job.ijkToWorld) @ toWorld)


def _binaryLabelmap(segmentationNode, segmentId: str, job: VolumeJob) -> tuple[object, object]:
    """A segment and its binary labelmap, None where it is empty; nothing is copied.

    Where the node has none, it is made on a copy, so that the node stays as it is: of a surface, around it alone.
    """
    binary = slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName()
    segmentation = segmentationNode.GetSegmentation()
    if not segmentation.ContainsRepresentation(binary):
        copy = slicer.vtkSegmentation()
        copy.SetSourceRepresentationName(segmentation.GetSourceRepresentationName())
        copy.SetConversionParameter(
            slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName(),
            slicer.vtkSegmentationConverter.SerializeImageGeometry(_geometryOf(job, segmentationNode)))
        if not copy.CopySegmentFromSegmentation(segmentation, segmentId) or not copy.CreateRepresentation(binary):
            raise SegmentationError(
                "input",
                _('The reference "{name}" cannot be converted to voxels.').format(name=segmentationNode.GetName()),
                _("Make its binary labelmap in the Segmentations module, or select no reference."))
        segmentation = copy
    segment = segmentation.GetSegment(segmentId)
    return segment, segment.GetRepresentation(binary)


def _geometryOf(job: VolumeJob, segmentationNode):
    """The CT's voxels, without values, as the segmentation's own frame sees them."""
    geometry = slicer.vtkOrientedImageData()
    geometry.SetDimensions(*job.shape[::-1])
    matrix = np.linalg.inv(parentMatrix(segmentationNode)) @ job.ijkToWorld
    geometry.SetImageToWorldMatrix(slicer.util.vtkMatrixFromArray(matrix))
    return geometry


def _cutToSegment(mask: np.ndarray) -> tuple[tuple[int, int, int], np.ndarray] | None:
    """Where the box of all true voxels begins, ``(i, j, k)``, and a copy of it; None where none is true."""
    first = []
    for axis in range(3):
        found = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
        if found.size == 0:
            return None
        first.append(int(found[0]))
        mask = mask[(slice(None),) * axis + (slice(found[0], found[-1] + 1),)]
    return tuple(reversed(first)), mask.copy()


def _onCt(box: np.ndarray, toCt: np.ndarray, shape) -> tuple[np.ndarray, np.ndarray]:
    """The voxels of the CT that the box reaches: where they begin and which are of the segment, both ``(k, j, i)``.

    :param toCt: 4x4, indices ``(i, j, k, 1)`` of the box to those of the CT.
    :param shape: of the CT, ``(k, j, i)``.
    """
    corners = np.array(np.meshgrid(*[(-0.5, size - 0.5) for size in box.shape[::-1]], indexing="ij")).reshape(3, -1)
    reached = (toCt[:3, :3] @ corners + toCt[:3, 3:4])[::-1]
    low = np.clip(np.floor(reached.min(axis=1)), 0, shape).astype(int)
    high = np.clip(np.ceil(reached.max(axis=1)) + 1, low, shape).astype(int)
    if (high == low).any():
        return low, np.zeros((0, 0, 0), np.uint8)
    transform = vtk.vtkMatrixToLinearTransform()
    transform.SetInput(slicer.util.vtkMatrixFromArray(np.linalg.inv(toCt)))
    reslice = vtk.vtkImageReslice()
    reslice.SetInputData(_imageOf(box.astype(np.uint8)))
    reslice.SetResliceTransform(transform)
    reslice.SetInterpolationModeToNearestNeighbor()
    reslice.SetOutputSpacing(1, 1, 1)
    reslice.SetOutputOrigin(0, 0, 0)
    reslice.SetOutputExtent(*(int(bound) for pair in zip(low[::-1], high[::-1] - 1, strict=True) for bound in pair))
    reslice.Update()
    return low, numpy_support.vtk_to_numpy(reslice.GetOutput().GetPointData().GetScalars()).reshape(high - low)


def _shareOutside(box: np.ndarray, toCt: np.ndarray, shape) -> float:
    """The share of the segment's voxels whose centres lie beyond the CT's voxels; arguments as of :func:`_onCt`."""
    indices = np.argwhere(box)[:, ::-1]
    found = indices @ toCt[:3, :3].T + toCt[:3, 3]
    margin = 0.52  # half a voxel, and what single precision costs
    return float(((found < -margin) | (found > np.array(shape[::-1]) - 1 + margin)).any(axis=1).mean())


def _refuseOutside(share: float, name: str, job: VolumeJob) -> None:
    if share > MOST_OUTSIDE:
        raise SegmentationError(
            "input",
            _('{percent:.0f} % of the reference "{name}" lies outside "{volume}".').format(
                percent=100 * share, name=name, volume=job.volumeName),
            _("Select a reference segmentation of this very CT, or none."))


def _translation(offset) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, 3] = offset
    return matrix


def _imageToWorld(image) -> np.ndarray:
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def _imageOf(voxels: np.ndarray):
    """An array ``(k, j, i)`` of unsigned char as ``vtkImageData``, which shares it."""
    image = vtk.vtkImageData()
    image.SetDimensions(*voxels.shape[::-1])
    image.GetPointData().SetScalars(numpy_support.numpy_to_vtk(voxels.ravel(), array_type=vtk.VTK_UNSIGNED_CHAR))
    return image


def _isSpleenByCode(segment) -> bool:
    tag = vtk.reference("")
    return segment.GetTag(slicer.vtkSegment.GetTerminologyEntryTagName(), tag) and SPLEEN_CODE in str(tag)

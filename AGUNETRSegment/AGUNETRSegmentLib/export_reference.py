"""The spleen of a reference segmentation becomes a mask file on the voxels of a job's CT."""

from __future__ import annotations

from collections.abc import Callable
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

    :ivar path: the file.
    :ivar makeImage: gives the mask on the CT's voxels, a ``vtkImageData``; may be called in any thread.
    :ivar ijkToWorld: of the CT.
    """

    path: Path
    makeImage: Callable[[], object]
    ijkToWorld: np.ndarray

    def write(self) -> None:
        """Write the file; may be called in any thread.

        :raises SegmentationError: kind ``output``, or ``input`` when it lies elsewhere.
        """
        if not writeNrrd(self.makeImage(), self.ijkToWorld, self.path):
            raise SegmentationError(
                "output",
                _('The reference could not be written to "{path}".').format(path=self.path),
                _("Check that the temporary folder (Edit > Application Settings > Modules) is writable and not full."))


def prepareReference(segmentationNode, job: VolumeJob, folder: Path) -> ReferenceExport:
    """Bring the reference onto the CT's voxels; arguments and errors are those of :func:`exportReference`."""
    name = segmentationNode.GetName()
    transformNode = segmentationNode.GetParentTransformNode()
    if transformNode and not transformNode.IsTransformToWorldLinear():
        raise SegmentationError(
            "input",
            _('The reference "{name}" is under a transform that bends space.').format(name=name),
            _("Harden the transform on it (right-click it in the Data module), or select no reference."))
    segmentId = spleenSegment(segmentationNode)
    labelmap = _ownLabelmap(segmentationNode, segmentId)
    offset = _offsetOnCt(labelmap, segmentationNode, job) if labelmap else None
    if offset is not None:  # drawn on this CT: nothing needs to be resampled, so the rest can wait for another thread
        def makeImage():
            return _pasted(labelmap, offset, job, name)
    else:
        image = _withoutOrigin(referenceMask(segmentationNode, segmentId, job))

        def makeImage():
            return image
    return ReferenceExport(Path(folder) / "reference.nrrd", makeImage, job.ijkToWorld)


def _ownLabelmap(segmentationNode, segmentId: str):
    """A copy of a segment's binary labelmap, None where it has none or it is empty."""
    binary = slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName()
    if not segmentationNode.GetSegmentation().ContainsRepresentation(binary):
        return None
    labelmap = slicer.vtkOrientedImageData()
    if not segmentationNode.GetBinaryLabelmapRepresentation(segmentId, labelmap) or labelmap.IsEmpty():
        return None
    return labelmap


def _offsetOnCt(labelmap, segmentationNode, job: VolumeJob) -> np.ndarray | None:
    """By how many voxels ``(i, j, k)`` the labelmap's indices differ from the CT's, None where it has other voxels."""
    toCt = np.linalg.inv(job.ijkToWorld) @ parentMatrix(segmentationNode) @ _imageToWorld(labelmap)
    offset = np.rint(toCt[:3, 3])
    same = np.allclose(toCt[:3, :3], np.eye(3), atol=2e-5) and np.allclose(toCt[:3, 3], offset, atol=0.02)
    return offset.astype(int) if same else None


def _pasted(labelmap, offset: np.ndarray, job: VolumeJob, name: str):
    """The mask on all the CT's voxels, a ``vtkImageData``."""
    extent = np.array(labelmap.GetExtent()).reshape(3, 2) + offset[:, None]
    scalars = numpy_support.vtk_to_numpy(labelmap.GetPointData().GetScalars())
    box = scalars.reshape((extent[:, 1] - extent[:, 0] + 1)[::-1]) != 0
    first, last = extent[::-1, 0], extent[::-1, 1] + 1  # (k, j, i), one past the last
    low, high = np.clip(first, 0, job.shape), np.clip(last, 0, job.shape)
    inside = box[tuple(slice(start, stop) for start, stop in zip(low - first, high - first, strict=True))]
    voxels = np.count_nonzero(box)
    if voxels:
        _refuseOutside(1 - np.count_nonzero(inside) / voxels, name, job)
    mask = np.zeros(job.shape, np.uint8)
    mask[tuple(slice(start, stop) for start, stop in zip(low, high, strict=True))] = inside
    image = vtk.vtkImageData()
    image.SetDimensions(*job.shape[::-1])
    image.GetPointData().SetScalars(numpy_support.numpy_to_vtk(mask.ravel(), array_type=vtk.VTK_UNSIGNED_CHAR))
    return image


def _refuseOutside(share: float, name: str, job: VolumeJob) -> None:
    if share > MOST_OUTSIDE:
        raise SegmentationError(
            "input",
            _('{percent:.0f} % of the reference "{name}" lies outside "{volume}".').format(
                percent=100 * share, name=name, volume=job.volumeName),
            _("Select a reference segmentation of this very CT, or none."))


def referenceMask(segmentationNode, segmentId: str, job: VolumeJob):
    """One segment on the voxels of the job's CT.

    :returns: a ``vtkOrientedImageData`` of unsigned char, 0 and 1, that fills the CT's extent, in the segmentation's
      own frame.
    :raises SegmentationError: kind ``input`` when the segment cannot be converted or lies outside the CT.
    """
    geometry = _geometryOf(job, segmentationNode)
    labelmap = _binaryLabelmap(segmentationNode, segmentId, geometry)
    mask = slicer.vtkOrientedImageData()
    mask.DeepCopy(geometry)
    if labelmap is None or labelmap.IsEmpty():
        return mask
    _refuseOutside(_shareOutside(labelmap, geometry), segmentationNode.GetName(), job)
    resample = slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage
    if not resample(labelmap, geometry, mask):
        raise _notConvertible(segmentationNode)
    return mask


def _geometryOf(job: VolumeJob, segmentationNode):
    """The CT's voxels, all 0, as the segmentation's own frame sees them."""
    geometry = slicer.vtkOrientedImageData()
    geometry.SetDimensions(*job.shape[::-1])
    matrix = np.linalg.inv(parentMatrix(segmentationNode)) @ job.ijkToWorld
    geometry.SetImageToWorldMatrix(slicer.util.vtkMatrixFromArray(matrix))
    geometry.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    geometry.GetPointData().GetScalars().Fill(0)
    return geometry


def _binaryLabelmap(segmentationNode, segmentId: str, geometry):
    """A segment as a binary labelmap; converted on a copy where the node has none, so that the node stays as it is."""
    binary = slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName()
    if segmentationNode.GetSegmentation().ContainsRepresentation(binary):
        labelmap = slicer.vtkOrientedImageData()
        return labelmap if segmentationNode.GetBinaryLabelmapRepresentation(segmentId, labelmap) else None
    copy = slicer.vtkSegmentation()
    copy.SetSourceRepresentationName(segmentationNode.GetSegmentation().GetSourceRepresentationName())
    copy.SetConversionParameter(
        slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName(),
        slicer.vtkSegmentationConverter.SerializeImageGeometry(geometry))
    if not copy.CopySegmentFromSegmentation(segmentationNode.GetSegmentation(), segmentId) \
            or not copy.CreateRepresentation(binary):
        raise _notConvertible(segmentationNode)
    return copy.GetSegment(segmentId).GetRepresentation(binary)


def _shareOutside(labelmap, geometry) -> float:
    """The share of the segment's voxels whose centres lie beyond the CT's voxels."""
    extent = labelmap.GetExtent()
    scalars = numpy_support.vtk_to_numpy(labelmap.GetPointData().GetScalars())
    array = scalars.reshape([extent[2 * axis + 1] - extent[2 * axis] + 1 for axis in (2, 1, 0)])
    indices = np.argwhere(array)[:, ::-1] + np.array(extent[::2])
    if not indices.size:
        return 0.0
    toGeometry = np.linalg.inv(_imageToWorld(geometry)) @ _imageToWorld(labelmap)
    found = indices @ toGeometry[:3, :3].T + toGeometry[:3, 3]
    margin = 0.52  # half a voxel, and what single precision costs
    return float(((found < -margin) | (found > np.array(geometry.GetDimensions()) - 1 + margin)).any(axis=1).mean())


def _imageToWorld(image) -> np.ndarray:
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def _withoutOrigin(orientedImage):
    """The voxels alone: a volume node keeps its geometry itself."""
    image = vtk.vtkImageData()
    image.SetDimensions(orientedImage.GetDimensions())
    image.GetPointData().SetScalars(orientedImage.GetPointData().GetScalars())
    return image


def _isSpleenByCode(segment) -> bool:
    tag = vtk.reference("")
    return segment.GetTag(slicer.vtkSegment.GetTerminologyEntryTagName(), tag) and SPLEEN_CODE in str(tag)


def _notConvertible(segmentationNode) -> SegmentationError:
    return SegmentationError(
        "input",
        _('The reference "{name}" cannot be converted to voxels.').format(name=segmentationNode.GetName()),
        _("Make its binary labelmap in the Segmentations module, or select no reference."))

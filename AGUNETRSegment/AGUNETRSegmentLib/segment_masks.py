"""Two segmentations as masks on the same voxels, cut to the box that holds both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import slicer
import slicer.util
import vtk
from vtk.util import numpy_support

from .errors import SegmentationError
from .export_reference import spleenSegment
from .geometry import localMatrix, parentMatrix
from .terminology import SPLEEN_NAME
from .translation import _


@dataclass(frozen=True)
class CommonMasks:
    """Two masks on one lattice.

    :ivar first: bool, ``(k, j, i)``.
    :ivar second: the same shape.
    :ivar offset: where the masks' first voxel is on the lattice, ``(i, j, k)``.
    :ivar ijkToRas: the lattice in the frame of *frameNode*, shape (4, 4), mm.
    :ivar frameNode: the node in whose frame the lattice stands, under its parent transform.
    """

    first: np.ndarray
    second: np.ndarray
    offset: tuple[int, int, int]
    ijkToRas: np.ndarray
    frameNode: object

    @property
    def voxelMl(self) -> float:
        """The volume of a voxel in world, ml."""
        matrix = self.ijkToRas
        transformNode = self.frameNode.GetParentTransformNode()
        if transformNode and transformNode.IsTransformToWorldLinear():
            matrix = parentMatrix(self.frameNode) @ matrix
        return float(abs(np.linalg.det(matrix[:3, :3]))) / 1000.0

    def world(self, voxel) -> list[float]:
        """The world RAS position of a voxel ``(k, j, i)`` of the masks, mm."""
        ijk = np.append(np.asarray(voxel, float)[::-1] + self.offset, 1.0)
        position = [0.0, 0.0, 0.0]
        self.frameNode.TransformPointToWorld((self.ijkToRas @ ijk)[:3].tolist(), position)
        return position


def commonMasks(firstNode, secondNode, volumeNode=None) -> CommonMasks:
    """The spleens of two segmentation nodes on the voxels of the CT.

    Segmentations that a run made stand on the CT's voxels already and are only cut out; what was drawn, smoothed or
    moved elsewhere is resampled (nearest neighbour).

    :param volumeNode: the CT; None: the voxels of *firstNode*.
    :raises SegmentationError: kind ``input``, where a segmentation has no segment.
    """
    images = [segmentLabelmap(node) for node in (firstNode, secondNode)]
    hasVoxels = volumeNode is not None and volumeNode.GetImageData() is not None
    frameNode = volumeNode if hasVoxels else firstNode
    ijkToRas = localMatrix(volumeNode) if hasVoxels else _matrix(images[0][0])
    onLattice = [
        _cut(image, label, ijkToRas, node.GetTransformNodeID() == frameNode.GetTransformNodeID())
        or _resampled(image, label, ijkToRas, node, frameNode)
        for (image, label), node in zip(images, (firstNode, secondNode), strict=True)
    ]
    boxes = [box for box, mask in onLattice if mask.size]
    if not boxes:
        empty = np.zeros((0, 0, 0), bool)
        return CommonMasks(empty, empty, (0, 0, 0), ijkToRas, frameNode)
    lower = np.min([box for box in boxes], axis=0)
    upper = np.max([np.add(box, mask.shape[::-1]) for box, mask in onLattice if mask.size], axis=0)
    first, second = (_placed(box, mask, lower, upper) for box, mask in onLattice)
    return CommonMasks(first, second, tuple(int(index) for index in lower), ijkToRas, frameNode)


def segmentId(segmentationNode) -> str:
    """The id of the segment that is compared: the spleen.

    :raises SegmentationError: kind ``input``, where there is no segment, or no telling which of several it is.
    """
    segmentation = segmentationNode.GetSegmentation()
    if segmentation.GetSegment(SPLEEN_NAME):
        return SPLEEN_NAME
    if segmentation.GetNumberOfSegments() == 0:
        raise SegmentationError(
            "input",
            _('"{name}" holds no segment.').format(name=segmentationNode.GetName()),
            _("Select another segmentation."),
        )
    return spleenSegment(segmentationNode)  # a reference may hold other organs, too


def segmentLabelmap(segmentationNode):
    """The compared segment's oriented image and its value in it; several segments may share one image."""
    segmentation = segmentationNode.GetSegmentation()
    segment = segmentation.GetSegment(segmentId(segmentationNode))
    name = slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName()
    image = segment.GetRepresentation(name)
    if image is None:
        segmentationNode.CreateBinaryLabelmapRepresentation()
        image = segment.GetRepresentation(name)
    if image is None:
        raise SegmentationError(
            "input",
            _('"{name}" cannot be turned into voxels.').format(name=segmentationNode.GetName()),
            _("Select another segmentation."),
        )
    return image, segment.GetLabelValue()


def _matrix(image) -> np.ndarray:
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def _cut(image, label: int, ijkToRas: np.ndarray, sameFrame: bool):
    """Where on the lattice the image begins and its mask; None where its voxels are others than the lattice's."""
    toLattice = np.linalg.inv(ijkToRas) @ _matrix(image)
    shift = np.rint(toLattice[:3, 3])
    turned = np.abs(toLattice[:3, :3] - np.eye(3)).max() > 1e-3
    if not sameFrame or turned or np.abs(toLattice[:3, 3] - shift).max() > 0.02:
        return None
    mask = _mask(image, label)
    begin = [int(extent + offset) for extent, offset in zip(image.GetExtent()[::2], shift, strict=True)]
    return begin, mask


def _mask(image, label: int) -> np.ndarray:
    shape = tuple(max(0, size) for size in image.GetDimensions()[::-1])
    scalars = image.GetPointData().GetScalars()
    if scalars is None or 0 in shape:
        return np.zeros((0, 0, 0), bool)
    return numpy_support.vtk_to_numpy(scalars).reshape(shape) == label


def _resampled(image, label: int, ijkToRas: np.ndarray, node, frameNode):
    """The same as :func:`_cut` for voxels that lie otherwise."""
    if 0 in _mask(image, label).shape:
        return [0, 0, 0], np.zeros((0, 0, 0), bool)
    transform = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(
        node.GetParentTransformNode(), frameNode.GetParentTransformNode(), transform)
    bounds = [0.0] * 6
    # Around the transformed image in the frame, then around that on the lattice.
    slicer.vtkOrientedImageDataResample.TransformOrientedImageDataBounds(image, transform, bounds)
    corners = np.array(np.meshgrid(bounds[:2], bounds[2:4], bounds[4:], indexing="ij")).reshape(3, -1)
    onLattice = (np.linalg.inv(ijkToRas) @ np.vstack([corners, np.ones(8)]))[:3]
    lower, upper = np.floor(onLattice.min(axis=1)).astype(int) - 1, np.ceil(onLattice.max(axis=1)).astype(int) + 1
    reference = slicer.vtkOrientedImageData()
    reference.SetExtent(*(int(bound) for pair in zip(lower, upper, strict=True) for bound in pair))
    reference.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    reference.SetImageToWorldMatrix(slicer.util.vtkMatrixFromArray(ijkToRas))
    output = slicer.vtkOrientedImageData()
    slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage(
        image, reference, output, False, False, transform)
    return [int(bound) for bound in output.GetExtent()[::2]], _mask(output, label)


def _placed(begin, mask: np.ndarray, lower, upper) -> np.ndarray:
    """The mask in the box from *lower* to before *upper*, both ``(i, j, k)``."""
    placed = np.zeros(tuple(int(size) for size in (upper - lower)[::-1]), bool)
    if mask.size:
        i, j, k = (int(index) for index in np.subtract(begin, lower))
        depth, height, width = mask.shape
        placed[k:k + depth, j:j + height, i:i + width] = mask
    return placed

"""Voxel lattices in space: 4x4 matrices of nodes, and mapping an array from one axis order to another.

All matrices are IJK-to-RAS, float64, mm, and act on column vectors ``(i, j, k, 1)``; arrays are ``(k, j, i)`` as numpy
sees a Slicer volume.
"""

from __future__ import annotations

import numpy as np
import slicer.util
import vtk


def localMatrix(volumeNode) -> np.ndarray:
    """IJK to the node's own RAS, parent transforms not applied; shape (4, 4)."""
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def parentMatrix(transformableNode) -> np.ndarray:
    """The node's RAS to world RAS through its parent transforms, which must be linear; shape (4, 4)."""
    matrix = vtk.vtkMatrix4x4()
    transformNode = transformableNode.GetParentTransformNode()
    if transformNode:
        transformNode.GetMatrixTransformToWorld(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def setLocalMatrix(volumeNode, matrix: np.ndarray) -> None:
    """Place a volume node by its IJK-to-RAS matrix, shape (4, 4)."""
    volumeNode.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix))


def isOrthogonal(matrix: np.ndarray, tolerance: float = 1e-3) -> bool:
    """Whether the voxel axes stand at right angles and have a length; *tolerance* is a cosine."""
    axes = matrix[:3, :3]
    lengths = np.linalg.norm(axes, axis=0)
    if not np.all(np.isfinite(matrix)) or np.any(lengths < 1e-9):
        return False
    directions = axes / lengths
    return bool(np.all(np.abs(directions.T @ directions - np.eye(3)) <= tolerance))


def onLattice(array: np.ndarray, matrix: np.ndarray, targetMatrix: np.ndarray, targetShape) -> np.ndarray | None:
    """Reorder an array's axes so that its voxels stand on another description of the same lattice.

    Readers may flip an axis (Slicer's turns left-handed images into right-handed ones), so the same voxels can come
    back under another matrix. Nothing is interpolated.

    :param array: voxels, ``(k, j, i)``, standing where *matrix* says.
    :param targetMatrix: where the voxels of the result stand.
    :param targetShape: the result's shape, ``(k, j, i)``.
    :returns: the array on the target lattice, or None where the two are not the same voxels (tolerance: 2 % of a voxel
      at every corner, since NIfTI keeps its matrix in single precision).
    """
    toTarget = np.linalg.inv(targetMatrix) @ matrix
    axes = np.rint(toTarget[:3, :3]).astype(int)
    if any(not np.array_equal(np.abs(axes).sum(axis=axis), (1, 1, 1)) for axis in (0, 1)):
        return None  # no signed permutation: another spacing or direction
    size = np.array(array.shape[::-1])
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in size], indexing="ij")).reshape(3, -1)
    offset = np.where(axes.sum(axis=1) < 0, np.abs(axes) @ (size - 1), 0)
    expected = axes @ corners + offset[:, None]
    actual = toTarget[:3, :3] @ corners + toTarget[:3, 3:4]
    if np.abs(actual - expected).max() > 0.02:
        return None
    sourceAxisOf = np.abs(axes).argmax(axis=1)  # target i, j, k -> source i, j, k
    signs = axes.sum(axis=1)
    # numpy's axes run k, j, i: turn the table round in both directions.
    result = array.transpose([2 - sourceAxisOf[2 - axis] for axis in range(3)])
    result = result[tuple(slice(None, None, int(signs[2 - axis])) for axis in range(3))]
    return result if result.shape == tuple(targetShape) else None

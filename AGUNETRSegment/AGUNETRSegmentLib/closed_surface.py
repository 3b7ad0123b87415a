"""The surface of a mask, made as Slicer makes it, but in a way that does not hold up the application.

The steps and their parameters are those of Slicer's conversion from binary labelmap to closed surface (flying edges,
windowed sinc, normals) at its defaults, so that a surface which Slicer makes anew later looks the same.
"""

from __future__ import annotations

import numpy as np
import slicer.util
import vtk
from vtk.util import numpy_support

SMOOTHING = 0.5


def closedSurface(mask: np.ndarray, firstVoxel: tuple[int, int, int], ijkToRas: np.ndarray):
    """The surface around all voxels of a mask; may be called in any thread.

    :param mask: uint8, 0 and 1, ``(k, j, i)``.
    :param firstVoxel: ``(i, j, k)`` of the mask's first voxel.
    :param ijkToRas: 4x4, mm.
    :returns: a ``vtkPolyData`` in RAS.
    """
    voxels = np.pad(mask, 1)  # or the surface would be open where the organ touches the mask's border
    image = vtk.vtkImageData()
    image.SetExtent(*(
        bound for first, size in zip(firstVoxel, mask.shape[::-1], strict=True) for bound in (first - 1, first + size)))
    scalars = numpy_support.numpy_to_vtk(voxels.ravel(), deep=True, array_type=vtk.VTK_UNSIGNED_CHAR)
    scalars.SetName("ImageScalars")
    image.GetPointData().SetScalars(scalars)

    edges = vtk.vtkDiscreteFlyingEdges3D()
    edges.SetInputData(image)
    edges.ComputeGradientsOff()
    edges.ComputeNormalsOff()
    edges.SetValue(0, 1)
    smoother = vtk.vtkWindowedSincPolyDataFilter()
    smoother.SetInputConnection(edges.GetOutputPort())
    smoother.SetNumberOfIterations(int(20 + 40 * SMOOTHING))
    smoother.SetPassBand(10 ** (-4 * SMOOTHING))
    smoother.BoundarySmoothingOff()
    smoother.FeatureEdgeSmoothingOff()
    smoother.NonManifoldSmoothingOn()
    smoother.NormalizeCoordinatesOn()
    placing = vtk.vtkTransform()
    placing.SetMatrix(slicer.util.vtkMatrixFromArray(ijkToRas))
    placed = vtk.vtkTransformPolyDataFilter()
    placed.SetInputConnection(smoother.GetOutputPort())
    placed.SetTransform(placing)
    normals = vtk.vtkPolyDataNormals()
    normals.SetInputConnection(placed.GetOutputPort())
    normals.ConsistencyOn()
    normals.SplittingOff()
    normals.Update()
    surface = vtk.vtkPolyData()
    surface.ShallowCopy(normals.GetOutput())
    surface.GetPointData().RemoveArray("ImageScalars")  # else views colour the surface by it
    return surface

"""Image files read and written without holding up the application: by VTK's ``Update()``, which other threads survive.

Slicer's storage nodes do the same by the same classes, but keep Python to themselves meanwhile. No node is touched
here, so both functions may run in any thread.
"""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import slicer
import slicer.util
import vtk


def writeNrrd(image, ijkToRas: np.ndarray, path: Path) -> bool:
    """Write a scalar image as NRRD, uncompressed: the file lives for minutes, compression would cost seconds.

    :param image: a ``vtkImageData`` whose extent begins at 0; of its own geometry nothing is used.
    :param ijkToRas: 4x4, mm.
    :returns: whether it was written.
    """
    writer = _newOf("vtkTeem", "vtkTeemNRRDWriter")
    writer.SetFileName(str(path))
    writer.SetInputData(image)
    writer.SetUseCompression(False)
    writer.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(ijkToRas))
    writer.SetMeasurementFrameMatrix(vtk.vtkMatrix4x4())
    writer.Update()  # not Write(), which lets no other thread run
    return not writer.GetWriteError() and path.is_file()


def readImage(path: Path) -> tuple[object, np.ndarray] | None:
    """Read a scalar image file.

    :returns: a ``vtkImageData`` with spacing 1 and origin 0, and its IJK to RAS matrix, 4x4, mm; None where it cannot
      be read.
    """
    reader = _newOf("vtkITK", "vtkITKArchetypeImageSeriesScalarReader")
    reader.SetSingleFile(1)  # else files with similar names beside it are taken for further slices
    reader.ResetFileNames()
    reader.SetArchetype(str(path))
    reader.SetOutputScalarTypeToNative()
    reader.SetDesiredCoordinateOrientationToNative()
    reader.SetUseNativeOriginOn()
    reader.Update()
    output = reader.GetOutput()
    if reader.GetErrorCode() or output is None or output.GetPointData().GetScalars() is None:
        return None
    image = vtk.vtkImageData()
    image.SetDimensions(output.GetDimensions())
    image.GetPointData().SetScalars(output.GetPointData().GetScalars())
    return image, np.linalg.inv(slicer.util.arrayFromVTKMatrix(reader.GetRasToIjkMatrix()))


def _newOf(module: str, name: str):
    """An object of a class that the application keeps in a module of its own, and Slicer's core package does not."""
    found = getattr(slicer, name, None) or getattr(importlib.import_module(module), name)
    return found()

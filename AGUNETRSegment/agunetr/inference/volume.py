"""The one volume type of the engine, and the one place that knows axis orders.

A :class:`Volume` holds voxels as a numpy array in **(z, y, x)** order, called (k, j, i) where no patient axis is
meant: the last axis is the fastest index *i*. This is the order of ``SimpleITK.GetArrayFromImage`` and of
``slicer.util.arrayFromVolume``. Its 4x4 matrix maps the homogeneous index *(i, j, k, 1)* to **RAS+** millimetres
(x grows to the patient's right, y to anterior, z to superior), as 3D Slicer and nibabel do. SimpleITK keeps LPS+;
the sign change of the first two rows happens here and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import SimpleITK as sitk

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Volume:
    """Voxels with their place in the patient.

    Attributes:
        array: (z, y, x) voxels.
        ijk_to_ras: 4x4 float64, index (i, j, k, 1) to RAS+ mm; the centre of the first voxel is its last column.

    Raises:
        ValueError: ``array`` is not three-dimensional or ``ijk_to_ras`` is not 4x4.
    """

    array: np.ndarray
    ijk_to_ras: np.ndarray = field(default_factory=lambda: np.eye(4))

    def __post_init__(self) -> None:
        if self.array.ndim != 3:
            raise ValueError(f"array must have 3 axes (z, y, x), not {self.array.ndim}.")
        matrix = np.asarray(self.ijk_to_ras, dtype=np.float64)
        if matrix.shape != (4, 4):
            raise ValueError(f"ijk_to_ras must be 4x4, not {matrix.shape}.")
        object.__setattr__(self, "ijk_to_ras", matrix)

    @property
    def size(self) -> tuple[int, int, int]:
        """Voxels along (i, j, k)."""
        k, j, i = self.array.shape
        return i, j, k

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between voxel centres along (i, j, k), mm."""
        i, j, k = np.linalg.norm(self.ijk_to_ras[:3, :3], axis=0)
        return float(i), float(j), float(k)

    @property
    def directions(self) -> np.ndarray:
        """3x3, the unit RAS+ directions of i, j and k as columns."""
        return self.ijk_to_ras[:3, :3] / np.asarray(self.spacing_mm)

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel, ml."""
        return float(np.prod(self.spacing_mm)) / 1000.0

    def with_array(self, array: np.ndarray) -> Volume:
        """Other voxels of the same shape on the same grid.

        Raises:
            ValueError: the shape differs.
        """
        if array.shape != self.array.shape:
            raise ValueError(f"array has shape {array.shape}, the grid {self.array.shape}.")
        return Volume(array, self.ijk_to_ras)

    def same_grid(self, other: Volume, tolerance_mm: float = 1e-3) -> bool:
        """Whether both have the same size and every corner voxel lies at the same place within ``tolerance_mm``."""
        if self.size != other.size:
            return False
        corners = np.array([[i, j, k, 1.0] for i in (0, 1) for j in (0, 1) for k in (0, 1)])
        corners[:, :3] *= np.asarray(self.size) - 1
        return bool(np.abs(corners @ (self.ijk_to_ras - other.ijk_to_ras).T).max() <= tolerance_mm)

    def ras_of(self, ijk: np.ndarray) -> np.ndarray:
        """(..., 3) indices (i, j, k) to (..., 3) RAS+ mm."""
        return np.asarray(ijk) @ self.ijk_to_ras[:3, :3].T + self.ijk_to_ras[:3, 3]

    def to_sitk(self) -> sitk.Image:
        """A SimpleITK image (LPS+) with a copy of the voxels."""
        image = sitk.GetImageFromArray(self.array)
        lps = LPS_TO_RAS @ self.ijk_to_ras
        image.SetSpacing(self.spacing_mm)
        image.SetOrigin(lps[:3, 3].tolist())
        image.SetDirection((lps[:3, :3] / np.asarray(self.spacing_mm)).ravel().tolist())
        return image

    @classmethod
    def from_sitk(cls, image: sitk.Image, copy: bool = True) -> Volume:
        """From a three-dimensional scalar SimpleITK image (LPS+).

        Args:
            image: the image.
            copy: copy the voxels. Otherwise the volume takes over the image's own memory, and the image must not be
                used any longer.
        """
        array = sitk.GetArrayFromImage(image) if copy else np.asarray(_VoxelsOf(image))
        return cls(array, ras_matrix(image))


def ras_matrix(image: sitk.Image | sitk.ImageFileReader) -> np.ndarray:
    """The 4x4 index-to-RAS+ matrix of a three-dimensional SimpleITK image, or of a file whose header was read."""
    lps = np.eye(4)
    lps[:3, :3] = np.asarray(image.GetDirection()).reshape(3, 3) * np.asarray(image.GetSpacing())
    lps[:3, 3] = image.GetOrigin()
    return LPS_TO_RAS @ lps


class _VoxelsOf:
    """An image's memory for numpy, whose arrays keep this object and thereby the image alive."""

    def __init__(self, image: sitk.Image) -> None:
        self._image = image
        view = sitk.GetArrayViewFromImage(image)
        address, _ = view.__array_interface__["data"]
        self.__array_interface__ = {**view.__array_interface__, "data": (address, False)}

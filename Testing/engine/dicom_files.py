"""Writes small DICOM series with SimpleITK, right ones and wrong ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk

STUDY_UID = "1.2.826.0.1.3680043.10.1000"
SERIES_UID = f"{STUDY_UID}.1"
AXIAL = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))


def write_slice(
    path: Path,
    values: np.ndarray,
    position: Sequence[float],
    axes: Sequence[Sequence[float]] = AXIAL,
    spacing: Sequence[float] = (1.5, 2.0),
    series: str = SERIES_UID,
    modality: str = "CT",
    description: str = "Abdomen portal venous",
    image_type: str = "ORIGINAL\\PRIMARY\\AXIAL",
    rescale: tuple[float, float] = (1.0, -1024.0),
    study: str = STUDY_UID,
) -> Path:
    """One slice of HU ``values`` (y, x) whose first voxel lies at ``position`` (LPS+ mm).

    GDCM stores ``(HU - intercept) / slope``, as a scanner would.
    """
    slope, intercept = rescale
    image = sitk.GetImageFromArray(values[None])
    image.SetSpacing((*spacing, 3.0))
    image.SetOrigin([float(value) for value in position])
    image.SetDirection(np.column_stack([*axes, np.cross(*axes)]).ravel().tolist())
    tags = {
        "0008|0008": image_type,
        "0008|0016": "1.2.840.10008.5.1.4.1.1.2",
        "0008|0018": f"{series}.{abs(hash(path.name)) % 10**9}",
        "0008|0060": modality,
        "0008|103e": description,
        "0020|000d": study,
        "0020|000e": series,
        "0020|0011": "4",
        "0020|0032": "\\".join(f"{value:.6f}" for value in position),
        "0020|0037": "\\".join(f"{value:.9f}" for axis in axes for value in axis),
        "0028|1052": f"{intercept:g}",
        "0028|1053": f"{slope:g}",
    }
    for tag, value in tags.items():
        image.SetMetaData(tag, value)
    writer = sitk.ImageFileWriter()
    writer.SetImageIO("GDCMImageIO")
    writer.KeepOriginalImageUIDOn()
    writer.SetFileName(str(path))
    writer.Execute(image)
    return path


def write_series(
    folder: Path,
    voxels: np.ndarray,
    first: Sequence[float] = (-30.0, -200.0, 700.0),
    step: Sequence[float] = (0.0, 0.0, 3.0),
    prefix: str = "slice",
    **slice_options,
) -> list[Path]:
    """A series of HU ``voxels`` (z, y, x); the slices are named so that their names tell no order."""
    folder.mkdir(parents=True, exist_ok=True)
    names = np.random.default_rng(len(prefix)).permutation(len(voxels))
    return [
        write_slice(
            folder / f"{prefix}{names[index]:03d}.dcm",
            values,
            np.asarray(first) + index * np.asarray(step),
            **slice_options,
        )
        for index, values in enumerate(voxels)
    ]

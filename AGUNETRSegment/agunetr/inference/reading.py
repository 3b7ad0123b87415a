"""Reading a scan: NIfTI, NRRD, MetaImage or a folder of DICOM slices, through SimpleITK.

Everything that a user can hand in ends either in a :class:`Volume` that can be segmented, with notices, or in an
:class:`InputError` of one clear sentence.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from agunetr.errors import InputError, Notice
from agunetr.inference.checks import check_directions, check_name, check_spacing, check_volume, replace_nan
from agunetr.inference.dicom import is_dicom_file, read_dicom_file, read_dicom_folder
from agunetr.inference.file_integrity import examine_file
from agunetr.inference.unpacking import damaged
from agunetr.inference.volume import Volume

ENDINGS = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")
_FORMATS = "NIfTI (.nii, .nii.gz), NRRD (.nrrd), MetaImage (.mha) or a folder of DICOM slices"
_INT16 = np.iinfo(np.int16)


def read_volume(path: Path | str, series: str | None = None) -> tuple[Volume, list[Notice]]:
    """Read a CT and check it.

    Args:
        path: a NIfTI, NRRD or MetaImage file, or a folder with DICOM slices.
        series: for DICOM, the Series Instance UID; the largest CT series where None.

    Returns:
        The volume, int16 where the file's values are whole numbers of that range and float32 otherwise, and what a user
        should know about it; see :func:`agunetr.inference.checks.check_volume`.

    Raises:
        InputError: it cannot be read or cannot be segmented.
    """
    path = Path(path)
    _check_exists(path)
    if path.is_dir():
        volume, notices = read_dicom_folder(path, series)
    elif is_dicom_file(path):
        volume, notices = read_dicom_file(path)
    else:
        if series is not None:
            raise InputError(f"{path} is one file and has no DICOM series.", "Give its folder, or name no series.")
        volume, notices = _read_image(path)
    volume, nan_notices = replace_nan(volume)
    volume = volume.with_array(narrowed(volume.array))
    return volume, [*notices, *nan_notices, *check_volume(volume)]


def read_mask(path: Path | str) -> Volume:
    """Read a mask or label map; an empty one is allowed.

    Returns:
        (z, y, x) whole numbers, uint8 where they fit.

    Raises:
        InputError: it cannot be read, or holds values that are no labels.
    """
    path = Path(path)
    _check_exists(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder.", "Give the mask as one file, NIfTI, NRRD or MetaImage.")
    volume, _ = _read_image(path)
    array = volume.array
    if not np.issubdtype(array.dtype, np.integer) and not np.array_equal(array, np.rint(array)):
        raise InputError(f"{path} is no mask: its values are not whole numbers.", "Give a label map, 0 for background.")
    lowest, highest = array.min(), array.max()
    if lowest < 0 or highest > np.iinfo(np.uint16).max:
        raise InputError(f"{path} is no mask: its values reach from {lowest} to {highest}.", "Give a label map.")
    return volume.with_array(array.astype(np.uint8 if highest < 256 else np.uint16))


def narrowed(array: np.ndarray) -> np.ndarray:
    """The same values as int16 if they are of an integer type and fit, else as float32."""
    if array.dtype == np.int16:
        return array
    if np.issubdtype(array.dtype, np.integer) and array.min() >= _INT16.min and array.max() <= _INT16.max:
        return array.astype(np.int16)
    return array.astype(np.float32, copy=False)


def _check_exists(path: Path) -> None:
    check_name(path)
    if not path.exists():
        raise InputError(f"{path} does not exist.", "Check the path.")
    if not (path.is_file() or path.is_dir()):  # reading a pipe or a device may never end
        raise InputError(f"{path} is neither a file nor a folder.", f"Give {_FORMATS}.")
    if not os.access(path, os.R_OK):
        raise InputError(f"{path} may not be read.", "Check its permissions.")
    if path.is_file() and path.stat().st_size == 0:
        raise InputError(f"{path} is an empty file.", "Copy or export it again.")


def _read_image(path: Path) -> tuple[Volume, list[Notice]]:
    """The voxels as they are in the file, of any number type, and what its header leaves open."""
    if not path.name.lower().endswith(ENDINGS):
        raise InputError(f"{path} is in no format that is read here.", f"Give {_FORMATS}.")
    notices, nan = examine_file(path)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise _unreadable(path, error) from error
    _check_kind(path, reader)
    check_spacing(reader.GetSpacing())
    check_directions(np.reshape(reader.GetDirection(), (3, 3)))  # right angles are the same in LPS+ and RAS+
    try:
        volume = Volume.from_sitk(reader.Execute(), copy=False)
    except RuntimeError as error:
        raise damaged(path) from error
    if nan.size:
        volume.array.reshape(-1)[nan] = np.nan
    return volume, notices


def _check_kind(path: Path, reader: sitk.ImageFileReader) -> None:
    dimensions = reader.GetDimension()
    if dimensions != 3:
        remedy = "Give the whole CT series." if dimensions < 3 else "Give one time point or one image of it."
        raise InputError(f"{path} has {dimensions} dimensions; a CT has 3.", remedy)
    if reader.GetNumberOfComponents() != 1:
        raise InputError(
            f"{path} holds {reader.GetNumberOfComponents()} values a voxel (a colour image or a vector field).",
            "Give the CT itself.",
        )


def _unreadable(path: Path, error: RuntimeError) -> InputError:
    if "orthonormal" in str(error):
        return InputError(
            f"The axes of {path} are not at right angles (a tilted gantry or a sheared orientation).",
            "Resample the CT to a regular grid first, for example with Slicer's Acquisition Geometry Regularization.",
        )
    return InputError(f"{path} is not an image that can be read.", f"Give {_FORMATS}.")

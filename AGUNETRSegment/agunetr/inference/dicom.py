"""A series of DICOM slices becomes one volume.

The slices are ordered by their positions in the patient (Image Position, PS3.3 C.7.6.2.1.1), never by their names or
numbers. The distance of the slices comes from these positions too: Slice Thickness is another quantity, and Spacing
Between Slices is often wrong. Stored values are rescaled to HU (Rescale Slope and Intercept) by GDCM.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from agunetr.errors import InputError, Notice
from agunetr.inference.checks import check_directions, check_spacing
from agunetr.inference.dicom_series import DicomSeries, DicomSlice, find_series, is_dicom_file
from agunetr.inference.unpacking import damaged
from agunetr.inference.volume import LPS_TO_RAS, Volume

GAP_TOLERANCE = 0.1
"""Share by which the distance of two slices may differ from the others; rounded positions differ by less."""
DUPLICATE_MM = 0.01
ORIENTATION_TOLERANCE = 1e-3
SHIFT_TOLERANCE_MM = 1.0
"""How far a slice may lie from where an even step puts it; a tenth of the step where that is more."""

__all__ = ["find_series", "is_dicom_file", "read_dicom_file", "read_dicom_folder"]


def read_dicom_folder(folder: Path, series: str | None = None) -> tuple[Volume, list[Notice]]:
    """Read one CT series of a folder.

    Args:
        folder: searched with its subfolders.
        series: the Series Instance UID wanted, of any modality; the CT series with most slices where None.

    Returns:
        The volume, int16 or float32, and notices of the kinds ``"several-series"`` and ``"skipped-files"``.

    Raises:
        InputError: no such series, or its slices do not form a regular volume.
    """
    found, without_image = find_series(folder)
    chosen, notices = _choose(folder, found, series)
    if without_image:
        count = "1 DICOM file" if len(without_image) == 1 else f"{len(without_image)} DICOM files"
        notices.append(
            Notice("skipped-files", f"{count} without a readable image left out, for example {without_image[0].name}.")
        )
    if chosen.unplaced:
        raise InputError(
            f"{len(chosen.unplaced)} of {len(chosen.unplaced) + len(chosen.images)} slices of the series {chosen} do "
            "not state their place in the patient.",
            "Export the series again with its positions and orientations.",
        )
    if len(chosen.images) == 1 and chosen.images[0].size[2] > 1:
        return _read_multi_frame(chosen.images[0].path), notices
    ordered = _ordered(chosen)
    return Volume(_read_voxels(ordered), _geometry(ordered)), notices


def read_dicom_file(path: Path) -> tuple[Volume, list[Notice]]:
    """Read one multi-frame DICOM file.

    Raises:
        InputError: it is a single slice, or no image.
    """
    reader = _reader(path)
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise InputError(f"{path} is a DICOM file without an image.", "Give the folder of the CT series.") from error
    if reader.GetDimension() < 3 or reader.GetSize()[2] == 1:
        raise InputError(f"{path} is a single DICOM slice.", "Give the folder that holds the whole series.")
    return _read_multi_frame(path), []


def _choose(folder: Path, found: Sequence[DicomSeries], uid: str | None) -> tuple[DicomSeries, list[Notice]]:
    if not found:
        raise InputError(f"{folder} holds no DICOM images.", "Give the folder of a CT series, or one image file.")
    usable = [series for series in found if series.frames > 0]
    listed = "; ".join(f"{series.modality or 'unknown'} {series}" for series in found)
    if uid is not None:
        named = [series for series in usable if series.uid == uid]
        if not named:
            raise InputError(f"{folder} holds no series {uid} of slices.", f"It holds: {listed}.")
        return named[0], []
    scans = [series for series in usable if series.modality == "CT"]
    if not scans:
        raise InputError(f"{folder} holds no CT series, but {listed}.", "To use one all the same, name it by its UID.")
    chosen = max(scans, key=lambda series: series.frames)
    if len(scans) == 1:
        return chosen, []
    return chosen, [
        Notice("several-series", f"The folder holds {len(scans)} CT series; the largest was used: {chosen}.")
    ]


def _ordered(series: DicomSeries) -> list[DicomSlice]:
    """The slices along their common normal.

    Raises:
        InputError: they do not form a regular volume.
    """
    slices = series.images
    if len(slices) < 2:
        raise InputError(f"The series {series} is no volume.", "Give a series of at least two slices.")
    first = slices[0]
    if any(item.size != first.size or item.spacing_mm != first.spacing_mm for item in slices):
        raise InputError(f"The slices of the series {series} differ in size or pixel spacing.", _SPLIT)
    if first.spacing_mm is None:
        raise InputError(f"The slices of the series {series} do not state their pixel spacing.", "Export the CT again.")
    check_spacing(first.spacing_mm)
    if any(np.abs(item.rows_and_columns - first.rows_and_columns).max() > ORIENTATION_TOLERANCE for item in slices):
        raise InputError(f"The slices of the series {series} have mixed orientations.", _SPLIT)
    normal = np.cross(*first.rows_and_columns)
    ordered = sorted(slices, key=lambda item: float(item.position @ normal))
    _check_regular(series, np.array([item.position @ normal for item in ordered]))
    return ordered


_SPLIT = "Export one reconstruction alone into a folder."


def _check_regular(series: DicomSeries, places: np.ndarray) -> None:
    """Refuse slices (places along the normal, mm, ascending) that are there twice or missing."""
    distances = np.diff(places)
    if distances.min() < DUPLICATE_MM:
        at = int(distances.argmin())
        raise InputError(
            f"The series {series} has two slices at the same place ({places[at]:.1f} mm along its axis).",
            "Export one reconstruction or phase alone into a folder, each slice once.",
        )
    usual = float(np.median(distances))
    wrong = np.flatnonzero(np.abs(distances - usual) > GAP_TOLERANCE * usual)
    if wrong.size:
        at = int(wrong[np.abs(distances[wrong] - usual).argmax()])
        raise InputError(
            f"The series {series} has a gap or an uneven step: {distances[at]:.2f} mm after slice {at + 1} of "
            f"{places.size}, {usual:.2f} mm elsewhere.",
            "Export the series again with all its slices.",
        )


def _geometry(ordered: Sequence[DicomSlice]) -> np.ndarray:
    """4x4 ijk_to_ras of slices in order.

    Raises:
        InputError: the slices are shifted against each other (tilted gantry), or the axes are not at right angles.
    """
    first, last = ordered[0], ordered[-1]
    lps = np.eye(4)
    lps[:3, 0], lps[:3, 1] = first.rows_and_columns
    along = (last.position - first.position) / (len(ordered) - 1)
    places = np.array([item.position for item in ordered])
    shift = np.linalg.norm(places - first.position - np.arange(len(ordered))[:, None] * along, axis=1).max()
    if shift > max(SHIFT_TOLERANCE_MM, GAP_TOLERANCE * float(np.linalg.norm(along))):
        raise InputError(
            f"The slices are shifted against each other: one lies {shift:.1f} mm off the straight line.",
            "Export the series again, one reconstruction alone.",
        )
    lps[:3, 2] = along / np.linalg.norm(along)
    check_directions(lps[:3, :3])
    lps[:3, :3] *= (*first.spacing_mm, float(np.linalg.norm(along)))
    lps[:3, 3] = first.position
    return LPS_TO_RAS @ lps


def _read_voxels(ordered: Sequence[DicomSlice]) -> np.ndarray:
    """(z, y, x) int16, or float32 where a slice does not fit; each slice is rescaled by its own slope and intercept."""
    columns, rows, _ = ordered[0].size
    # Slice by slice into one array: ITK's series reader would hold the volume twice.
    voxels = np.empty((len(ordered), rows, columns), np.int16)
    limits = np.iinfo(np.int16)
    for index, item in enumerate(ordered):
        values = _slice_values(item.path)
        if values.shape != (rows, columns):
            raise InputError(f"{item.path} holds several values a voxel (a colour image).", "Give the CT itself.")
        fits = np.issubdtype(values.dtype, np.integer) and values.min() >= limits.min and values.max() <= limits.max
        if voxels.dtype == np.int16 and not fits:
            voxels = voxels.astype(np.float32)
        voxels[index] = values
    return voxels


def _slice_values(path: Path) -> np.ndarray:
    try:
        return np.squeeze(sitk.GetArrayFromImage(_reader(path).Execute()), axis=0)
    except (RuntimeError, ValueError) as error:
        raise damaged(path) from error


def _read_multi_frame(path: Path) -> Volume:
    try:
        image = _reader(path).Execute()
    except RuntimeError as error:
        raise damaged(path) from error
    if image.GetNumberOfComponentsPerPixel() != 1:
        raise InputError(f"{path} holds several values a voxel (a colour image).", "Give the CT itself.")
    return Volume.from_sitk(image)


def _reader(path: Path) -> sitk.ImageFileReader:
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(path))
    return reader

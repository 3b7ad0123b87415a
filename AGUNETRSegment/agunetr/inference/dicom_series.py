"""What lies in a folder of DICOM files: series of slices, known from their headers alone.

Files are taken for DICOM by their content and not by their name, in subfolders too, as archives export them. Terms and
tags: DICOM PS3.3, C.7.6.2 (Image Plane) and C.8.2.1 (CT Image).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from agunetr.errors import InputError
from agunetr.inference.checks import check_name
from agunetr.inference.unpacking import damaged

MOST_FILES = 50_000

_MODALITY, _IMAGE_TYPE = "0008|0060", "0008|0008"
_SERIES_UID, _SERIES_DESCRIPTION, _SERIES_NUMBER = "0020|000e", "0008|103e", "0020|0011"
_POSITION, _ORIENTATION = "0020|0032", "0020|0037"
_PIXEL_SPACING = "0028|0030"
_PIXEL_DATA = b"\xe0\x7f\x10\x00"
_ENDINGS = (".dcm", ".ima")
_LEAST_BYTES = 132
_CLASS = re.compile(rb"\x02\x00\x02\x00UI(..)([0-9.]+)", re.DOTALL)
"""Media Storage SOP Class UID: what kind of object the file holds."""
_IMAGE_CLASS = re.compile(rb"1\.2\.840\.10008\.5\.1\.4\.1\.1\.(2|4|7|20|128|130)(\.\d+)*\.?")
"""CT, MR, secondary capture, nuclear medicine and PET: objects that must have an image."""


@dataclass(frozen=True)
class DicomSlice:
    """One file of a series.

    Attributes:
        path: the file.
        position: (3,) LPS+ mm of the first voxel's centre; None where the header has none.
        rows_and_columns: (2, 3) unit LPS+ directions along a row (i) and along a column (j); None as above.
        spacing_mm: (i, j) mm; None where the header has none.
        size: voxels along (i, j, k); k is 1 but for multi-frame files.
        localizer: an overview image for planning, not a slice.
    """

    path: Path
    position: np.ndarray | None
    rows_and_columns: np.ndarray | None
    spacing_mm: tuple[float, float] | None
    size: tuple[int, int, int]
    localizer: bool


@dataclass
class DicomSeries:
    """Files that share a Series Instance UID (which an anonymiser may have emptied).

    Attributes:
        uid: the Series Instance UID.
        description: what the scanner called it.
        number: its number in the study; empty where unknown.
        modality: for example ``"CT"``.
        slices: in no order.
    """

    uid: str
    description: str
    number: str
    modality: str
    slices: list[DicomSlice] = field(default_factory=list)

    @property
    def images(self) -> list[DicomSlice]:
        """The slices that have a place in the patient and are no localizers."""
        return [item for item in self.slices if item.position is not None and not item.localizer]

    @property
    def unplaced(self) -> list[DicomSlice]:
        """The slices that do not state their place and are no localizers."""
        return [item for item in self.slices if item.position is None and not item.localizer]

    @property
    def frames(self) -> int:
        """How many slices :attr:`images` holds, multi-frame files counted in full."""
        return sum(item.size[2] for item in self.images)

    def __str__(self) -> str:
        name = f'"{self.description}"' if self.description else "without a description"
        number = f" (number {self.number})" if self.number else ""
        return f"{name}{number}, {self.frames} slices, UID {self.uid or 'empty'}"


def is_dicom_file(path: Path) -> bool:
    """Whether the file has DICOM's mark (PS3.10, 7.1)."""
    try:
        with path.open("rb") as stream:
            stream.seek(128)
            return stream.read(4) == b"DICM"
    except OSError:
        return False


def find_series(folder: Path) -> tuple[list[DicomSeries], list[Path]]:
    """All series in a folder and its subfolders, and the DICOM files without a readable image.

    Raises:
        InputError: the folder holds more than 50,000 files, a damaged DICOM file, or one whose name is not UTF-8.
    """
    found: dict[str, DicomSeries] = {}
    without_image = []
    for path in _files(folder):
        _check_whole(path)
        if not path.is_file() or not is_dicom_file(path) or path.name.upper() == "DICOMDIR":
            continue
        check_name(path)
        try:
            series, item = _read_header(path)
        except RuntimeError as error:
            if _must_hold_image(path):
                raise damaged(path) from error
            without_image.append(path)  # a report, a plan
            continue
        found.setdefault(series.uid, series).slices.append(item)
    return list(found.values()), without_image


def _check_whole(path: Path) -> None:
    """Refuse a file named as a slice that has no content, rather than leave it out of the scan."""
    if not path.name.lower().endswith(_ENDINGS) or path.name.startswith("._"):  # ._: macOS's own notes on a file
        return
    if not path.exists() or (path.is_file() and (path.stat().st_size < _LEAST_BYTES or not os.access(path, os.R_OK))):
        raise damaged(path)


def _must_hold_image(path: Path) -> bool:
    """Whether a file that cannot be read as an image is a damaged one, and not a report, a plan or the like."""
    content = path.read_bytes()
    kind = _CLASS.search(content, _LEAST_BYTES, 1024)
    if kind is None or _IMAGE_CLASS.fullmatch(kind[2]):
        return True
    return _PIXEL_DATA in content


def _files(folder: Path) -> Iterable[Path]:
    count = 0
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            count += 1
            if count > MOST_FILES:
                raise InputError(
                    f"{folder} holds more than {MOST_FILES:,} files.", "Give the folder of one study or series."
                )
            yield Path(parent, name)


def _read_header(path: Path) -> tuple[DicomSeries, DicomSlice]:
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    keys = set(reader.GetMetaDataKeys())

    def text(tag: str) -> str:
        return reader.GetMetaData(tag).strip().strip("\0").strip() if tag in keys else ""

    def numbers(tag: str, count: int) -> np.ndarray | None:
        try:
            values = np.array([float(part) for part in text(tag).split("\\")])
        except ValueError:
            return None
        return values if values.size == count and np.isfinite(values).all() else None

    size = tuple(reader.GetSize())
    size = (*size, 1)[:3] if len(size) < 4 else size[:3]
    position = numbers(_POSITION, 3)
    axes = numbers(_ORIENTATION, 6)
    spacing = numbers(_PIXEL_SPACING, 2)
    if size[2] > 1:  # multi-frame: ITK finds these in the functional groups
        position = np.array(reader.GetOrigin())
        axes = np.reshape(reader.GetDirection(), (3, 3))[:, :2].T.ravel()
        spacing = np.array(reader.GetSpacing()[1::-1])
    item = DicomSlice(
        path=path,
        position=None if axes is None else position,
        rows_and_columns=None if axes is None else axes.reshape(2, 3),
        # Pixel Spacing is the distance of the rows (along j) first, then of the columns.
        spacing_mm=None if spacing is None else (float(spacing[1]), float(spacing[0])),
        size=size,  # type: ignore[arg-type]
        localizer="LOCALIZER" in text(_IMAGE_TYPE).upper(),
    )
    series = DicomSeries(text(_SERIES_UID), text(_SERIES_DESCRIPTION), text(_SERIES_NUMBER), text(_MODALITY).upper())
    return series, item

"""Writing results: a file is complete under its final name, or not there at all.

Every writer fills a hidden sibling and renames it at the end, and replaces nothing unless asked to.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from agunetr.errors import InputError, OutputError
from agunetr.inference.checks import check_name
from agunetr.inference.file_integrity import examine_file
from agunetr.inference.volume import Volume

VOLUME_ENDINGS = (".nii.gz", ".nii", ".nrrd", ".mha")
SEGMENTATION_ENDING = ".seg.nrrd"
LEAST_FREE_BYTES = 64 << 20
_DISK_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}

SPLEEN_NAME = "spleen"
SPLEEN_COLOUR = (157, 108, 162)
"""The colour of the spleen in Slicer's list of general anatomy, RGB 0-255."""
SPLEEN_TERMINOLOGY = (
    "Segmentation category and type - 3D Slicer General Anatomy list"
    "~SCT^123037004^Anatomical Structure~SCT^78961009^spleen~^^~Anatomic codes - DICOM master list~^^~^^"
)
"""SNOMED CT 78961009, as Slicer writes a terminology entry."""

HIDDEN_PREFIX = ".agunetr-unfinished-"
"""How the name of a file or folder begins that is being written."""


def check_output_folder(path: Path | str, needed_bytes: int = LEAST_FREE_BYTES) -> None:
    """Refuse a folder that results cannot be written to, before any work is done. Nothing is left there.

    Args:
        path: an existing folder, or one that can be made in an existing parent.
        needed_bytes: what must be free on its disk.

    Raises:
        OutputError: the parent is missing, its name is not UTF-8, it is no folder or a dangling link, it cannot be
            written to, or its disk is full.
    """
    folder = Path(path)
    _refuse_unknown_characters(folder)
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file, not a folder.", "Choose a folder for the results.")
    if folder.is_symlink() and not folder.exists():
        raise OutputError(f"{folder} is a link to nothing.", "Remove it, or choose another folder for the results.")
    place = folder if folder.is_dir() else folder.absolute().parent
    if not place.is_dir():
        raise OutputError(f"The folder {place} does not exist.", "Make it, or choose another folder for the results.")
    try:
        free = shutil.disk_usage(place).free
        # Trying is the only test that holds on every system: permissions, read-only disks, quotas, network drives.
        with tempfile.TemporaryFile(dir=place) as probe:
            probe.write(bytes(4096))
            probe.flush()
    except OSError as error:
        raise _cannot_write(folder, error) from error
    if free < needed_bytes:
        raise OutputError(
            f"The disk of {folder} is full: {free >> 20} MB are free and {needed_bytes >> 20} MB are needed.",
            "Free some space, or choose a folder on another disk.",
        )


def write_volume(volume: Volume, path: Path | str, overwrite: bool = False) -> Path:
    """Write voxels and geometry as NIfTI, NRRD or MetaImage, compressed where the format can be.

    NIfTI keeps the geometry in 32 bits (about 1e-5 mm), the others in full.

    Args:
        volume: any real number type; bool is written as uint8.
        path: its ending chooses the format: ``.nii.gz``, ``.nii``, ``.nrrd`` or ``.mha``.
        overwrite: replace an existing file.

    Raises:
        OutputError: the ending is unknown, the file exists, or it cannot be written.
    """
    path = Path(path)
    if _ending(path) is None:
        raise OutputError(f"{path.name} has no known ending.", f"Use one of {', '.join(VOLUME_ENDINGS)}.")
    return _write_image(_plain_typed(volume).to_sitk(), path, overwrite)


def write_segmentation(
    mask: Volume,
    path: Path | str,
    name: str = SPLEEN_NAME,
    colour: Sequence[int] = SPLEEN_COLOUR,
    terminology: str = SPLEEN_TERMINOLOGY,
    overwrite: bool = False,
) -> Path:
    """Write a mask as Slicer's segmentation file, one segment.

    The fields are those of Slicer's segmentation storage node.

    Args:
        mask: background is 0.
        path: ends with ``.seg.nrrd``.
        name: the segment's name.
        colour: RGB, 0-255.
        terminology: Slicer's serialised terminology entry.
        overwrite: replace an existing file.

    Raises:
        OutputError: the ending is another, the file exists, or it cannot be written.
    """
    path = Path(path)
    if not path.name.lower().endswith(SEGMENTATION_ENDING):
        raise OutputError(f"{path.name} is no segmentation file name.", f"Use the ending {SEGMENTATION_ENDING}.")
    image = mask.with_array((mask.array != 0).astype(np.uint8)).to_sitk()
    i, j, k = mask.size
    fields = {
        "Segment0_ID": name,
        "Segment0_Name": name,
        "Segment0_NameAutoGenerated": "0",
        "Segment0_Color": " ".join(f"{value / 255:.6g}" for value in colour),
        "Segment0_ColorAutoGenerated": "0",
        "Segment0_LabelValue": "1",
        "Segment0_Layer": "0",
        "Segment0_Extent": f"0 {i - 1} 0 {j - 1} 0 {k - 1}",
        "Segment0_Tags": f"TerminologyEntry:{terminology}|",
        "Segmentation_SourceRepresentation": "Binary labelmap",
        "Segmentation_MasterRepresentation": "Binary labelmap",  # the same, for Slicer before 5.2
        "Segmentation_ContainedRepresentationNames": "Binary labelmap|",
        "Segmentation_ReferenceImageExtentOffset": "0 0 0",
    }
    for key, value in fields.items():
        image.SetMetaData(key, value)
    return _write_image(image, path, overwrite)


def write_json(content: Any, path: Path | str, overwrite: bool = False) -> Path:
    """Write JSON as UTF-8, indented; numpy's numbers and arrays become JSON's.

    Raises:
        OutputError: the file exists, or it cannot be written.
        ValueError: a number is NaN or infinite, which JSON has not.
    """
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False, default=_plain) + "\n"
    with new_file(path, overwrite) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
    return Path(path)


@contextmanager
def new_file(path: Path | str, overwrite: bool = False) -> Iterator[Path]:
    """A hidden sibling to fill, of the same ending; renamed to ``path`` at the end, removed on any error.

    Raises:
        OutputError: ``path`` exists and ``overwrite`` is off, or writing failed.
    """
    path = Path(path)
    _refuse_unknown_characters(path)
    _refuse_existing(path, overwrite)
    if not path.absolute().parent.is_dir():
        raise OutputError(f"The folder {path.absolute().parent} does not exist.", "Make it, or choose another one.")
    ending = _ending(path) or path.suffix
    temporary = path.with_name(f"{HIDDEN_PREFIX}{secrets.token_hex(8)}{ending}")
    try:
        yield temporary
        _refuse_existing(path, overwrite)
        os.replace(temporary, path)
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def _write_image(image: sitk.Image, path: Path, overwrite: bool) -> Path:
    with new_file(path, overwrite) as temporary:
        try:
            sitk.WriteImage(image, str(temporary), True)
            # ITK does not tell of every write that failed, so what is on the disk is looked at.
            examine_file(temporary)
            if temporary.stat().st_size == 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except (RuntimeError, InputError) as error:
            raise _incomplete(path) from error
    return path


def _plain_typed(volume: Volume) -> Volume:
    return volume.with_array(volume.array.view(np.uint8)) if volume.array.dtype == bool else volume


def _ending(path: Path) -> str | None:
    return next((ending for ending in VOLUME_ENDINGS if path.name.lower().endswith(ending)), None)


def _refuse_unknown_characters(path: Path) -> None:
    try:
        check_name(path)
    except InputError as error:
        raise OutputError(error.message, "Choose another folder or name.") from error


def _refuse_existing(path: Path, overwrite: bool) -> None:
    if path.is_dir():
        raise OutputError(f"{path} is a folder.", "Choose another file name.")
    if path.exists() and not overwrite:
        raise OutputError(f"{path} is there already.", "Choose another name, or ask for it to be overwritten.")


def _incomplete(path: Path) -> OutputError:
    return OutputError(f"{path} could not be written completely.", "Check that its disk is writable and has room.")


def _cannot_write(path: Path, error: OSError) -> OutputError:
    if error.errno in _DISK_FULL:
        return OutputError(f"The disk of {path} is full.", "Free some space, or choose a folder on another disk.")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return OutputError(f"{path} cannot be written: the folder is read-only.", "Choose another folder.")
    return OutputError(f"{path} cannot be written ({error.strerror or error}).", "Choose another folder.")


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON.")

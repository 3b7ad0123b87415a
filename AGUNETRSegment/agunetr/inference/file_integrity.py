"""Is an image file complete, and does its header say what the reader takes from it?

ITK reads damaged compressed voxels without a word, and a segmentation of such a scan would look like a result. So the
raw header and the compressed stream are checked before ITK reads the file. (NRRD:
http://teem.sourceforge.net/nrrd/format.html; MetaImage: https://itk.org/Wiki/MetaIO/Documentation.)
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np

from agunetr.errors import InputError, Notice
from agunetr.inference.nifti_file import NO_ORIENTATION, examine_nifti
from agunetr.inference.unpacking import GZIP, GZIP_OR_ZLIB, damaged, unpacked

_LONGEST_HEADER = 1 << 20
_PLACED_SPACE = re.compile(
    r"(right-anterior-superior|left-anterior-superior|left-posterior-superior|ras|las|lps)(-time|t)?", re.IGNORECASE
)
"""The NRRD spaces that say where the patient's left, front and head are; scanner-xyz and the like do not."""
_SEVERAL_FILES = re.compile(r"LIST\b|.*%\d*[du]", re.IGNORECASE)


def examine_file(path: Path) -> tuple[list[Notice], np.ndarray]:
    """Check a NIfTI, NRRD or MetaImage file, by its name's ending.

    Returns:
        Notices of the kinds ``"no-orientation"`` and ``"two-spacings"``, and the flat indices (*i* fastest) of voxels
        that are NaN and that ITK will turn into 0 (NIfTI only).

    Raises:
        InputError: the file breaks off, its compressed voxels are damaged, or it cannot be used for another reason.
    """
    name = path.name.lower()
    try:
        if name.endswith((".nii", ".nii.gz")):
            return examine_nifti(path)
        notices = _examine_nrrd(path) if name.endswith((".nrrd", ".nhdr")) else _examine_metaimage(path)
        return notices, np.empty(0, np.int64)
    except (EOFError, zlib.error) as error:
        raise damaged(path) from error


def _examine_nrrd(path: Path) -> list[Notice]:
    with path.open("rb") as stream:
        header, start = _text_header(stream, lambda line: line in (b"\n", b"\r\n"))
        found = re.findall(r"^([a-z ]+):=? *(.*?) *\r?$", header, re.MULTILINE | re.IGNORECASE)
        fields = {name.lower(): value for name, value in found}
        data = fields.get("data file", fields.get("datafile"))
        if fields.get("encoding", "").lower() in ("gzip", "gz"):
            if data is None:
                _unpack_all(stream, start, GZIP)
            else:
                skipped = fields.get("line skip", fields.get("lineskip", "0"))
                _unpack_file(path, data, GZIP, int(skipped) if skipped.isdecimal() else 0)
    return [] if _PLACED_SPACE.fullmatch(fields.get("space", "")) else [NO_ORIENTATION]


def _examine_metaimage(path: Path) -> list[Notice]:
    with path.open("rb") as stream:
        header, start = _text_header(stream, lambda line: line.startswith(b"ElementDataFile"))
        fields = dict(re.findall(r"^(\w+) *= *(.*?) *\r?$", header, re.MULTILINE))
        data = fields.get("ElementDataFile", "")
        if fields.get("CompressedData", "").lower() == "true":
            if data.upper() == "LOCAL":
                _unpack_all(stream, start, GZIP_OR_ZLIB)
            elif data:
                _unpack_file(path, data, GZIP_OR_ZLIB)
    return []


def _unpack_file(header: Path, name: str, kind: int, lines_skipped: int = 0) -> None:
    """Unpack the voxels that lie in a file of their own, named in the header."""
    if _SEVERAL_FILES.match(name):
        raise InputError(f"{header} spreads compressed voxels over several files.", "Save the CT as one file.")
    path = header.parent / name
    if not path.is_file():
        raise InputError(f"{header} keeps its voxels in {path}, which is not there.", "Copy both files together.")
    with path.open("rb") as stream:
        for _ in range(lines_skipped):
            stream.readline()
        try:
            _unpack_all(stream, stream.tell(), kind)
        except (EOFError, zlib.error) as error:
            raise damaged(path) from error


def _unpack_all(stream: BinaryIO, start: int, kind: int) -> None:
    stream.seek(start)
    for _ in unpacked(stream, kind):
        pass


def _text_header(stream: BinaryIO, is_last: Callable[[bytes], bool]) -> tuple[str, int]:
    """The header's text and the place in the file where the voxels begin."""
    lines = []
    while stream.tell() < _LONGEST_HEADER and (line := stream.readline(_LONGEST_HEADER)):
        lines.append(line)
        if is_last(line):
            break
    return b"".join(lines).decode("utf-8", "replace"), stream.tell()

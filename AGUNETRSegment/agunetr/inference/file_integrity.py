"""Is an image file complete, and does its header say what the reader takes from it?

ITK fills the rest of a NIfTI that breaks off with zeros, reads damaged compressed voxels without a word, and replaces
a spacing of 0 by 1. A segmentation of such a scan would look like a result, so the raw header and the compressed
stream are checked here before ITK reads the file. (NIfTI: https://nifti.nimh.nih.gov, nifti1.h and nifti2.h; NRRD:
http://teem.sourceforge.net/nrrd/format.html; MetaImage: https://itk.org/Wiki/MetaIO/Documentation.)
"""

from __future__ import annotations

import gzip
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from agunetr.errors import InputError, Notice
from agunetr.inference.checks import check_spacing

_CHUNK = 1 << 20
_LONGEST_HEADER = 1 << 20

_NO_ORIENTATION = Notice(
    "no-orientation",
    "The file does not say how the scan lies in the patient; left and right, front and back are taken as is common "
    "for this format and may be wrong.",
)


def examine_file(path: Path) -> list[Notice]:
    """Check a NIfTI, NRRD or MetaImage file, by its name's ending.

    Returns:
        Notices of the kinds ``"no-orientation"`` and ``"two-spacings"``.

    Raises:
        InputError: the file breaks off, its compressed voxels are damaged, or its spacing cannot be used.
    """
    name = path.name.lower()
    try:
        if name.endswith((".nii", ".nii.gz")):
            return _examine_nifti(path)
        if name.endswith((".nrrd", ".nhdr")):
            return _examine_nrrd(path)
        _examine_metaimage(path)
        return []
    except (EOFError, gzip.BadGzipFile, zlib.error, struct.error) as error:
        raise damaged(path) from error


def damaged(path: Path) -> InputError:
    """The refusal of a file that breaks off or holds damaged voxels."""
    return InputError(f"{path} is incomplete or damaged.", "Copy or export it again.")


@dataclass(frozen=True)
class _NiftiHeader:
    dimensions: tuple[int, ...]
    bits: int
    spacing: tuple[float, ...]
    voxel_offset: int
    codes: tuple[int, int]
    scales: tuple[float, ...]


def _examine_nifti(path: Path) -> list[Notice]:
    zipped = _is_gzip(path)
    with gzip.open(path) if zipped else path.open("rb") as stream:
        header = _nifti_header(stream)
    if header is None:
        raise InputError(f"{path} is not a NIfTI file, whatever its name says.", "Export the CT as NIfTI again.")
    voxels = int(np.prod([max(1, count) for count in header.dimensions], dtype=object))
    expected = header.voxel_offset + voxels * header.bits // 8
    there = _gzip_length(path) if zipped else path.stat().st_size
    if there < expected:
        raise damaged(path)
    spatial = header.spacing[: min(3, len(header.dimensions))]
    check_spacing(spatial)
    if header.codes == (0, 0):
        return [_NO_ORIENTATION]
    if header.codes[1] > 0 and not np.allclose(header.scales[: len(spatial)], spatial, rtol=0.01):
        stated = " x ".join(f"{spacing:g}" for spacing in spatial)
        other = " x ".join(f"{scale:.3g}" for scale in header.scales)
        return [Notice("two-spacings", f"The header gives two voxel spacings, {stated} and {other} mm; the first is used.")]
    return []


def _nifti_header(stream: BinaryIO) -> _NiftiHeader | None:
    """The fields that matter; None for another kind of file."""
    raw = stream.read(540)
    for order in "<>":
        length = struct.unpack_from(f"{order}i", raw)[0] if len(raw) >= 348 else 0
        if length == 348 and raw[344:346] in (b"n+", b"ni"):
            count, *dimensions = struct.unpack_from(f"{order}8h", raw, 40)
            pixdim = struct.unpack_from(f"{order}8f", raw, 76)
            offset = struct.unpack_from(f"{order}f", raw, 108)[0]
            bits = struct.unpack_from(f"{order}h", raw, 72)[0]
            codes = struct.unpack_from(f"{order}2h", raw, 252)
            rows = struct.unpack_from(f"{order}12f", raw, 280)
        elif length == 540 and len(raw) == 540:
            count, *dimensions = struct.unpack_from(f"{order}8q", raw, 16)
            pixdim = struct.unpack_from(f"{order}8d", raw, 104)
            offset = struct.unpack_from(f"{order}q", raw, 168)[0]
            bits = struct.unpack_from(f"{order}h", raw, 14)[0]
            codes = struct.unpack_from(f"{order}2i", raw, 344)
            rows = struct.unpack_from(f"{order}12d", raw, 400)
        else:
            continue
        if not 1 <= count <= 7:
            return None
        scales = np.linalg.norm(np.reshape(rows, (3, 4))[:, :3].astype(np.float64), axis=0)
        return _NiftiHeader(
            tuple(dimensions[:count]), bits, tuple(pixdim[1 : count + 1]), int(offset), tuple(codes), tuple(scales)
        )
    return None


def _examine_nrrd(path: Path) -> list[Notice]:
    with path.open("rb") as stream:
        header, start = _text_header(stream, lambda line: line in (b"\n", b"\r\n"))
        fields = dict(re.findall(r"^([a-z ]+):=? *(.*?)\r?$", header, re.MULTILINE | re.IGNORECASE))
        if fields.get("encoding", "").lower() in ("gzip", "gz") and "data file" not in fields:
            stream.seek(start)
            for _ in _inflated(stream, zlib.MAX_WBITS | 16):
                pass
    return [] if "space" in fields or "space dimension" in fields else [_NO_ORIENTATION]


def _examine_metaimage(path: Path) -> None:
    with path.open("rb") as stream:
        header, start = _text_header(stream, lambda line: line.startswith(b"ElementDataFile"))
        fields = dict(re.findall(r"^(\w+) *= *(.*?) *\r?$", header, re.MULTILINE))
        if fields.get("ElementDataFile", "").upper() == "LOCAL" and fields.get("CompressedData", "").lower() == "true":
            stream.seek(start)
            for _ in _inflated(stream, zlib.MAX_WBITS | 32):
                pass


def _text_header(stream: BinaryIO, is_last: object) -> tuple[str, int]:
    """The header's text and the place in the file where the voxels begin."""
    lines = []
    while stream.tell() < _LONGEST_HEADER and (line := stream.readline(_LONGEST_HEADER)):
        lines.append(line)
        if is_last(line):  # type: ignore[operator]
            break
    return b"".join(lines).decode("utf-8", "replace"), stream.tell()


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(2) == b"\x1f\x8b"


def _gzip_length(path: Path) -> int:
    """Bytes in a gzip file once unpacked; unpacks it all, which also verifies its checksums."""
    with path.open("rb") as stream:
        return sum(_inflated(stream, zlib.MAX_WBITS | 16))


def _inflated(stream: BinaryIO, window_bits: int) -> Iterator[int]:
    """Lengths of the unpacked chunks of one or several zlib or gzip streams.

    Raises:
        EOFError: it breaks off.
        zlib.error: it is damaged.
    """
    unpacker = zlib.decompressobj(window_bits)
    begun = False
    while chunk := stream.read(_CHUNK):
        while chunk:
            if not begun:  # zeros may follow a stream as padding; anything else is another one (pigz, bgzip)
                chunk = chunk.lstrip(b"\0")
                begun = bool(chunk)
            yield len(unpacker.decompress(chunk, _CHUNK))  # bounded: a few bytes may unpack to gigabytes
            chunk = unpacker.unconsumed_tail
            if unpacker.eof:
                chunk = unpacker.unused_data
                unpacker, begun = zlib.decompressobj(window_bits), False
    if begun:
        raise EOFError

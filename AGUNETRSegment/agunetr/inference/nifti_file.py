"""What ITK's NIfTI reader does not tell: files that break off, spacings of 0, voxels that are no numbers.

The reader fills what is missing with zeros, takes a spacing of 0 for 1, and turns NaN and infinite voxels into 0 HU,
which is water. So the header and the stream of voxels are looked at before it. (Fields: nifti1.h,
https://nifti.nimh.nih.gov/pub/dist/src/niftilib/nifti1.h.)
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agunetr.errors import InputError, Notice
from agunetr.inference.checks import MOST_NAN_SHARE, check_directions, check_spacing, infinite_voxels, too_many_nan
from agunetr.inference.unpacking import GZIP, damaged, plain, unpacked

NO_ORIENTATION = Notice(
    "no-orientation",
    "The file does not say how the scan lies in the patient; left and right, front and back are taken as is common "
    "for this format and may be wrong.",
)

_FLOAT_TYPES = {16: "f4", 64: "f8"}
_BITS = {2: 8, 4: 16, 8: 32, 16: 32, 32: 64, 64: 64, 128: 24, 256: 8, 512: 16, 768: 32, 1024: 64, 1280: 64}
"""Bits a voxel by data type."""
_HEADER_BYTES = 352


@dataclass(frozen=True)
class _Header:
    order: str
    dimensions: tuple[int, ...]
    datatype: int
    bits: int
    spacing: tuple[float, ...]
    voxel_offset: int
    codes: tuple[int, int]
    axes: np.ndarray
    scales: tuple[float, ...]

    @property
    def voxels(self) -> int:
        return int(np.prod([max(1, count) for count in self.dimensions], dtype=object))


def examine_nifti(path: Path) -> tuple[list[Notice], np.ndarray]:
    """Check a NIfTI file.

    Returns:
        Notices of the kinds ``"no-orientation"`` and ``"two-spacings"``, and the places of the voxels that are NaN in
        the file, as flat indices in its order, *i* fastest.

    Raises:
        InputError: it is no NIfTI-1, breaks off, has a spacing that is not positive, axes that are not at right angles,
            infinite voxels or too many NaN.
        EOFError, zlib.error: its compressed voxels are damaged.
    """
    with _chunks(path) as chunks:
        header = _header(path, next(chunks, b""))
    with _chunks(path) as chunks:
        length, nan = _scan(chunks, header)
    if length < header.voxel_offset + header.voxels * header.bits // 8:
        raise damaged(path)
    return _geometry_notices(header), nan


@contextmanager
def _chunks(path: Path) -> Iterator[Iterator[bytes]]:
    with path.open("rb") as stream:
        compressed = stream.read(2) == b"\x1f\x8b"
        stream.seek(0)
        yield unpacked(stream, GZIP) if compressed else plain(stream)


def _header(path: Path, raw: bytes) -> _Header:
    for order in "<>":
        if len(raw) < _HEADER_BYTES or struct.unpack_from(f"{order}i", raw)[0] != 348:
            continue
        count, *dimensions = struct.unpack_from(f"{order}8h", raw, 40)
        if raw[344:346] not in (b"n+", b"ni") or not 1 <= count <= 7:
            continue
        rows = np.reshape(struct.unpack_from(f"{order}12f", raw, 280), (3, 4)).astype(np.float64)
        datatype, bits = struct.unpack_from(f"{order}2h", raw, 70)
        (offset,) = struct.unpack_from(f"{order}f", raw, 108)
        if not (np.isfinite(offset) and offset >= 0) or bits != _BITS.get(datatype, bits):
            raise damaged(path)
        return _Header(
            order=order,
            dimensions=tuple(dimensions[:count]),
            datatype=datatype,
            bits=bits,
            spacing=struct.unpack_from(f"{order}8f", raw, 76)[1 : count + 1],
            voxel_offset=int(offset),
            codes=struct.unpack_from(f"{order}2h", raw, 252),
            axes=rows[:, :3],
            scales=tuple(np.linalg.norm(rows[:, :3], axis=0)),
        )
    if raw[:4] in (struct.pack("<i", 540), struct.pack(">i", 540)):
        raise InputError(f"{path} is NIfTI-2, which is not read here.", "Save the CT as NIfTI-1 or NRRD.")
    raise InputError(f"{path} is not a NIfTI file, whatever its name says.", "Export the CT as NIfTI again.")


def _scan(chunks: Iterable[bytes], header: _Header) -> tuple[int, np.ndarray]:
    """Bytes in the stream, and the flat indices of its NaN."""
    kind = _FLOAT_TYPES.get(header.datatype)
    if kind is None:
        return sum(map(len, chunks)), np.empty(0, np.int64)
    dtype = np.dtype(header.order + kind)
    length, voxel, missing = 0, 0, 0
    found: list[np.ndarray] = []
    pending, skip = b"", header.voxel_offset
    for chunk in chunks:
        length += len(chunk)
        skipped = min(skip, len(chunk))
        skip -= skipped
        pending += chunk[skipped:]
        values = np.frombuffer(pending, dtype, min(len(pending) // dtype.itemsize, header.voxels - voxel))
        pending = pending[values.nbytes :] if voxel + values.size < header.voxels else b""
        if np.isinf(values).any():
            raise infinite_voxels()
        nan = np.flatnonzero(np.isnan(values))
        missing += nan.size
        if nan.size and missing <= MOST_NAN_SHARE * header.voxels:
            found.append(nan + voxel)
        voxel += values.size
    if missing > MOST_NAN_SHARE * header.voxels:
        raise too_many_nan(missing / header.voxels)
    return length, np.concatenate(found) if found else np.empty(0, np.int64)


def _geometry_notices(header: _Header) -> list[Notice]:
    spatial = header.spacing[:3]
    check_spacing(spatial)
    if header.codes == (0, 0):
        return [NO_ORIENTATION]
    if header.codes[1] > 0 and len(spatial) == 3:  # ITK would pass over a sheared sform and take the qform
        with np.errstate(all="ignore"):
            directions = header.axes / np.array(header.scales)
        check_directions(directions)
    if header.codes[1] > 0 and not np.allclose(header.scales[: len(spatial)], spatial, rtol=0.01):
        stated = " x ".join(f"{spacing:g}" for spacing in spatial)
        other = " x ".join(f"{scale:.3g}" for scale in header.scales)
        message = f"The header gives two voxel spacings, {stated} and {other} mm; the first is used."
        return [Notice("two-spacings", message)]
    return []

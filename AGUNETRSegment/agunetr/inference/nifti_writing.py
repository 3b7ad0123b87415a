"""Writes compressed NIfTI in a fraction of the time that a compressor takes for a mask that is nearly all 0.

ITK writes the header, from an image of one voxel at the same place; only its size is changed. The voxels follow as one
gzip stream (RFC 1952). Runs of zeros are not compressed again and again: the compressed form of a block of zeros is
put in as often as it is needed. That is allowed because a block which ends in a full flush depends on nothing before
it (zlib's manual, ``Z_FULL_FLUSH``).
"""

from __future__ import annotations

import functools
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import SimpleITK as sitk

from agunetr.inference.volume import Volume

BLOCK = 1 << 14
BLOCKS_AT_ONCE = 64
"""Zeros are put in 1 MB at a time where there are so many."""

LEVEL_OF_MASKS = 6
LEVEL_OF_MAPS = 1
"""Level 6 takes four times as long for a map of floating-point numbers, and its file is 3 % smaller."""

_GZIP_HEADER = b"\x1f\x8b\x08" + bytes(6) + b"\xff"
_LAST_BLOCK = b"\x03\x00"
_RAW = -zlib.MAX_WBITS
_DIMENSIONS_AT = 42
_HEADER_BYTES = 352


def write_compressed_nifti(volume: Volume, path: Path) -> None:
    """Write voxels of a type that NIfTI and ITK have to ``path``, which is replaced.

    Raises:
        OSError: it cannot be written.
        RuntimeError: ITK cannot write such voxels.
    """
    header = _header(volume, path)
    array = np.ascontiguousarray(volume.array).astype(volume.array.dtype.newbyteorder("<"), copy=False)
    level = LEVEL_OF_MAPS if np.issubdtype(array.dtype, np.floating) else LEVEL_OF_MASKS
    with path.open("wb") as file:
        file.write(_GZIP_HEADER)
        file.write(_compressed(header, level))
        checksum = _write_voxels(array.reshape(-1).view(np.uint8), file, level, zlib.crc32(header))
        file.write(_LAST_BLOCK)
        file.write(struct.pack("<II", checksum, (len(header) + array.nbytes) & 0xFFFFFFFF))


def _header(volume: Volume, path: Path) -> bytes:
    """What ITK puts before the voxels."""
    one_voxel = Volume(np.zeros((1, 1, 1), volume.array.dtype), volume.ijk_to_ras)
    plain = path.with_name(f"{path.name.removesuffix('.gz').removesuffix('.nii')}.header.nii")
    try:
        sitk.WriteImage(one_voxel.to_sitk(), str(plain), False)
        header = bytearray(plain.read_bytes()[:_HEADER_BYTES])
    finally:
        plain.unlink(missing_ok=True)
    if len(header) != _HEADER_BYTES or struct.unpack_from("<i", header)[0] != 348:
        raise RuntimeError("ITK wrote no NIfTI-1 header in this machine's byte order.")
    struct.pack_into("<h", header, _DIMENSIONS_AT - 2, 3)
    struct.pack_into("<3h", header, _DIMENSIONS_AT, *volume.size)
    return bytes(header)


def _write_voxels(voxels: np.ndarray, file: BinaryIO, level: int, checksum: int) -> int:
    """Write the bytes compressed; their checksum goes on from the one given."""
    for first, stop, is_zero in _runs(voxels):
        run = voxels[first:stop]
        checksum = zlib.crc32(run, checksum)
        if not is_zero:
            file.write(_compressed(run, level))
            continue
        many, few = divmod(stop - first, BLOCK * BLOCKS_AT_ONCE)
        file.write(_zeros(BLOCK * BLOCKS_AT_ONCE) * many)
        file.write(_zeros(BLOCK) * (few // BLOCK))
    return checksum


def _runs(voxels: np.ndarray) -> Iterator[tuple[int, int, bool]]:
    """First and one-past-last byte of stretches that are all 0 or not, cut at whole blocks."""
    whole = voxels.size // BLOCK * BLOCK
    filled = voxels[:whole].reshape(-1, BLOCK).view(np.uint64).max(axis=1, initial=0) > 0
    edges = [0, *(np.flatnonzero(filled[1:] != filled[:-1]) + 1).tolist(), len(filled)]
    for first, stop in zip(edges[:-1], edges[1:], strict=True):
        if stop > first:
            yield first * BLOCK, stop * BLOCK, not filled[first]
    if whole < voxels.size:
        yield whole, voxels.size, False


def _compressed(data: bytes | np.ndarray, level: int) -> bytes:
    """A piece of a raw deflate stream that can stand anywhere in it but at its end."""
    packer = zlib.compressobj(level, zlib.DEFLATED, _RAW)
    return packer.compress(data) + packer.flush(zlib.Z_FULL_FLUSH)


@functools.cache
def _zeros(count: int) -> bytes:
    return _compressed(bytes(count), 9)

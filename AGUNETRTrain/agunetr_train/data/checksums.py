"""Checksums of files and of voxels."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from agunetr.inference.resampling import nearest_ras_axes
from agunetr.inference.volume import Volume

_CHUNK_BYTES = 1 << 20
_INT16 = np.iinfo(np.int16)


def file_checksum(path: Path, method: str = "sha256") -> str:
    """The hexadecimal checksum of a file, read piece by piece.

    Args:
        path: the file.
        method: ``sha256`` or another one of :mod:`hashlib`.
    """
    digest = hashlib.new(method, usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def voxel_checksum(volume: Volume) -> str:
    """The SHA-256 of the voxels alone, rounded to whole HU and along RAS axes.

    The same scan has it however it was stored: as another format, number type, compression or axis order, or under
    another origin.
    """
    axes, flips = nearest_ras_axes(volume)
    # The array's axes are (k, j, i); right, anterior, superior shall be its last, middle and first one.
    turned = volume.array.transpose([2 - axis for axis in reversed(axes)])
    turned = turned[tuple(slice(None, None, -1 if flip else 1) for flip in reversed(flips))]
    digest = hashlib.sha256(repr(turned.shape).encode())
    for section in turned:
        whole = np.clip(np.rint(section), _INT16.min, _INT16.max).astype("<i2")
        digest.update(np.ascontiguousarray(whole).tobytes())
    return digest.hexdigest()

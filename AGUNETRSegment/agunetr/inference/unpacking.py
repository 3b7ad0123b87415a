"""Unpacking compressed voxels as a stream, to see whether they are complete."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from agunetr.errors import InputError

GZIP = zlib.MAX_WBITS | 16
GZIP_OR_ZLIB = zlib.MAX_WBITS | 32

_CHUNK = 1 << 20


def damaged(path: Path) -> InputError:
    """The refusal of a file that breaks off or holds damaged voxels."""
    return InputError(f"{path} is incomplete or damaged.", "Copy or export it again.")


def unpacked(stream: BinaryIO, kind: int) -> Iterator[bytes]:
    """The unpacked chunks of one or several zlib or gzip streams; their checksums are verified.

    Args:
        stream: at the first compressed byte.
        kind: ``GZIP`` or ``GZIP_OR_ZLIB``.

    Raises:
        EOFError: it breaks off.
        zlib.error: it is damaged.
    """
    unpacker = zlib.decompressobj(kind)
    begun = False
    while chunk := stream.read(_CHUNK):
        while chunk:
            if not begun:  # zeros may follow a stream as padding; anything else is another one (pigz, bgzip)
                chunk = chunk.lstrip(b"\0")
                begun = bool(chunk)
            yield unpacker.decompress(chunk, _CHUNK)  # bounded: a few bytes may unpack to gigabytes
            chunk = unpacker.unconsumed_tail
            if unpacker.eof:
                chunk = unpacker.unused_data
                unpacker, begun = zlib.decompressobj(kind), False
    if begun:
        raise EOFError


def plain(stream: BinaryIO) -> Iterator[bytes]:
    """The chunks of a stream that is not compressed."""
    while chunk := stream.read(_CHUNK):
        yield chunk

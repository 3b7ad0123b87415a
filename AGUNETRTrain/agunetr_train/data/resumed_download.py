"""A download that goes on where it broke off, and whose file is there only when its checksum is right."""

from __future__ import annotations

import http.client
import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from agunetr.errors import InputError, OutputError
from agunetr.inference.writing import LEAST_FREE_BYTES, check_output_folder
from agunetr_train.data.checksums import file_checksum

PART_ENDING = ".part"
_CHUNK_BYTES = 1 << 20
_SILENT_SECONDS = 30.0
_RANGE_NOT_SATISFIABLE = 416


def download(
    address: str, target: Path, md5: str, progress: Callable[[str, int, int], None] = lambda stage, done, total: None
) -> None:
    """Bring ``address`` to ``target``.

    What came so far lies in ``<target>.part``. It is asked for the rest only (RFC 9110, range requests); a server that
    does not know ranges sends all of it again.

    Args:
        address: http or https.
        target: the file; its folder exists.
        md5: its checksum.
        progress: called with ("download", bytes done, bytes in all or 0 where the server does not say).

    Raises:
        InputError: the server cannot be reached or refuses, the download breaks off, or the checksum is wrong.
        OutputError: the disk has no room, or the folder cannot be written to.
    """
    part = target.with_name(target.name + PART_ENDING)
    try:
        _fetch(address, part, progress)
    except urllib.error.HTTPError as error:
        error.close()
        raise InputError(
            f"The server refused {address} ({error.code} {error.reason}).",
            "Try again later, or download it elsewhere and give its folder.",
        ) from error
    except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
        came = part.stat().st_size if part.is_file() else 0
        if not came:
            raise InputError(
                f"{address} cannot be reached ({getattr(error, 'reason', error)}).",
                "Check the network, or download the data elsewhere and give their folder.",
            ) from error
        raise InputError(
            f"The download of {address} broke off after {came / 1e6:,.1f} MB ({getattr(error, 'reason', error)}).",
            "Run the same command again: it goes on from there.",
        ) from error
    found = file_checksum(part, "md5")
    if found != md5:
        part.unlink()
        raise InputError(
            f"What came from {address} has the MD5 checksum {found} instead of {md5}; it was removed.",
            "Run the same command again, or download the data elsewhere and give their folder.",
        )
    os.replace(part, target)


def _fetch(address: str, part: Path, progress: Callable[[str, int, int], None]) -> None:
    there = part.stat().st_size if part.is_file() else 0
    request = urllib.request.Request(address, headers={"Range": f"bytes={there}-"} if there else {})
    try:
        response = urllib.request.urlopen(request, timeout=_SILENT_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code == _RANGE_NOT_SATISFIABLE and there:  # nothing is left to send; the checksum decides
            error.close()
            return
        raise
    with response:
        if not _continues(response, there):
            there = 0
        length = response.headers.get("Content-Length", "")
        total = there + int(length) if length.isdecimal() else 0
        check_output_folder(part.parent, max(LEAST_FREE_BYTES, total - there))
        with part.open("ab" if there else "wb") as file:
            progress("download", there, total)
            while chunk := response.read(_CHUNK_BYTES):
                _append(file, chunk)
                there += len(chunk)
                progress("download", there, total)
    if there < total:  # http.client does not tell of a connection that ends early
        raise ConnectionError("the connection ended early")


def _append(file: BinaryIO, chunk: bytes) -> None:
    try:
        file.write(chunk)
        file.flush()  # or a full disk shows itself later, as if the connection had failed
    except OSError as error:
        raise OutputError(
            f"{file.name} cannot be written ({error.strerror or error}).",
            "Free some space and run the same command again: it goes on from there.",
        ) from error


def _continues(response: http.client.HTTPResponse, there: int) -> bool:
    """Whether the answer begins at byte ``there``."""
    first = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return response.status == http.client.PARTIAL_CONTENT and first is not None and int(first[1]) == there

"""Compiled networks on disk, one file each, checked before use.

A file is a first line that names the format, a second with the SHA-256 of what follows, and the compiled network. It is
written beside its final name and renamed, so that no reader ever sees half of it. Whatever is wrong with the cache
costs time, never a result: a damaged file is thrown away and made again, and a folder that cannot be written to is
mentioned in the log.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import tempfile
import time
from pathlib import Path

from agunetr.cache_folder import cache_folder

log = logging.getLogger(__name__)

HEADER = b"AGUNETR compiled network 1\n"
SUFFIX = ".compiled"
UNFINISHED = ".unfinished-"
FILES_KEPT = 12
"""A full-size network takes 0.4 GB, a compact one 30 MB; the ones unused for longest go first."""
UNFINISHED_SECONDS = 24 * 3600.0


class FormCache:
    """Compiled networks by key.

    Args:
        folder: where they lie, made when the first one is kept; ``openvino`` in the user's cache folder where None.
        kept: how many stay.
    """

    def __init__(self, folder: Path | str | None = None, kept: int = FILES_KEPT) -> None:
        self.folder = Path(folder) if folder is not None else _usual_folder()
        self._kept = kept

    def read(self, key: str) -> bytes | None:
        """What was kept under ``key``; None where nothing was, or where it is damaged."""
        if self.folder is None:
            return None
        path = self._path(key)
        try:
            with path.open("rb") as file:
                header, digest, data = file.readline(), file.readline(), file.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            log.warning("The compiled network %s cannot be read (%s); it is compiled again.", path, error.strerror)
            return None
        if header != HEADER or digest.strip() != hashlib.sha256(data).hexdigest().encode():
            self.discard(key, "its checksum is wrong")
            return None
        with contextlib.suppress(OSError):
            os.utime(path)  # the time of last use decides what goes first
        return data

    def keep(self, key: str, data: bytes | memoryview) -> None:
        """Keep ``data`` under ``key`` and let the oldest go; a failure is logged."""
        if self.folder is None:
            return
        unfinished = None
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle, name = tempfile.mkstemp(prefix=UNFINISHED, dir=self.folder)
            unfinished = Path(name)
            with os.fdopen(handle, "wb") as file:
                file.write(HEADER + hashlib.sha256(data).hexdigest().encode() + b"\n")
                file.write(data)
            unfinished.replace(self._path(key))
        except OSError as error:
            log.warning(
                "The compiled network cannot be kept in %s (%s), so it is compiled again in every new process.",
                self.folder,
                error.strerror,
            )
            if unfinished is not None:
                _remove(unfinished)
        self._prune()

    def discard(self, key: str, reason: str) -> None:
        """Throw away what was kept under ``key``, and say so in the log."""
        log.warning("The compiled network %s is compiled again: %s.", self._path(key), reason)
        _remove(self._path(key))

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}{SUFFIX}"

    def _prune(self) -> None:
        with contextlib.suppress(OSError):
            dated = sorted(((_modified(path), path) for path in self.folder.glob(f"*{SUFFIX}")), reverse=True)
            for _, path in dated[self._kept :]:
                _remove(path)
            for path in self.folder.glob(f"{UNFINISHED}*"):
                if time.time() - _modified(path) > UNFINISHED_SECONDS:
                    _remove(path)


def _usual_folder() -> Path | None:
    try:
        return cache_folder() / "openvino"
    except OSError as error:
        log.warning("Compiled networks cannot be kept, so they are compiled in every new process: %s.", error.strerror)
        return None


def _modified(path: Path) -> float:
    """When a file was last changed; long ago where another process has just removed it."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()

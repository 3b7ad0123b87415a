"""Listening to what is printed while something runs: pip's output goes to Slicer's Python console line by line."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator


class _Listening:
    """A standard output that passes everything on and also gives each whole line to a listener."""

    def __init__(self, stream, heard: Callable[[str], None]) -> None:
        self._stream, self._heard = stream, heard
        self._rest = ""

    def write(self, text: str) -> int:
        self._stream.write(text)
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._heard(line.rstrip("\r"))
        return len(text)

    def finish(self) -> None:
        """Give the listener what came without an end of line."""
        if self._rest:
            self._heard(self._rest)
            self._rest = ""

    def __getattr__(self, name: str):
        return getattr(self._stream, name)


@contextlib.contextmanager
def printedLines(heard: Callable[[str], None]) -> Iterator[None]:
    """Call *heard* with every line that this process prints meanwhile; it is printed all the same."""
    listening = _Listening(sys.stdout, heard)
    with contextlib.redirect_stdout(listening):
        try:
            yield
        finally:
            listening.finish()

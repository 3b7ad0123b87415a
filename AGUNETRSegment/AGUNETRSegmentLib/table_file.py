"""A table of results becomes a file, complete or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from .errors import SegmentationError
from .translation import _


def writeTable(path: Path, text: str) -> None:
    """Write a text file; what was there before stays until the new one is complete.

    :raises SegmentationError: kind ``output`` when it cannot be written.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        # With a byte order mark, without which Excel takes "Müller" for another alphabet.
        unfinished.write_text(text, encoding="utf-8-sig", newline="")
        os.replace(unfinished, path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise SegmentationError(
            "output",
            _('"{path}" cannot be written: {reason}.').format(path=path, reason=error.strerror or error),
            _("Choose a folder that exists and is writable; close the file where another program has it open."),
        ) from error


def withSuffix(path: str, suffix: str = ".csv") -> Path:
    """The path that a file dialog gave, with the suffix that users often leave out."""
    chosen = Path(path)
    return chosen if chosen.suffix.lower() == suffix else chosen.with_name(chosen.name + suffix)


def suggestedName(title: str) -> str:
    """A file name from a text that may hold anything."""
    name = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in title)
    return name.strip("._") or "results"

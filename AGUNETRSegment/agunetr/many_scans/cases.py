"""The CTs of a run, and what became of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agunetr.errors import Notice

DONE = "done"
SKIPPED = "skipped"
FAILED = "failed"
CANCELLED = "cancelled"
LEFT_OUT = "left out"
NOT_STARTED = "not started"
STATES = (DONE, SKIPPED, FAILED, CANCELLED, LEFT_OUT, NOT_STARTED)


@dataclass(frozen=True)
class Listing:
    """The CTs to segment.

    Attributes:
        cts: files and DICOM folders, in the order given, a folder's by name.
        many: whether each has a result folder of its own; False for one CT that was named itself.
        notices: what was left out.
    """

    cts: tuple[Path, ...]
    many: bool
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True)
class Case:
    """One CT to segment.

    Attributes:
        number: its place among all CTs of the run, those of other processes included, from 1.
        name: unique in the run; also the name of its result folder.
        path: the CT.
        output: the folder for its results.
    """

    number: int
    name: str
    path: Path
    output: Path


@dataclass(frozen=True)
class Outcome:
    """What became of a case.

    Attributes:
        state: one of :data:`STATES`; ``"skipped"`` is a case that an earlier run finished, ``"left out"`` an image that
            is no CT.
        result: the content of ``result.json``; None unless done or skipped.
        error: why it failed, was cancelled or left out, else None.
    """

    case: Case
    state: str
    result: Mapping[str, Any] | None = None
    error: BaseException | None = None

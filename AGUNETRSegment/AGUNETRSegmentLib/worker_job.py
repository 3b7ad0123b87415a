"""What is asked of the worker, who is told of it, and how it can end badly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .errors import SegmentationError
from .translation import _


@dataclass(frozen=True)
class Progress:
    """How far a job is: *done* of *total* steps of a stage; *secondsLeft* is None while unknown."""

    stage: str
    done: int
    total: int
    secondsLeft: float | None = None


def ignore(*_values) -> None:
    """The callback of who does not listen."""


@dataclass(frozen=True)
class JobCallbacks:
    """Who is told of a job. Exactly one of *result* and *error* is called, once, at its end.

    :ivar progress: takes a :class:`Progress`.
    :ivar result: takes the parsed ``result.json``, a dict.
    :ivar error: takes a :class:`SegmentationError`; kind ``cancelled`` after a cancel.
    """

    progress: Callable[[Progress], None] = ignore
    result: Callable[[dict], None] = ignore
    error: Callable[[SegmentationError], None] = ignore


@dataclass
class Pending:
    """A request that the worker has not answered yet."""

    request: dict
    callbacks: JobCallbacks
    answered: bool = False  # whether anything came back: then the request is never sent a second time
    resent: bool = False
    killAt: float | None = None

    @property
    def isJob(self) -> bool:
        """Whether it is a segmentation and not a question."""
        return "job" in self.request


def cancelled() -> SegmentationError:
    """The end of what was given up."""
    return SegmentationError("cancelled", _("Cancelled; nothing was added to the scene."))


def crashed(code: int, lastLog: str) -> SegmentationError:
    """The end of a worker that did not mean to end.

    :param code: its exit code; negative: the signal that ended it.
    :param lastLog: the last lines of its standard error.
    """
    if "No module named" in lastLog:
        return SegmentationError(
            "dependencies", _("The segmentation engine could not be loaded: a Python package is missing."),
            _('Open "Setup" and install what is missing.'), lastLog)
    if code < 0:
        message = _("The worker was ended by signal {number}.").format(number=-code)
    else:
        message = _("The worker ended unexpectedly with exit code {code}.").format(code=code)
    return SegmentationError(
        "crash", message,
        _("If this happens again, close other programs to free memory or choose another device; the last lines of its "
          "log say more."), lastLog)

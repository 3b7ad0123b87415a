"""What a command says: text and progress bars for people, or one JSON object a line for programs."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any, Protocol, TextIO

from agunetr.errors import AgunetrError
from agunetr.events import EventStream, ProgressEvents, claimed_stdout

Progress = Callable[[str, int, int], None]
DEPENDENCIES_REMEDY = (
    "`agunetr doctor` lists what is there and how to get the rest; in Slicer, open Setup in the module AGUNETR Segment."
)


class Console(Protocol):
    """Where a command's words go; every method but :meth:`error` may do nothing."""

    def say(self, text: str = "") -> None:
        """Tells people something."""

    def event(self, event: str, **fields: Any) -> None:
        """Tells programs something."""

    def error(self, error: BaseException, **fields: Any) -> None:
        """Reports a failure."""

    def progress(self, **fields: Any) -> contextlib.AbstractContextManager[Progress]:
        """A progress callback for one case."""


class TextConsole:
    """Results on standard output; errors and, on a terminal, progress bars on standard error.

    Args:
        quiet: errors only.
    """

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._bars = 0

    def say(self, text: str = "") -> None:
        """Prints a line, above the bar where there is one."""
        if self._quiet:
            return
        if self._bars:
            from tqdm import tqdm

            tqdm.write(text, file=sys.stdout)
        else:
            print(text, flush=True)

    def event(self, event: str, **fields: Any) -> None:
        """Nothing: events are for programs."""

    def error(self, error: BaseException, **fields: Any) -> None:
        """Prints what is wrong and what to do."""
        message, remedy = describe_error(error)
        name = fields.get("case") or fields.get("job")
        about = f"{name}: " if name else ""
        print(f"agunetr: error: {about}{message}", file=sys.stderr)
        if remedy:
            print(f"  {remedy}", file=sys.stderr, flush=True)

    @contextlib.contextmanager
    def progress(self, **fields: Any) -> Iterator[Progress]:
        """A bar that is gone when the case is done; none where standard error is no terminal."""
        if self._quiet or not sys.stderr.isatty():
            yield lambda stage, done, total: None
            return
        bars = _StageBars(sys.stderr)
        self._bars += 1
        try:
            yield bars
        finally:
            self._bars -= 1
            bars.close()


class JsonConsole:
    """Events only, see :mod:`agunetr.events`; errors are events too.

    Args:
        stream: the claimed standard output.
        quiet: no progress events.
    """

    def __init__(self, stream: TextIO, quiet: bool = False) -> None:
        self._events = EventStream(stream)
        self._quiet = quiet

    def say(self, text: str = "") -> None:
        """Nothing: words are for people."""

    def event(self, event: str, **fields: Any) -> None:
        """Writes one event."""
        self._events.emit(event, **fields)

    def error(self, error: BaseException, **fields: Any) -> None:
        """Writes one ``error`` event."""
        message, remedy = describe_error(error)
        self._events.emit("error", **fields, kind=error_kind(error), message=message, remedy=remedy)

    @contextlib.contextmanager
    def progress(self, **fields: Any) -> Iterator[Progress]:
        """Throttled ``progress`` events."""
        yield (lambda stage, done, total: None) if self._quiet else ProgressEvents(self._events, **fields)


class _StageBars:
    """One tqdm bar a stage, each in the place of the one before."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._bar: Any = None
        self._stage = ""

    def __call__(self, stage: str, done: int, total: int) -> None:
        from tqdm import tqdm

        if self._bar is None or stage != self._stage or done < self._bar.n:
            self.close()
            self._stage = stage
            self._bar = tqdm(total=total, desc=stage, file=self._stream, leave=False, **_width(self._stream))
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _width(stream: TextIO) -> dict[str, Any]:
    """tqdm's arguments for the bar's width; some terminals (serial lines, recorders) say that they have no size."""
    try:
        columns = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        columns = 0
    return {"dynamic_ncols": True} if columns else {"ncols": 80, "nrows": 24}


@contextlib.contextmanager
def open_console(as_json: bool, quiet: bool) -> Iterator[Console]:
    """The console that the arguments ask for, for the time of one command."""
    if not as_json:
        yield TextConsole(quiet)
        return
    with claimed_stdout() as stream:
        yield JsonConsole(stream, quiet)


def error_kind(error: BaseException) -> str:
    """A word for programs, see :mod:`agunetr.worker`."""
    if isinstance(error, AgunetrError):
        return error.kind
    if isinstance(error, MemoryError):
        return "memory"
    if isinstance(error, ImportError):
        return "dependencies"
    return "cancelled" if isinstance(error, KeyboardInterrupt) else "unexpected"


def describe_error(error: BaseException) -> tuple[str, str]:
    """What is wrong and what to do; a fault's traceback goes to standard error."""
    if isinstance(error, AgunetrError):
        return error.message, error.remedy
    if isinstance(error, MemoryError):
        return "The machine ran out of memory.", "Close other programs, or use a compact model."
    if isinstance(error, KeyboardInterrupt):
        return "Interrupted; nothing was written for the case at hand.", ""
    if isinstance(error, ImportError):
        traceback.print_exception(error)
        return f"The Python package {error.name or error} is missing or damaged.", DEPENDENCIES_REMEDY
    traceback.print_exception(error)
    return f"A fault in the program: {type(error).__name__}: {error}", "Please report it with the lines above."

"""One JSON object a line: the output of the worker and of the command line's ``--json``.

Two things make such a stream dependable. Standard output is *claimed*: the stream keeps the original file
descriptor for itself and descriptor 1 is pointed at standard error, so a library that prints, even from C++ or
from a child process, cannot get between two lines. And every line is written under one lock and flushed, so
events of several threads never mix.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TextIO

PROGRESS_PER_SECOND = 10


def jsonable(value: Any) -> Any:
    """``value`` with everything that strict JSON lacks replaced: non-finite numbers by None, paths by text.

    numpy scalars become Python numbers, tuples become lists, unknown objects their ``str()``.
    """
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [jsonable(item) for item in value]
    if hasattr(value, "tolist"):
        return jsonable(value.tolist())
    return str(value)


@contextlib.contextmanager
def claimed_stdout() -> Iterator[TextIO]:
    """Keeps standard output for the caller alone; what anything else prints goes to standard error meanwhile."""
    sys.stdout.flush()
    private = os.dup(1)
    python_stdout = sys.stdout
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    try:
        with os.fdopen(os.dup(private), "w", encoding="utf-8", errors="backslashreplace", newline="\n") as stream:
            yield stream
    finally:
        sys.stdout = python_stdout
        os.dup2(private, 1)
        os.close(private)


class EventStream:
    """Writes events, one JSON object a line, from any thread.

    Args:
        stream: a text stream of its own, see :func:`claimed_stdout`.
        on_closed: called once when the reader has gone; later events are dropped.
    """

    def __init__(self, stream: TextIO, on_closed: Callable[[], None] | None = None) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._on_closed = on_closed
        self._closed = False

    def emit(self, event: str, **fields: Any) -> None:
        """Writes one line, ``{"event": event, ...fields}``."""
        line = json.dumps(jsonable({"event": event, **fields}), ensure_ascii=True, allow_nan=False)
        with self._lock:
            if self._closed:
                return
            try:
                self._stream.write(line + "\n")
                self._stream.flush()
                return
            except (OSError, ValueError):  # the pipe is broken, or the stream was closed at exit
                self._closed = True
        if self._on_closed is not None:
            self._on_closed()


class ProgressEvents:
    """A progress callback that emits ``progress`` events, at most ten a second.

    The first and the last call of a stage are always sent, so a reader can show every stage and see it full.
    ``seconds_left`` is the estimate for the stage at hand, None until something can be said.

    Args:
        stream: where the events go.
        clock: seconds, monotonic; handed in by tests.
        fields: what every event carries besides, for example ``job``.
    """

    def __init__(self, stream: EventStream, clock: Callable[[], float] = time.monotonic, **fields: Any) -> None:
        self._stream = stream
        self._clock = clock
        self._fields = fields
        self._stage: str | None = None
        self._done = 0
        self._first = (0.0, 0)
        self._sent_at = -math.inf

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Reports ``done`` of ``total`` steps of ``stage``."""
        now = self._clock()
        new_stage = stage != self._stage or done < self._done
        if new_stage:
            self._stage, self._first = stage, (now, done)
        self._done = done
        if not new_stage and done < total and now - self._sent_at < 1 / PROGRESS_PER_SECOND:
            return
        self._sent_at = now
        started, first_done = self._first
        steps = done - first_done
        left = round((now - started) / steps * (total - done), 1) if steps > 0 else None
        self._stream.emit("progress", **self._fields, stage=stage, done=done, total=total, seconds_left=left)


class LogEvents(logging.Handler):
    """Forwards the engine's log records as ``log`` events."""

    def __init__(self, stream: EventStream) -> None:
        super().__init__(logging.INFO)
        self._stream = stream

    def emit(self, record: logging.LogRecord) -> None:
        """Sends one record; its traceback, if any, stays in the log on standard error."""
        self._stream.emit("log", level=record.levelname.lower(), message=record.getMessage())

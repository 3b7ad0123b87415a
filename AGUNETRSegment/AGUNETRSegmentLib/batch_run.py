"""Many CTs in a child process: the engine's command line, watched without blocking the application.

The worker of the panel is another process: it stays free meanwhile. The child skips the cases that an earlier batch
has finished, and leaves by itself when this application ends, for its standard input then ends, too.

.. code-block:: python

    run = BatchRun(qt.QTimer.singleShot, changed=lambda: ..., ended=lambda error: ...)
    run.start(BatchRequest("/data/cts", "/data/spleens", ["compact-gated"]))
    run.stop()      # the case that is being written is finished; a second time: at once
    run.close()     # when the module or the application goes
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence

from .batch_command import BatchRequest
from .batch_table import BatchTable
from .engine_command import engineCommand
from .errors import SegmentationError
from .worker_job import crashed, ignore
from .worker_process import WorkerProcess, defaultEnvironment

PUMP_MILLISECONDS = 100
LINES_PER_PUMP = 200  # a chatty child must not hold the application's event loop
STOP_SECONDS = 20.0  # a large CT that is being written may need as long; nobody waits for it at the screen
STOP_NOW_SECONDS = 1.6
CLOSE_SECONDS = 0.5
ENDED_WELL = (0, 7)  # all cases are done, or some failed and the table says which


class BatchRun:
    """Runs one batch at a time.

    :param schedule: ``schedule(milliseconds, function)`` calls *function* later, once (``qt.QTimer.singleShot``).
    :param changed: called when :attr:`table` or :attr:`stopping` has changed, at most ten times a second.
    :param ended: called once at the end with a :class:`SegmentationError`, or None where the table says it all.
    :param log: takes (level, text) of what should be in the log.
    :param command: makes program and arguments of the command's arguments; a test hands in its own.
    :param environment: of the child; default: this process's, with the engine in its Python path.
    :param clock: seconds, monotonic; a test hands in its own.
    :ivar table: the cases of the batch at hand, or of the last one.
    """

    def __init__(
        self,
        schedule: Callable[[int, Callable[[], None]], object],
        changed: Callable[[], None] = ignore,
        ended: Callable[[SegmentationError | None], None] = ignore,
        log: Callable[[str, str], None] = ignore,
        command: Callable[[Sequence[str]], list[str]] = engineCommand,
        environment: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._schedule, self._changed, self._ended, self._log = schedule, changed, ended, log
        self._command, self._environment, self._clock = command, environment, clock
        self.table = BatchTable()
        self._process: WorkerProcess | None = None
        self._error: SegmentationError | None = None
        self._stops = 0
        self._killAt: float | None = None
        self._startedAt = 0.0

    @property
    def running(self) -> bool:
        """Whether a batch is under way."""
        return self._process is not None

    @property
    def stopping(self) -> bool:
        """Whether the batch at hand was asked to stop, or the last one was."""
        return self._stops > 0

    @property
    def seconds(self) -> float:
        """Since the batch began."""
        return self._clock() - self._startedAt

    @property
    def pid(self) -> int | None:
        """The child's process id while it runs."""
        return self._process.pid if self._process else None

    def start(self, request: BatchRequest) -> None:
        """Begin; the callbacks tell the rest.

        :raises SegmentationError: kind ``start``, the child cannot be started.
        :raises RuntimeError: a batch runs.
        """
        if self._process:
            raise RuntimeError("A batch runs already.")
        environment = self._environment if self._environment is not None else defaultEnvironment()
        process = WorkerProcess(self._command(request.arguments()), environment)
        self.table = BatchTable()
        self._error, self._stops, self._killAt = None, 0, None
        self._startedAt = self._clock()
        self._process = process
        self._schedule(PUMP_MILLISECONDS, self.pump)

    def stop(self) -> None:
        """Ask the child to stop after the window at hand; asked again, it drops what it is writing."""
        if self._process is None:
            return
        self._stops += 1
        self._process.send("stop")
        patience = STOP_SECONDS if self._stops == 1 else STOP_NOW_SECONDS
        end = self._clock() + patience
        self._killAt = end if self._killAt is None else min(end, self._killAt)
        self._changed()

    def close(self) -> None:
        """End the child now; nobody is told. What it has finished stays."""
        process, self._process = self._process, None
        if process:
            process.send("stop")
            process.leave(CLOSE_SECONDS)  # its line is the second one: stop at once

    def pump(self) -> None:
        """Take what the child said, and watch over it. Called by the timer every 100 ms while it runs."""
        process = self._process
        if process is None:
            return
        try:
            code = process.exitCode()  # first: once it has ended, all its lines are there to be taken
            taken = self._takeLines(process)
            if code is not None and taken < LINES_PER_PUMP:
                self._finish(process, code)
            elif code is None and self._killAt is not None and self._clock() >= self._killAt:
                process.kill()
            elif taken:
                self._changed()
        finally:  # also when a callback raised: the child still has to be watched
            if self._process:
                self._schedule(PUMP_MILLISECONDS, self.pump)

    def _takeLines(self, process: WorkerProcess) -> int:
        for count in range(LINES_PER_PUMP):
            line = process.takeLine()
            if line is None:
                return count
            try:
                event = json.loads(line)
                kind = event["event"]
            except (ValueError, TypeError, KeyError):
                self._log("warning", line)  # a library's own words
                continue
            if self.table.take(event):
                continue
            if kind == "error":
                self._error = SegmentationError(
                    str(event.get("kind", "unexpected")), str(event.get("message", "")), str(event.get("remedy") or ""),
                    process.lastLog())
            elif kind == "notice":
                self._log("warning", str(event.get("message", "")))
        return LINES_PER_PUMP

    def _finish(self, process: WorkerProcess, code: int) -> None:
        self._process = None
        process.leave(0.0)  # closes its input; it has ended already
        error = self._error
        if self.stopping:
            error = None
        elif error is None and (code < 0 or (code not in ENDED_WELL and not self.table.over)):
            error = crashed(code, process.lastLog())
        self.table.end(crashed=not self.stopping)
        self._changed()
        self._ended(error)

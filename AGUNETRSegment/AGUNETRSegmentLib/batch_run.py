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

import time
from collections.abc import Callable, Mapping

from .batch_command import BatchRequest
from .batch_table import BatchTable
from .errors import SegmentationError
from .watched_command import ENDED_WELL, PUMP_MILLISECONDS, WatchedCommand, reportedError
from .worker_job import crashed
from .worker_process import WorkerProcess, defaultEnvironment

__all__ = ["PUMP_MILLISECONDS", "BatchRun"]

STOP_SECONDS = 20.0  # a large CT that is being written may need as long; nobody waits for it at the screen
STOP_NOW_SECONDS = 1.6
CLOSE_SECONDS = 0.5


class BatchRun(WatchedCommand):
    """Runs one batch at a time; see :class:`WatchedCommand` for the arguments.

    :param clock: seconds, monotonic; a test hands in its own.
    :ivar table: the cases of the batch at hand, or of the last one.
    """

    def __init__(self, *arguments, clock: Callable[[], float] = time.monotonic, **named) -> None:
        super().__init__(*arguments, **named)
        self._clock = clock
        self.table = BatchTable()
        self._error: SegmentationError | None = None
        self._killAt: float | None = None
        self._startedAt = 0.0

    @property
    def seconds(self) -> float:
        """Since the batch began."""
        return self._clock() - self._startedAt

    def start(self, request: BatchRequest) -> None:
        """Begin; the callbacks tell the rest.

        :raises SegmentationError: kind ``start``, the child cannot be started.
        :raises RuntimeError: a batch runs.
        """
        self._begin(request.arguments(), "A batch runs already.")
        self.table = BatchTable()
        self._error, self._killAt = None, None
        self._startedAt = self._clock()

    def childEnvironment(self) -> Mapping[str, str]:
        return defaultEnvironment()

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

    def _overdue(self) -> bool:
        return self._killAt is not None and self._clock() >= self._killAt

    def _take(self, kind: str, event: dict, process: WorkerProcess) -> None:
        if self.table.take(event):
            return
        if kind == "error":
            self._error = reportedError(event, process.lastLog())
        elif kind == "notice":
            self._log("warning", str(event.get("message", "")))

    def _finish(self, code: int, lastLog: str) -> None:
        error = self._error
        if self.stopping:
            error = None
        elif error is None and (code < 0 or (code not in ENDED_WELL and not self.table.over)):
            error = crashed(code, lastLog)
        self.table.end(crashed=not self.stopping)
        self._changed()
        self._ended(error)

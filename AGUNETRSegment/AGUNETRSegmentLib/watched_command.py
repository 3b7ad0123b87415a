"""One of the engine's commands in a child process, watched without blocking the application."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

from .engine_command import engineCommand
from .errors import SegmentationError
from .worker_job import ignore
from .worker_process import WorkerProcess

PUMP_MILLISECONDS = 100
LINES_PER_PUMP = 200  # a chatty child must not hold the application's event loop
ENDED_WELL = (0, 7)  # everything is done, or some of it failed and what was told says which


class WatchedCommand:
    """Runs one command at a time; a subclass says what its events mean.

    The child prints one JSON event a line, stops politely on a line of its standard input and at once on a second one,
    and leaves by itself when this application ends, for its standard input then ends, too.

    :param schedule: ``schedule(milliseconds, function)`` calls *function* later, once (``qt.QTimer.singleShot``).
    :param changed: called when something that is shown has changed, at most ten times a second.
    :param ended: called once at the end with a :class:`SegmentationError`, or None where what was told says it all.
    :param log: takes (level, text) of what should be in the log.
    :param command: makes program and arguments of the command's arguments; a test hands in its own.
    :param environment: of the child; None: what :meth:`childEnvironment` makes.
    """

    foreignLineLevel = "warning"
    """Of a library's own words among the events."""

    def __init__(
        self,
        schedule: Callable[[int, Callable[[], None]], object],
        changed: Callable[[], None] = ignore,
        ended: Callable[[SegmentationError | None], None] = ignore,
        log: Callable[[str, str], None] = ignore,
        command: Callable[[Sequence[str]], list[str]] = engineCommand,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._schedule, self._changed, self._ended, self._log = schedule, changed, ended, log
        self._command, self._environment = command, environment
        self._process: WorkerProcess | None = None
        self._stops = 0

    @property
    def running(self) -> bool:
        """Whether a command is under way."""
        return self._process is not None

    @property
    def stopping(self) -> bool:
        """Whether the command at hand was asked to stop, or the last one was."""
        return self._stops > 0

    @property
    def pid(self) -> int | None:
        """The child's process id while it runs."""
        return self._process.pid if self._process else None

    def pump(self) -> None:
        """Take what the child said, and watch over it. Called by the timer every 100 ms while it runs."""
        process = self._process
        if process is None:
            return
        try:
            code = process.exitCode()  # first: once it has ended, all its lines are there to be taken
            taken = self._takeLines(process)
            if code is not None and taken < LINES_PER_PUMP:
                self._process = None
                process.leave(0.0)  # closes its input; it has ended already
                self._finish(code, process.lastLog())
            elif code is None and self._overdue():
                process.kill()
            elif taken:
                self._changed()
        finally:  # also when a callback raised: the child still has to be watched
            if self._process:
                self._schedule(PUMP_MILLISECONDS, self.pump)

    def childEnvironment(self) -> Mapping[str, str]:
        """The child's environment where none was handed in."""
        raise NotImplementedError

    def _begin(self, arguments: Sequence[str], another: str) -> None:
        """Start the child.

        :param another: what to say where one runs already.
        :raises SegmentationError: kind ``start``, the child cannot be started.
        :raises RuntimeError: one runs already.
        """
        if self._process:
            raise RuntimeError(another)
        environment = self.childEnvironment() if self._environment is None else self._environment
        process = WorkerProcess(self._command(arguments), environment)
        self._stops = 0
        self._process = process
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
                self._log(self.foreignLineLevel, line)
                continue
            self._take(kind, event, process)
        return LINES_PER_PUMP

    def _take(self, kind: str, event: dict, process: WorkerProcess) -> None:
        """What an event means."""
        raise NotImplementedError

    def _finish(self, code: int, lastLog: str) -> None:
        """The child has ended, and all it said was taken; calls *changed* and *ended*."""
        raise NotImplementedError

    def _overdue(self) -> bool:
        """Whether the child was asked to stop and has not, for too long."""
        return False


def reportedError(event: dict, details: str = "") -> SegmentationError:
    """The error that an event ``error`` tells of."""
    return SegmentationError(
        str(event.get("kind", "unexpected")), str(event.get("message", "")), str(event.get("remedy") or ""), details)

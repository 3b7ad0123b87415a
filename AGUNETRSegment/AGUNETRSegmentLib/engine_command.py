"""One command of the engine (``python -m agunetr COMMAND --json``) in a child process, watched without blocking.

For what is asked once and should not depend on the warm worker: the health check, importing and removing models.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence

from .errors import SegmentationError
from .translation import _
from .worker_job import ignore
from .worker_process import WorkerProcess, defaultCommand, defaultEnvironment

POLL_MILLISECONDS = 100


def engineCommand(arguments: Sequence[str]) -> list[str]:
    """Slicer's Python with a command of the engine.

    :raises SegmentationError: kind ``start``, Slicer's Python was not found.
    """
    return [defaultCommand()[0], "-m", "agunetr", *arguments, "--json"]


class EngineCommand:
    """Runs one command at a time.

    :param schedule: ``schedule(milliseconds, function)`` calls *function* later, once (``qt.QTimer.singleShot``).
    :param command: makes program and arguments of the command's arguments; a test hands in its own.
    :param environment: of the child; default: this process's, with the engine in its Python path.
    """

    def __init__(
        self,
        schedule: Callable[[int, Callable[[], None]], object],
        command: Callable[[Sequence[str]], list[str]] = engineCommand,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._schedule, self._command, self._environment = schedule, command, environment
        self._process: WorkerProcess | None = None
        self._events: list[dict] = []
        self._deadline = 0.0
        self._finished: Callable[[list[dict]], None] | None = None
        self._failed: Callable[[SegmentationError], None] | None = None
        self._heard: Callable[[dict], None] = ignore

    @property
    def running(self) -> bool:
        """Whether a command is under way."""
        return self._process is not None

    def start(
        self,
        arguments: Sequence[str],
        finished: Callable[[list[dict]], None],
        failed: Callable[[SegmentationError], None],
        seconds: float = 300.0,
        heard: Callable[[dict], None] = ignore,
    ) -> None:
        """Begin a command; exactly one of the callbacks follows, unless :meth:`stop` is called.

        :param arguments: the command and what belongs to it, for example ``["models", "remove", "mine"]``.
        :param finished: takes the events that the command printed.
        :param failed: takes what went wrong, also an ``error`` event of the command.
        :param seconds: after which the command counts as hung.
        :param heard: takes each event as it comes, for example to show progress.
        :raises SegmentationError: it could not be started.
        """
        if self.running:
            raise SegmentationError("busy", _("Another command is still running."), _("Wait for it."))
        environment = defaultEnvironment() if self._environment is None else self._environment
        self._process = WorkerProcess(self._command(arguments), environment)
        self._events, self._finished, self._failed, self._heard = [], finished, failed, heard
        self._deadline = time.monotonic() + seconds
        self._schedule(POLL_MILLISECONDS, self._poll)

    def stop(self) -> None:
        """End the command, if any; no callback follows."""
        process, self._process = self._process, None
        if process:
            process.kill()

    def _poll(self) -> None:
        process = self._process
        if process is None:
            return
        code = process.exitCode()
        self._takeLines(process)
        if code is None and time.monotonic() < self._deadline:
            self._schedule(POLL_MILLISECONDS, self._poll)
            return
        self._process = None
        if code is None:
            process.kill()
            self._failed(
                SegmentationError(
                    "hung",
                    _("The command did not come to an end."),
                    _("Start Slicer again; if a GPU driver hangs, start the computer again."),
                    process.lastLog(),
                )
            )
            return
        process.leave(0.0)  # closes its input; it has ended already
        error = next((event for event in self._events if event.get("event") == "error"), None)
        if error:
            self._failed(
                SegmentationError(
                    str(error.get("kind", "unexpected")),
                    str(error.get("message", "")),
                    str(error.get("remedy") or ""),
                    process.lastLog(),
                )
            )
        elif not self._events:
            self._failed(
                SegmentationError(
                    "crash",
                    _("Slicer's Python ended with exit code {code} and without an answer.").format(code=code),
                    _("The log says more; copy the diagnostics when you ask for help."),
                    process.lastLog(),
                )
            )
        else:
            self._finished(self._events)

    def _takeLines(self, process: WorkerProcess) -> None:
        while (line := process.takeLine()) is not None:
            try:
                event = json.loads(line)
            except ValueError:
                continue  # a library's own words
            if isinstance(event, dict):
                self._events.append(event)
                self._heard(event)

"""Requests for the worker, one after the other: segmentations, and questions about models and devices.

The worker (the engine's ``worker`` module) is a child process that speaks JSON lines; its docstring documents the
protocol. It stays alive between jobs with its models loaded, so the second job starts at once.

.. code-block:: python

    client = WorkerClient(schedule=qt.QTimer.singleShot)
    job = client.segment(path, ["compact-gated"], folder, {"device": "auto"}, JobCallbacks(
        progress=lambda progress: ..., result=lambda result: ..., error=lambda error: ...))
    client.cancel()     # the error callback comes within two seconds, with kind "cancelled"
    client.stop()       # when the application goes

Only one segmentation may be under way; a question waits until what runs has been answered, and a segmentation waits for
the questions before it.

Callbacks are called from :meth:`WorkerClient.pump`, so always from the thread whose timer calls it. No Qt in here: a
timer is handed in, and a test calls ``pump`` in a loop.
"""

from __future__ import annotations

import itertools
import json
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from .errors import SegmentationError
from .translation import _
from .worker_job import JobCallbacks, Pending, Progress, cancelled, crashed, ignore
from .worker_process import WorkerProcess, defaultCommand, defaultEnvironment

__all__ = ["JobCallbacks", "Progress", "WorkerClient"]

PUMP_MILLISECONDS = 100
LINES_PER_PUMP = 200  # a chatty worker must not hold the application's event loop
# The worker itself gives a step 1.5 s to stop and stays warm then; past that the whole process tree is killed.
KILL_AFTER_SECONDS = 1.6


class WorkerClient:
    """Keeps one worker process and gives it one request at a time.

    :param command: program and arguments; default: Slicer's Python with the engine's worker.
    :param environment: the child's environment; default: this process's, with the engine in its Python path.
    :param schedule: ``schedule(milliseconds, function)`` calls *function* later, once, on this thread
      (``qt.QTimer.singleShot``). Without it the owner calls :meth:`pump` itself.
    :param log: takes (level, text) of the worker's log events.
    :param clock: seconds, monotonic; a test hands in its own.
    """

    def __init__(self, command: Sequence[str] | None = None, environment: Mapping[str, str] | None = None,
                 schedule: Callable[[int, Callable[[], None]], object] | None = None,
                 log: Callable[[str, str], None] = ignore, clock: Callable[[], float] = time.monotonic) -> None:
        self._command, self._environment = command, environment
        self._schedule, self._log, self._clock = schedule, log, clock
        self._process: WorkerProcess | None = None
        self._pending: Pending | None = None
        self._waiting: deque[Pending] = deque()
        self._jobNumbers = itertools.count(1)
        self._pumpIsDue = False

    @property
    def busy(self) -> bool:
        """Whether a request waits for its answer."""
        return self._pending is not None

    @property
    def segmenting(self) -> bool:
        """Whether a segmentation is under way or waits for its turn."""
        return any(pending.isJob for pending in self._all())

    @property
    def pid(self) -> int | None:
        """The worker's process id while it runs."""
        return self._process.pid if self._process else None

    def segment(self, volume: Path, models: Sequence[str], output: Path, options: Mapping,
                callbacks: JobCallbacks, reference: Path | None = None) -> str:
        """Segment an image file.

        :param volume: the image file.
        :param models: names of models.
        :param output: folder for the results; its parent exists.
        :param options: fields of the engine's options (``device``, ``precision``, ``attention`` ...).
        :param reference: a mask file to score the results against.
        :returns: the job's id.
        :raises SegmentationError: kind ``busy`` while another is under way, ``start`` when no worker can be started.
        """
        if self.segmenting:
            raise SegmentationError(
                "busy", _("The worker is busy with another request."), _("Wait for it or cancel it."))
        job = f"job-{next(self._jobNumbers)}"
        request = {
            "command": "segment", "job": job, "volume": str(volume), "models": list(models), "output": str(output),
            "options": dict(options),
        }
        if reference:
            request["reference"] = str(reference)
        self._request(request, callbacks)
        return job

    def listModels(self, callbacks: JobCallbacks) -> None:
        """Ask for the installed models; *result* takes ``{"models": [...], "broken": [...]}``.

        :raises SegmentationError: kind ``start`` when no worker can be started.
        """
        self._request({"command": "models"}, callbacks)

    def listDevices(self, callbacks: JobCallbacks) -> None:
        """Ask where networks can run; *result* takes ``{"devices": [...]}``. Loads PyTorch, so it takes seconds.

        :raises SegmentationError: as :meth:`listModels`.
        """
        self._request({"command": "devices"}, callbacks)

    def cancel(self) -> None:
        """Give up the segmentation, else the question that runs. The *error* callback follows, kind ``cancelled``."""
        for waiting in [waiting for waiting in self._waiting if waiting.isJob]:
            self._waiting.remove(waiting)
            waiting.callbacks.error(cancelled())
            return
        pending = self._pending
        if pending is None or pending.killAt is not None:
            return
        pending.killAt = self._clock() + KILL_AFTER_SECONDS
        if pending.isJob:
            self._send({"command": "cancel", "job": pending.request["job"]})
        self._wakeUp()

    def stop(self, seconds: float = 0.5) -> None:
        """End the worker; whatever is asked ends as cancelled. For the end of the application or a module reload."""
        waiting = list(self._waiting)
        self._waiting.clear()
        process, self._process = self._process, None
        if process:
            if self._pending:
                process.kill()
            else:
                process.leave(seconds)
        self._finish(cancelled())
        for pending in waiting:
            pending.callbacks.error(cancelled())

    def pump(self) -> None:
        """Deliver what the worker sent, and watch over it. Called by the timer every 100 ms while a worker runs."""
        self._pumpIsDue = False
        try:
            self._deliverLines()
            self._watch()
        finally:  # also when a callback raised: the worker still has to be watched
            if self._process:
                self._wakeUp()

    def _all(self) -> list[Pending]:
        return [*([self._pending] if self._pending else []), *self._waiting]

    def _request(self, request: dict, callbacks: JobCallbacks) -> None:
        pending = Pending(request, callbacks)
        if self._pending:
            self._waiting.append(pending)
        else:
            self._begin(pending)

    def _begin(self, pending: Pending) -> None:
        if self._process and self._process.exitCode() is not None:
            self._deliverLines()
            self._process = None  # it left while nobody needed it
        if self._process is None:
            self._start()
        self._pending = pending
        self._send(pending.request)
        self._wakeUp()

    def _start(self) -> None:
        command = self._command if self._command is not None else defaultCommand()
        environment = self._environment if self._environment is not None else defaultEnvironment()
        self._process = WorkerProcess(command, environment)

    def _send(self, request: dict) -> None:
        # A worker that no longer reads is about to be found dead by _watch, which reports it with its log.
        if self._process:
            self._process.send(json.dumps(request))

    def _wakeUp(self) -> None:
        if self._schedule and not self._pumpIsDue:
            self._pumpIsDue = True
            self._schedule(PUMP_MILLISECONDS, self.pump)

    def _deliverLines(self) -> None:
        for _count in range(LINES_PER_PUMP):
            line = self._process.takeLine() if self._process else None
            if line is None:
                return
            try:
                event = json.loads(line)
                kind = event["event"]
            except (ValueError, TypeError, KeyError):
                self._log("warning", line)
                continue
            self._deliver(kind, event)

    def _deliver(self, kind: str, event: dict) -> None:
        if kind == "log":
            self._log(str(event.get("level", "info")), str(event.get("message", "")))
            return
        pending = self._pending
        if pending is None or event.get("job") != pending.request.get("job"):
            return  # "ready", or a late event of a job that was given up
        if kind == "ready":
            return
        pending.answered = True
        if kind == "progress":
            if pending.killAt is None:
                pending.callbacks.progress(Progress(
                    str(event.get("stage", "")), int(event.get("done", 0)), int(event.get("total", 0)),
                    event.get("seconds_left")))
        elif kind == "error" and event.get("kind") == "cancelled":
            self._finish(cancelled())
        elif kind == "error":
            self._finish(SegmentationError(
                str(event.get("kind", "unexpected")), str(event.get("message", "")), str(event.get("remedy") or ""),
                self._process.lastLog() if self._process else ""))
        elif kind in ("result", "models", "devices"):
            result = event.get("result") if kind == "result" else event
            if not isinstance(result, dict):
                result = {}
            # A result that arrives after the user cancelled is not wanted any more.
            self._finish(cancelled() if pending.killAt is not None else result)

    def _watch(self) -> None:
        process, pending = self._process, self._pending
        if process is None:
            return
        code = process.exitCode()
        if code is not None:
            self._deliverLines()
            self._process = None
            pending = self._pending
            if pending is None:
                return
            if pending.killAt is not None:
                self._finish(cancelled())
            elif code == 0 and not pending.answered and not pending.resent:
                # It left for lack of work at the very moment it was asked: ask a new one.
                pending.resent = True
                self._restart(pending)
            else:
                self._finish(crashed(code, process.lastLog()))
        elif pending and pending.killAt is not None and self._clock() >= pending.killAt:
            self._process = None
            process.kill()
            self._finish(cancelled())

    def _restart(self, pending: Pending) -> None:
        try:
            self._start()
        except SegmentationError as error:
            self._finish(error)
            return
        self._send(pending.request)

    def _finish(self, outcome: dict | SegmentationError) -> None:
        pending, self._pending = self._pending, None  # first, so that a callback may start the next job
        if pending is None:
            return
        try:
            if isinstance(outcome, SegmentationError):
                pending.callbacks.error(outcome)
            else:
                pending.callbacks.result(outcome)
        finally:
            self._beginNext()

    def _beginNext(self) -> None:
        while self._waiting and not self._pending:
            waiting = self._waiting.popleft()
            try:
                self._begin(waiting)
            except SegmentationError as error:
                waiting.callbacks.error(error)

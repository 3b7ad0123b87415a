"""The worker's loop: requests in, one job at a time, events out. The protocol is described in :mod:`agunetr.worker`."""

from __future__ import annotations

import contextlib
import os
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any, BinaryIO, Protocol

from agunetr import __version__
from agunetr.errors import AgunetrError, BusyError, Cancelled
from agunetr.events import EventStream, ProgressEvents
from agunetr.worker_requests import (
    MAX_LINE_BYTES,
    CancelRequest,
    DevicesRequest,
    ModelsRequest,
    RequestError,
    SegmentRequest,
    ShutdownRequest,
    parse_request,
)

PROTOCOL = 1
WATCH_SECONDS = 0.5
EXIT_STOPPED_HARD = 130


class Engine(Protocol):
    """What the worker needs of the engine; :class:`agunetr.session.Session` is it, tests hand in their own."""

    def segment(
        self,
        request: SegmentRequest,
        progress: Callable[[str, int, int], None],
        cancelled: Callable[[], bool],
    ) -> dict[str, Any]:
        """Segments one case into files and returns ``result.json``'s content."""

    def models(self) -> dict[str, Any]:
        """``models`` and ``broken`` of the ``models`` event."""

    def devices(self) -> dict[str, Any]:
        """``devices`` of the ``devices`` event."""

    def discard_unfinished(self) -> None:
        """Removes the unfinished files of a job that will be stopped hard."""


class Worker:
    """Reads requests, runs one job at a time in a thread, sends events.

    Args:
        requests: binary stream of lines.
        events: where the events go.
        engine: does the work.
        idle_seconds: leave after so long without a request or a job.
        grace_seconds: how long a cancelled job may take to stop by itself.
        parent_is_gone: tells that nobody is left to work for.
        leave: ends the process at once with an exit code; handed in by tests.
    """

    def __init__(
        self,
        requests: BinaryIO,
        events: EventStream,
        engine: Engine,
        idle_seconds: float = 600.0,
        grace_seconds: float = 1.5,
        parent_is_gone: Callable[[], bool] = lambda: False,
        leave: Callable[[int], Any] = os._exit,
    ) -> None:
        self._requests = requests
        self._events = events
        self._engine = engine
        self._idle_seconds = idle_seconds
        self._grace_seconds = grace_seconds
        self._parent_is_gone = parent_is_gone
        self._leave = leave
        self._lock = threading.Lock()
        self._job: str | int | None = None
        self._thread: threading.Thread | None = None
        self._cancel = threading.Event()
        self._active_at = time.monotonic()

    def serve(self) -> int:
        """Works until ``shutdown`` or the end of the requests; returns the exit code."""
        threading.Thread(target=self._watch, name="watch", daemon=True).start()
        self._events.emit("ready", version=__version__, protocol=PROTOCOL, pid=os.getpid())
        while line := self._read_line():
            self._active_at = time.monotonic()
            if not line.strip():
                continue
            try:
                request = parse_request(line)
                if isinstance(request, ShutdownRequest):
                    break
                self._handle(request)
            except RequestError as error:
                self._send_error(error.job, error)
        return 0 if self.stop() else EXIT_STOPPED_HARD

    def _read_line(self) -> bytes:
        """The next line; of one that is too long only its beginning, so that memory stays bounded."""
        line = self._requests.readline(MAX_LINE_BYTES + 1)
        rest = line
        while rest and not rest.endswith(b"\n"):
            rest = self._requests.readline(MAX_LINE_BYTES)
        return line

    def _handle(self, request: SegmentRequest | CancelRequest | ModelsRequest | DevicesRequest) -> None:
        if isinstance(request, SegmentRequest):
            self._start(request)
        elif isinstance(request, CancelRequest):
            self._cancel_job(request)
        else:  # in a thread: checking models or trying a GPU must not keep a cancel waiting
            asked = "models" if isinstance(request, ModelsRequest) else "devices"
            threading.Thread(target=self._answer, args=(asked,), name=asked, daemon=True).start()

    def _start(self, request: SegmentRequest) -> None:
        with self._lock:
            if self._job is not None:
                busy = BusyError(f"Job {self._job!r} is still running.", "Wait for its result, or cancel it first.")
                self._send_error(request.job, busy)
                return
            self._job = request.job
            self._cancel = threading.Event()
            self._thread = threading.Thread(
                target=self._run, args=(request, self._cancel), name=f"job {request.job}", daemon=True
            )
            self._thread.start()

    def _run(self, request: SegmentRequest, cancel: threading.Event) -> None:
        result: dict[str, Any] | None = None
        failure: BaseException | None = None
        try:
            result = self._engine.segment(request, ProgressEvents(self._events, job=request.job), cancel.is_set)
        except BaseException as error:  # a thread has nobody above it: whatever happened must be reported
            failure = error
            if not isinstance(error, AgunetrError):
                traceback.print_exc()
        with self._lock:
            if self._job is None:  # given up meanwhile, its error has been sent
                return
            self._job = None  # free before the answer, so that its reader can send the next job at once
            self._active_at = time.monotonic()
            if failure is None:
                self._events.emit("result", job=request.job, result=result)
            else:
                self._send_error(request.job, failure)

    def _cancel_job(self, request: CancelRequest) -> None:
        with self._lock:
            running = self._job is not None and request.job in (None, self._job)
            cancel = self._cancel
            if running:
                cancel.set()
        if not running:  # no error: the job may have ended while the request was on its way
            self._events.emit("log", level="info", message=f"Nothing to cancel: job {request.job!r} is not running.")
            return
        timer = threading.Timer(self._grace_seconds, self._give_up, args=(cancel,))
        timer.daemon = True
        timer.start()

    def _give_up(self, cancel: threading.Event) -> None:
        """Ends the process when the job that ``cancel`` belongs to has not stopped by itself."""
        with self._lock:
            if self._job is None or self._cancel is not cancel:
                return
            job, self._job = self._job, None
        with contextlib.suppress(OSError):
            self._engine.discard_unfinished()
        self._send_error(job, Cancelled())
        self._leave(EXIT_STOPPED_HARD)

    def stop(self) -> bool:
        """Cancels what runs and waits for it; False when it did not stop by itself."""
        with self._lock:
            thread, job = self._thread, self._job
            self._cancel.set()
        if thread is None or job is None:
            return True
        thread.join(self._grace_seconds)
        if not thread.is_alive():
            return True
        with contextlib.suppress(OSError):
            self._engine.discard_unfinished()
        self._send_error(job, Cancelled())
        return False

    def _watch(self) -> None:
        """Leaves when nobody is left to work for, or nothing has come for a long time."""
        while True:
            time.sleep(WATCH_SECONDS)
            if self._parent_is_gone():
                break
            with self._lock:
                idle = self._job is None and time.monotonic() - self._active_at > self._idle_seconds
            if idle:
                self._events.emit("log", level="info", message="The worker leaves: it had nothing to do.")
                self._leave(0)
                return
        last_resort = threading.Timer(2 * self._grace_seconds, self._leave, args=(0,))
        last_resort.daemon = True
        last_resort.start()  # an event that nobody reads may block what follows
        self.stop()
        self._leave(0)

    def _answer(self, asked: str) -> None:
        """Send the event of a question: the engine's method and the event have its name."""
        try:
            self._events.emit(asked, **getattr(self._engine, asked)())
        except Exception as error:
            traceback.print_exc()
            self._send_error(None, error)

    def _send_error(self, job: str | int | None, error: BaseException) -> None:
        if isinstance(error, AgunetrError):
            kind, message, remedy = error.kind, error.message, error.remedy
        elif isinstance(error, ImportError):
            kind, message = "dependencies", f"The Python package {error.name or error} is missing or damaged."
            remedy = (
                "In Slicer, open Setup in the module AGUNETR Segment; elsewhere `agunetr doctor` lists what is there "
                "and how to get the rest."
            )
        elif isinstance(error, MemoryError):
            kind, message = "memory", "The machine ran out of memory."
            remedy = "Close other programs, or use a compact model."
        else:
            kind, message = "unexpected", f"The engine failed: {type(error).__name__}: {error}"
            remedy = "Please report this with the log."
        self._events.emit("error", job=job, kind=kind, message=message, remedy=remedy)

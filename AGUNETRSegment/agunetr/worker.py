"""The worker: a child process that keeps the models warm and segments one case at a time.

Started as ``python -m agunetr.worker [--idle-minutes 10] [--parent-pid PID]``. One JSON object a line each way, in
UTF-8. Standard output carries events and nothing else; standard error is the log, a reader keeps its last lines for
the day the worker crashes.

Requests (standard input)::

    {"command": "segment", "job": ID, "volume": PATH, "models": [NAME, ...], "output": FOLDER,
     "options": {...}, "series": UID, "overwrite": false, "reference": PATH, "reference_label": N}
    {"command": "cancel", "job": ID}
    {"command": "models"}
    {"command": "devices"}
    {"command": "shutdown"}

``job`` is a text or a whole number of the caller's choice. ``options`` are the fields of
:class:`agunetr.inference.segmenter.SegmentOptions`. ``reference`` is a mask of the same scan that the models are scored
against. All but ``job``, ``volume``, ``models`` and ``output`` may be left out.

Events (standard output)::

    {"event": "ready", "version": "0.1.0", "protocol": 1, "pid": 4711}
    {"event": "progress", "job": ID, "stage": "...", "done": 3, "total": 64, "seconds_left": 12.5}
    {"event": "log", "level": "info", "message": "..."}
    {"event": "models", "models": [{...}], "broken": [{"folder": PATH, "reason": "...", "removable": true}]}
    {"event": "devices", "devices": [{"name": "cuda:0", "title": "...", "free_bytes": N, "total_bytes": N,
                                             "fault": ""}]}
    {"event": "result", "job": ID, "result": {...}}
    {"event": "error", "job": ID, "kind": "...", "message": "...", "remedy": "..."}

Each accepted ``segment`` is answered by exactly one ``result`` or ``error`` with its id. ``result`` holds what the
output folder's ``result.json`` holds. ``progress`` comes at most ten times a second; ``seconds_left`` is for the stage
at hand and null until it can be estimated. Kinds of errors: ``input``, ``model``, ``output``, ``device``, ``memory``,
``cancelled``, ``busy`` (a job is running; the new one is refused and the old one goes on), ``request`` (the line is no
request; ``job`` is null where it named none), ``unexpected`` (a fault in the engine; the log has the details).

A cancelled job ends between two windows with an error of kind ``cancelled``. Where a step takes longer than
``--grace-seconds`` to stop, the worker sends that error all the same and leaves with exit code 130.

The worker leaves with code 0 after ``shutdown``, at the end of its standard input, after the idle minutes without a
request or a job, and when its parent has died; a running job is cancelled first and leaves no file behind.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import sys

from agunetr.events import EventStream, LogEvents, claimed_stdout
from agunetr.parent_process import orphan_check
from agunetr.worker_loop import EXIT_STOPPED_HARD, Engine, Worker


class _Terminated(BaseException):
    """Raised in the main thread by a signal, to leave the wait for the next request."""


def _terminate(*_: object) -> None:
    raise _Terminated


def build_parser() -> argparse.ArgumentParser:
    """The worker's own command line."""
    parser = argparse.ArgumentParser(
        prog="python -m agunetr.worker",
        description="Segments on request: JSON lines on standard input and output. See the module's docstring.",
    )
    parser.add_argument("--idle-minutes", type=float, default=10.0, help="leave after so long without work (10)")
    parser.add_argument("--grace-seconds", type=float, default=1.5, help="time for a cancelled job to stop (1.5)")
    parser.add_argument("--parent-pid", type=int, help="leave when this process has ended (the parent)")
    return parser


def run(arguments: list[str] | None = None, engine: Engine | None = None) -> None:
    """Serves on the process's own standard streams, then ends the process."""
    options = build_parser().parse_args(arguments)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    requests = os.fdopen(os.dup(0), "rb")
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)  # a library or its child process must not eat requests
    with claimed_stdout() as stream, contextlib.closing(requests):
        events = EventStream(stream, on_closed=lambda: os._exit(0))
        logging.getLogger("agunetr").addHandler(LogEvents(events))
        if engine is None:
            from agunetr.session import Session

            engine = Session()
        worker = Worker(
            requests,
            events,
            engine,
            idle_seconds=options.idle_minutes * 60,
            grace_seconds=options.grace_seconds,
            parent_is_gone=orphan_check(options.parent_pid),
        )
        for name in ("SIGTERM", "SIGINT"):
            signal.signal(getattr(signal, name), _terminate)
        try:
            code = worker.serve()
        except _Terminated:
            code = 0 if worker.stop() else EXIT_STOPPED_HARD
        sys.stderr.flush()
        os._exit(code)  # a job that did not stop, or a library's thread, must not keep the process alive


if __name__ == "__main__":
    run()

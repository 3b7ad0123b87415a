"""A command of the engine in a child process: its events, its errors, its end."""

# -*- i18n: disabled -*-

from __future__ import annotations

import json
import sys
import time

import pytest

from AGUNETRSegmentLib.engine_command import EngineCommand
from AGUNETRSegmentLib.errors import SegmentationError
from AGUNETRSegmentLib.worker_process import defaultEnvironment


class Loop:
    """Timers, run by hand."""

    def __init__(self) -> None:
        self.due: list = []

    def later(self, _milliseconds, function) -> None:
        self.due.append(function)

    def run(self, until, seconds: float = 60.0) -> None:
        end = time.monotonic() + seconds
        while not until():
            assert time.monotonic() < end and self.due, "nothing happened"
            self.due.pop(0)()
            time.sleep(0.01)


def outcome(program: str, arguments=(), seconds: float = 60.0):
    """What becomes of a child that runs *program*: ``("finished", events)`` or ``("failed", error)``."""
    loop, ends = Loop(), []
    command = EngineCommand(loop.later, lambda given: [sys.executable, "-c", program, *given], defaultEnvironment())
    command.start(
        arguments, lambda events: ends.append(("finished", events)),
        lambda error: ends.append(("failed", error)), seconds)
    with pytest.raises(SegmentationError, match="still running"):
        command.start((), print, print)
    loop.run(lambda: ends)
    assert not command.running and not loop.due
    return ends[0]


def printing(*events, after: str = "") -> str:
    lines = "".join(f"print({json.dumps(json.dumps(event))})\n" for event in events)
    return f"import sys\nprint('a library speaks')\n{lines}{after}"


def test_events_come_back_also_where_the_exit_code_is_not_zero():
    kind, events = outcome(printing({"event": "doctor", "able": False}, after="sys.exit(1)"))
    assert (kind, events) == ("finished", [{"event": "doctor", "able": False}])


def test_an_error_event_is_an_error():
    error = {"event": "error", "kind": "model", "message": "It is no model.", "remedy": "Choose another."}
    kind, told = outcome(printing(error, after="sys.exit(4)"))
    assert kind == "failed" and (told.kind, str(told)) == ("model", "It is no model. Choose another.")


def test_a_child_that_dies_says_so_with_its_last_words():
    kind, error = outcome("import sys; sys.stderr.write('bad DLL\\n'); sys.exit(3)")
    assert kind == "failed" and error.kind == "crash" and "3" in error.message and "bad DLL" in error.details


def test_a_child_that_hangs_is_ended():
    kind, error = outcome("import time; time.sleep(600)", seconds=0.3)
    assert kind == "failed" and error.kind == "hung"


def test_stopping_ends_it_without_a_word():
    loop, ends = Loop(), []
    command = EngineCommand(
        loop.later, lambda given: [sys.executable, "-c", "import time; time.sleep(600)"], defaultEnvironment())
    command.start((), ends.append, ends.append)
    command.stop()
    while loop.due:
        loop.due.pop(0)()
    assert not command.running and ends == []


def test_the_arguments_reach_the_engine():
    program = "import json, sys; print(json.dumps({'event': 'x', 'got': sys.argv[1:]}))"
    kind, events = outcome(program, ["models", "a b"])
    assert (kind, events[0]["got"]) == ("finished", ["models", "a b"])

"""Who can stop a run through standard input: a program that holds a pipe, and nobody else."""

from __future__ import annotations

import os
import time

import pytest

from agunetr.commands.stop_on_input import stoppable


@pytest.fixture
def standard_input():
    """Puts a file descriptor in the place of standard input; None closes it."""
    kept = os.dup(0)

    def put(descriptor: int | None) -> None:
        if descriptor is None:
            os.close(0)
            return
        os.dup2(descriptor, 0)
        os.close(descriptor)

    yield put
    os.dup2(kept, 0)
    os.close(kept)


def _stops(seconds: float) -> bool:
    with stoppable(True, lambda: None) as stop:
        until = time.monotonic() + seconds
        while not stop() and time.monotonic() < until:
            time.sleep(0.01)
        return stop()


def test_the_end_of_a_pipe_stops(standard_input):
    readable, writable = os.pipe()
    standard_input(readable)
    os.close(writable)
    assert _stops(60)


def test_an_open_pipe_does_not_stop(standard_input):
    readable, writable = os.pipe()
    standard_input(readable)
    assert not _stops(0.2)
    os.close(writable)


@pytest.mark.parametrize("kind", ["closed", "null", "file"])
def test_an_input_that_nobody_holds_does_not_stop(kind, standard_input, tmp_path):
    (tmp_path / "lines.txt").write_text("first\nsecond\n")
    path = {"null": os.devnull, "file": tmp_path / "lines.txt"}.get(kind)
    standard_input(None if path is None else os.open(path, os.O_RDONLY))
    assert not _stops(0.3)

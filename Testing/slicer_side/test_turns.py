"""Steps that come one a turn of the event loop."""

from __future__ import annotations

import pytest

from AGUNETRSegmentLib.turns import Turns


class Loop:
    """An event loop whose turns the test makes."""

    def __init__(self) -> None:
        self.due = []

    def schedule(self, _milliseconds, function) -> None:
        self.due.append(function)

    def turn(self) -> None:
        due, self.due = self.due, []
        for function in due:
            function()


@pytest.fixture
def steps():
    """What is called adds its number; the fourth call returns the end of it."""
    calls = []

    def step():
        calls.append(len(calls) + 1)
        return "over" if len(calls) == 4 else None

    step.calls = calls
    return step


def test_each_turn_is_one_step(steps):
    loop, ended = Loop(), []
    turns = Turns(loop.schedule)
    turns.start(steps, ended.append, pytest.fail)
    for number in (1, 2, 3):
        assert steps.calls[-1] == number and turns.working and not ended
        loop.turn()
    assert ended == ["over"] and not turns.working and not loop.due


def test_without_a_loop_all_steps_come_at_once(steps):
    ended = []
    Turns().start(steps, ended.append, pytest.fail)
    assert ended == ["over"]


def test_what_is_stopped_or_begun_anew_goes_no_further(steps):
    loop, ended = Loop(), []
    turns = Turns(loop.schedule)
    turns.start(steps, pytest.fail, pytest.fail)
    turns.startAll([lambda: ended.append("a"), lambda: ended.append("b")], pytest.fail)
    loop.turn()
    assert steps.calls == [1] and ended == ["a", "b"]
    turns.stop()
    loop.turn()
    assert not turns.working and not loop.due


def test_a_step_that_fails_is_the_last():
    loop, failures, called = Loop(), [], []
    turns = Turns(loop.schedule)
    turns.startAll([lambda: 1 / 0, lambda: called.append(1)], failures.append)
    loop.turn()
    assert isinstance(failures[0], ZeroDivisionError) and not called and not turns.working

"""Ctrl+C once is a request, twice an order; torchrun's copy of the first is not the second."""

from __future__ import annotations

import signal

import pytest

from agunetr.commands import interruption
from agunetr.commands.interruption import handlers_restored, interruptible


def press() -> None:
    signal.raise_signal(signal.SIGINT)


def test_the_first_asks_and_the_second_orders(monkeypatch, capsys):
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    with handlers_restored(), interruptible() as stop:
        assert not stop()
        press()
        assert stop() and "press Ctrl+C again" in capsys.readouterr().err
        with pytest.raises(KeyboardInterrupt):
            press()


def test_under_torchrun_a_press_that_comes_twice_at_once_is_one(monkeypatch, capsys):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    monkeypatch.setenv("RANK", "1")
    with handlers_restored(), interruptible() as stop:
        press()
        press()
        assert stop() and not capsys.readouterr().err, "the first process alone says it"
        monkeypatch.setattr(interruption, "SAME_PRESS_SECONDS", 0.0)
        with pytest.raises(KeyboardInterrupt):
            press()

"""Someone who is told of the course of jobs, for tests."""

from __future__ import annotations

import contextlib
from typing import Any


class Listener:
    """Keeps what it is told, see :class:`agunetr_train.runner.reporter.Reporter`."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.words: list[str] = []
        self.failures: list[tuple[str, BaseException]] = []

    def say(self, text):
        self.words.append(text)

    def event(self, event, **fields):
        self.events.append({"event": event, **fields})

    def failed(self, job, error):
        self.failures.append((job.name, error))

    def progress(self, job):
        return contextlib.nullcontext(lambda stage, done, total: self.event("progress", job=job.name, done=done))

    def jobs(self, event: str) -> list[str]:
        """The jobs of the events of that name, in order."""
        return [told["job"] for told in self.events if told["event"] == event]

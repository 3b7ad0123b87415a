"""Who is told of the course of jobs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, Protocol

from agunetr_train.experiments.jobs import Job


class Reporter(Protocol):
    """Who is told of the jobs' course, see :class:`agunetr_train.commands.training_text.TrainingReporter`."""

    def say(self, text: str) -> None:
        """Words for people."""

    def event(self, event: str, **fields: Any) -> None:
        """One of the events of :data:`agunetr_train.commands.training_text.EVENTS`."""

    def failed(self, job: Job, error: BaseException) -> None:
        """A job failed."""

    def progress(self, job: Job) -> contextlib.AbstractContextManager[Callable[[str, int, int], None]]:
        """A progress callback (stage, done, total) for a job."""

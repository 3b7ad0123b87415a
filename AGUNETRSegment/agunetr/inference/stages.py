"""The stages of a segmentation: what a user is told of them, and how long each took."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from agunetr.errors import Cancelled
from agunetr.inference.inferer import CancelQuery, Progress


@dataclass
class Stages:
    """Announces each stage, asks for a cancel before it, and takes its time.

    Attributes:
        progress: told (stage, done, total).
        cancelled: asked before every stage.
        seconds: time of each stage so far; a stage that comes again adds to its time.
    """

    progress: Progress | None
    cancelled: CancelQuery | None
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str, announce: bool = True) -> Iterator[None]:
        """A context for one stage; it tells of itself unless ``announce`` is False.

        Raises:
            Cancelled: ``cancelled`` said so.
        """
        if self.cancelled is not None and self.cancelled():
            raise Cancelled()
        announced = self.progress if announce else None
        if announced is not None:
            announced(name, 0, 1)
        started = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started
        if announced is not None:
            announced(name, 1, 1)

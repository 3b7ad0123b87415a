"""Looks again and again at the folder of a run, beside the application, and tells what is there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from AGUNETRSegmentLib.background_work import BackgroundWork
from AGUNETRSegmentLib.worker_job import ignore

from .run_reading import RunReader, RunRecord
from .training_command import EXPERIMENT_FILE

LIVE_MILLISECONDS = 1000  # while the panel's own training runs
IDLE_MILLISECONDS = 5000  # the run may go on in another process, or on another machine


class RunWatch:
    """Watches one folder at a time.

    :param schedule: ``schedule(milliseconds, function)`` calls *function* later, once (``qt.QTimer.singleShot``).
    :param seen: takes the run (RunRecord), or None where the folder holds none, after each look.
    :param live: whether to look often.
    """

    def __init__(
        self,
        schedule: Callable[[int, Callable[[], None]], object],
        seen: Callable[[RunRecord | None], None],
        live: Callable[[], bool],
    ) -> None:
        self._schedule, self._seen, self._live = schedule, seen, live
        self._background = BackgroundWork(schedule)
        self._reader: RunReader | None = None
        self._turn = 0

    @property
    def folder(self) -> Path | None:
        """What is watched; None: nothing."""
        return self._reader.folder if self._reader else None

    def watch(self, folder: str) -> None:
        """Look at this folder from now on; an empty text: at none."""
        path = Path(folder) if folder else None
        if path != self.folder:
            self._background.abandon(ignore)
            self._reader = RunReader(path) if path else None
            self._seen(None)
        self.lookNow()

    def lookNow(self) -> None:
        """Do not wait for the next turn."""
        self._turn += 1  # the look that is due is another turn's
        self._look(self._turn)

    def pause(self) -> None:
        """Look no more until asked to."""
        self._turn += 1

    def close(self) -> None:
        """Look no more."""
        self.pause()
        self._background.abandon(ignore)
        self._background.wait()

    def _look(self, turn: int) -> None:
        reader = self._reader
        if turn != self._turn or reader is None:
            return
        if self._background.working:
            self._later(turn)
            return

        def read() -> RunRecord | None:
            return reader.read() if (reader.folder / EXPERIMENT_FILE).is_file() else None

        def done(record: RunRecord | None) -> None:
            self._seen(record)
            self._later(turn)

        # Whatever cannot be read now may be there at the next look; the panel says that there is no run.
        self._background.start(read, done, lambda _error: done(None))

    def _later(self, turn: int) -> None:
        self._schedule(LIVE_MILLISECONDS if self._live() else IDLE_MILLISECONDS, lambda: self._look(turn))

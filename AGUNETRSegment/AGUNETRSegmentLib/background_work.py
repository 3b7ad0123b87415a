"""Work in a thread while the application stays responsive: reading and writing large files, making surfaces.

Python lets one thread run at a time, but VTK's ``Update()``, reading and writing files and numpy on large arrays let
the others go on meanwhile. Whatever else VTK or MRML does would hold up the application all the same, and nodes of the
scene are for the main thread alone: neither belongs into such work.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

POLL_MILLISECONDS = 20


class BackgroundWork:
    """Does one thing at a time.

    :param schedule: ``schedule(milliseconds, function)`` calls *function* later, once, on this thread
      (``qt.QTimer.singleShot``). Without it the work is done at once, in this thread.
    """

    def __init__(self, schedule: Callable[[int, Callable[[], None]], object] | None = None) -> None:
        self._schedule = schedule
        self._work: _Work | None = None
        self._last: _Work | None = None

    @property
    def working(self) -> bool:
        """Whether something is being done."""
        return self._work is not None

    def start(
        self, action: Callable[[], Any], done: Callable[[Any], None], failed: Callable[[Exception], None]
    ) -> None:
        """Begin *action*; one of the callbacks follows on the caller's thread, unless :meth:`abandon` is called.

        :param done: takes what *action* returned.
        :param failed: takes what it raised.
        """
        if self._schedule is None:
            try:
                result = action()
            except Exception as error:
                failed(error)
                return
            done(result)
            return
        if self._work:
            raise RuntimeError("Something else is being done.")
        work = self._work = self._last = _Work(action)
        work.start()

        def look() -> None:
            if work is not self._work:
                return
            work.join(0.001)  # also hands the interpreter over: the event loop itself may not
            if work.is_alive():
                self._schedule(POLL_MILLISECONDS, look)
                return
            self._work = None
            if work.error is not None:
                failed(work.error)
            else:
                done(work.result)

        self._schedule(POLL_MILLISECONDS, look)

    def abandon(self, afterwards: Callable[[], None]) -> bool:
        """Give up what is being done, if anything: no callback follows.

        :param afterwards: called when it has come to its end, perhaps in its thread: to remove the files it used.
        :returns: whether something was being done; *afterwards* is not called where nothing was.
        """
        work, self._work = self._work, None
        if work is None:
            return False
        work.abandon(afterwards)
        return True

    def wait(self, seconds: float = 5.0) -> None:
        """Wait for what was abandoned: an application that ends meanwhile might crash."""
        if self._last:
            self._last.join(seconds)


class _Work(threading.Thread):
    """An action, and what came of it."""

    def __init__(self, action: Callable[[], Any]) -> None:
        super().__init__(name="AGUNETR", daemon=True)
        self._action = action
        self._lock = threading.Lock()
        self._over = False
        self._afterwards: Callable[[], None] | None = None
        self.result: Any = None
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            self.result = self._action()
        except Exception as error:
            self.error = error
        with self._lock:
            self._over = True
            afterwards = self._afterwards
        if afterwards:
            afterwards()

    def abandon(self, afterwards: Callable[[], None]) -> None:
        with self._lock:
            over = self._over
            self._afterwards = afterwards
        if over:
            afterwards()

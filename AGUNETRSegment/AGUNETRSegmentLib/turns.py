"""Work in many small steps, one a turn of the event loop: views draw what a step changed before the next one comes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

TURN_MILLISECONDS = 40  # long enough for every view to draw: several that draw in one turn are felt


class Turns:
    """Does one thing at a time.

    :param schedule: ``schedule(milliseconds, function)`` calls *function* later, once, on this thread
      (``qt.QTimer.singleShot``). Without it all steps are done at once.
    """

    def __init__(self, schedule: Callable[[int, Callable[[], None]], object] | None = None) -> None:
        self._schedule = schedule
        self._work: object | None = None  # what is under way; another object for each start

    @property
    def working(self) -> bool:
        """Whether something is being done."""
        return self._work is not None

    def start(self, step: Callable[[], Any], done: Callable[[Any], None], failed: Callable[[Exception], None]) -> None:
        """Begin, in this turn; what was being done is given up. One of the callbacks follows, unless :meth:`stop` is
        called.

        :param step: called again and again until it returns something.
        :param done: takes what it returned.
        :param failed: takes what it raised.
        """
        self._work = work = object()

        def turn() -> None:
            result = None
            while result is None:
                if work is not self._work:
                    return
                try:
                    result = step()
                except Exception as error:
                    self._work = None
                    failed(error)
                    return
                if result is None and self._schedule:
                    self._schedule(TURN_MILLISECONDS, turn)
                    return
            self._work = None
            done(result)

        turn()

    def startAll(self, steps: Iterable[Callable[[], object]], failed: Callable[[Exception], None]) -> None:
        """Call each of *steps* in a turn of its own."""
        remaining = iter(steps)

        def step() -> bool | None:
            following = next(remaining, None)
            if following is None:
                return True
            following()
            return None

        self.start(step, lambda _result: None, failed)

    def stop(self) -> None:
        """Give up what is left; no callback follows."""
        self._work = None

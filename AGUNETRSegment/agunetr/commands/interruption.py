"""Ctrl+C as a polite request: the engine stops at the next window and cleans up."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator

SAME_PRESS_SECONDS = 2.0
"""``torchrun`` hands Ctrl+C on to its processes, which the terminal has told already: both are one press."""


@contextlib.contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
    """Yields a function that tells whether to stop.

    The first SIGINT or SIGTERM sets it; the second raises KeyboardInterrupt, for whoever cannot wait. Outside of the
    main thread no signal can be caught, and the function stays False.

    After a stop both signals are ignored when the context ends: the program is on its way out, and one more Ctrl+C must
    not turn its exit code and its message into a traceback. :func:`handlers_restored` undoes that for a caller that
    goes on.
    """
    stop = threading.Event()
    several = "TORCHELASTIC_RUN_ID" in os.environ
    asked = 0.0

    def on_signal(number: int, _frame: object) -> None:
        nonlocal asked
        if stop.is_set():
            if several and time.monotonic() - asked < SAME_PRESS_SECONDS:
                return
            raise KeyboardInterrupt
        stop.set()
        asked = time.monotonic()
        if several and os.environ.get("RANK", "0") != "0":
            return
        print("\nStopping after this step; press Ctrl+C again to stop at once.", file=sys.stderr, flush=True)

    if threading.current_thread() is not threading.main_thread():
        yield stop.is_set
        return
    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if stop.is_set() else handler)


@contextlib.contextmanager
def handlers_restored() -> Iterator[None]:
    """Puts the signal handlers back that were there before, whatever happened inside; a no-op in other threads."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

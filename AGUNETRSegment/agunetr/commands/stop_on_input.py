"""Stopping by standard input, for programs that start the command line and cannot send it Ctrl+C.

Windows has no interrupt for a process without a console, and a program that crashes sends nothing at all; but the pipe
that it held ends in every case. Only a pipe or a socket is listened to: at a terminal there is Ctrl+C, and a closed
standard input, /dev/null (under nohup, cron, batch systems) or a file ends at once though nobody asked to stop.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import stat
import threading
from collections.abc import Callable, Iterator

from agunetr.commands.exit_codes import CANCELLED
from agunetr.commands.interruption import interruptible


def add_stop_argument(parser: argparse.ArgumentParser) -> None:
    """Adds ``--stop-on-input``."""
    parser.add_argument(
        "--stop-on-input", action="store_true",
        help="stop as after Ctrl+C when a line or the end comes on standard input, where that is a pipe; at once on a "
        "second line; for programs that start this one",
    )  # fmt: skip


@contextlib.contextmanager
def stoppable(on_input: bool, discard: Callable[[], None]) -> Iterator[Callable[[], bool]]:
    """Yields a function that tells whether to stop: after Ctrl+C and, where asked for, after standard input said so.

    Args:
        on_input: listen to standard input, if it is a pipe or a socket.
        discard: removes what is unfinished; called in another thread, right before the process ends on a second line.
    """
    with interruptible() as interrupted:
        if not (on_input and _somebody_holds_the_input()):
            yield interrupted
            return
        asked = threading.Event()
        lines = os.dup(0)
        with open(os.devnull, "rb") as nothing:
            os.dup2(nothing.fileno(), 0)  # a library or its child process must not take the line
        threading.Thread(target=_listen, args=(lines, asked, discard), name="stop on input", daemon=True).start()
        yield lambda: asked.is_set() or interrupted()


def _somebody_holds_the_input() -> bool:
    try:
        kind = os.fstat(0).st_mode
    except OSError:  # it is closed
        return False
    return stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind)


def _listen(lines: int, asked: threading.Event, discard: Callable[[], None]) -> None:
    # Not through a buffered stream: its lock, held while waiting, would turn the end of the process into a fatal error.
    count = 0
    while count < 2:
        try:
            read = os.read(lines, 1024)
        except OSError:
            read = b""
        count += read.count(b"\n")
        if count or not read:
            asked.set()
        if not read:
            return
    discard()
    os._exit(CANCELLED)

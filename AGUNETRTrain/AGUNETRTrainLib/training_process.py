"""A training that runs as a child process: its lines are handed on, and it can be stopped with all its children.

The process is watched by whoever calls :meth:`TrainingProcess.pump`, a timer in Slicer and a loop in a test, so that
the callbacks come on that caller's thread.
"""

from __future__ import annotations

import queue
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from AGUNETRSegmentLib.process_tree import interruptTree, killTree, ownGroup

LINES_A_PUMP = 200  # a chatty child must not freeze the window


class TrainingProcess:
    """One run of a command.

    :param command: program and arguments.
    :param environment: the child's environment.
    :param onLine: called with each line that the child prints, without its line end.
    :param onFinished: called once, after the last line, with the exit code; negative where a signal ended it.
    :param graceSeconds: how long a stopped child has for leaving by itself before it is killed.

    .. code-block:: python

        process = TrainingProcess(command, environment, onLine=print, onFinished=lambda code: print("exit code", code))
        process.start()
        while process.running:
            process.pump()
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        onLine: Callable[[str], None],
        onFinished: Callable[[int], None],
        graceSeconds: float = 10.0,
    ) -> None:
        self._command = list(command)
        self._environment = dict(environment)
        self._onLine = onLine
        self._onFinished = onFinished
        self._graceSeconds = graceSeconds
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._process: subprocess.Popen | None = None
        self._killAt: float | None = None
        self._finished = False

    @property
    def running(self) -> bool:
        """From :meth:`start` until ``onFinished`` was called."""
        return self._process is not None and not self._finished

    def start(self) -> None:
        """Starts the child in a process group of its own, so that it can be ended with its data-loading children.

        :raises OSError: the program cannot be started.
        """
        self._process = subprocess.Popen(
            self._command,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            **ownGroup(),
        )
        threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True).start()

    def _read(self, stream) -> None:
        with stream:
            for line in stream:
                self._lines.put(line.rstrip("\r\n"))
        self._lines.put(None)

    def pump(self) -> None:
        """Hands on what the child printed, notices its end, and kills it where it outlived its grace."""
        if not self.running:
            return
        if self._killAt is not None and time.monotonic() >= self._killAt:
            self._killAt = None
            killTree(self._process.pid)
        for _line in range(LINES_A_PUMP):
            try:
                line = self._lines.get_nowait()
            except queue.Empty:
                return
            if line is None:
                self._finished = True
                self._onFinished(self._process.wait())
                return
            self._onLine(line)

    def stop(self) -> None:
        """Interrupts the child as Ctrl+C would; :meth:`pump` kills what is left after the grace.

        Training writes its checkpoints between epochs and under temporary names, so none is lost or half written.
        """
        if not self.running:
            return
        if interruptTree(self._process.pid):
            self._killAt = time.monotonic() + self._graceSeconds
        else:
            killTree(self._process.pid)

    def stopNow(self) -> None:
        """Kills the child and its children without waiting; for an application that is closing. No callback follows."""
        if self.running:
            self._finished = True
            killTree(self._process.pid)

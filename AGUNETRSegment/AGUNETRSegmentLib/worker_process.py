"""The child process that runs the engine: started, spoken to in lines, ended with all its children.

Nothing here blocks the application: two threads drain standard output and standard error into memory, and the caller
collects what came.
"""

from __future__ import annotations

import os
import queue
import shutil
import subprocess
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from .errors import SegmentationError
from .process_tree import killTree, ownGroup
from .translation import _

LOG_LINES = 40
LOG_LINE_CHARACTERS = 500
MODULE_FOLDER = Path(__file__).resolve().parents[1]


def defaultCommand() -> list[str]:
    """Slicer's own Python running the engine's worker; the worker leaves when this application ends."""
    python = shutil.which("PythonSlicer")
    if python is None:
        raise SegmentationError(
            "start", _("Slicer's Python interpreter (PythonSlicer) was not found."),
            _("Reinstall Slicer; the file belongs to its bin folder."))
    return [python, "-m", "agunetr.worker", "--parent-pid", str(os.getpid())]


def defaultEnvironment(moduleFolder: Path = MODULE_FOLDER) -> dict[str, str]:
    """This process's environment, with the folder that holds the engine first in the Python path."""
    environment = dict(os.environ)
    path = environment.get("PYTHONPATH")
    environment["PYTHONPATH"] = os.pathsep.join([str(moduleFolder), path] if path else [str(moduleFolder)])
    environment["PYTHONIOENCODING"] = "utf-8"
    return environment


class WorkerProcess:
    """One run of the worker program.

    :param command: program and arguments.
    :param environment: the whole environment of the child.
    :raises SegmentationError: kind ``start`` when the program cannot be started.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        try:
            self._process = subprocess.Popen(
                list(command), env=dict(environment), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, **ownGroup())
        except OSError as error:
            raise SegmentationError(
                "start", _("The worker process could not be started: {reason}.").format(reason=error.strerror or error),
                _("Check that Slicer's installation is complete.")) from error
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._log: deque[str] = deque(maxlen=LOG_LINES)
        self._readers = [
            threading.Thread(target=self._read, args=(self._process.stdout, self._lines.put), daemon=True),
            threading.Thread(target=self._read, args=(self._process.stderr, self._keepLog), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def exitCode(self) -> int | None:
        """The exit code once the process has ended and its output is read to the end, else None."""
        code = self._process.poll()
        if code is None:
            return None
        for reader in self._readers:
            # A grandchild may hold the pipe open after the process is gone: do not wait for it for ever.
            reader.join(timeout=0.2)
        return code

    def send(self, line: str) -> bool:
        """Write one line to the worker; False when it no longer reads."""
        try:
            self._process.stdin.write(line.encode("utf-8") + b"\n")
            self._process.stdin.flush()
        except (OSError, ValueError):
            return False
        return True

    def takeLine(self) -> str | None:
        """The next unread line of standard output, None when there is none now."""
        try:
            return self._lines.get_nowait()
        except queue.Empty:
            return None

    def lastLog(self) -> str:
        """The last lines of standard error."""
        return "\n".join(self._log)

    def kill(self) -> None:
        """End the process and everything that it started, at once."""
        killTree(self.pid)
        try:
            self._process.wait(timeout=1.0)
        except subprocess.TimeoutExpired:  # stuck in the kernel (a GPU driver): it dies when that call returns
            pass
        self._closeInput()

    def leave(self, seconds: float) -> None:
        """Ask the process to leave, wait at most *seconds*, then kill it."""
        self.send('{"command": "shutdown"}')
        self._closeInput()  # the end of its input tells it too
        try:
            self._process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.kill()

    def _closeInput(self) -> None:
        try:
            self._process.stdin.close()
        except OSError:  # unsent bytes for a reader that is gone
            pass

    def _keepLog(self, line: str) -> None:
        self._log.append(line[:LOG_LINE_CHARACTERS])

    @staticmethod
    def _read(pipe, put) -> None:
        with pipe:
            for line in pipe:
                put(line.decode("utf-8", "replace").rstrip("\r\n"))

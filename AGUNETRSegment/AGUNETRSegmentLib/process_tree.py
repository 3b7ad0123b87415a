"""Ending a child process together with everything that it started.

Slicer's Python is a launcher that starts the real interpreter, and training starts loaders of its own: to end only the
process that was started would leave the others running.
"""

from __future__ import annotations

import os
import signal
import subprocess
from typing import Any


def ownGroup() -> dict[str, Any]:
    """Keywords for ``subprocess.Popen``: the child leads a process group of its own and opens no console window."""
    if os.name == "nt":
        return {"creationflags": subprocess.CREATE_NO_WINDOW}
    return {"start_new_session": True}


def interruptTree(pid: int) -> bool:
    """Interrupt the child's group as Ctrl+C would; False on Windows, where no interrupt reaches another console."""
    if os.name == "nt":
        return False
    _signalGroup(pid, signal.SIGINT)
    return True


def killTree(pid: int) -> None:
    """End the process that was started with :func:`ownGroup` and all its children, at once."""
    if os.name == "nt":
        subprocess.run(
            ["taskkill", "/F", "/T", "/PID", str(pid)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
            creationflags=subprocess.CREATE_NO_WINDOW,
        )
    else:
        _signalGroup(pid, signal.SIGKILL)


def _signalGroup(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        pass  # it left in between; macOS refuses to signal a group of which only zombies are left

"""Whether the process that a worker works for still lives."""

from __future__ import annotations

import os
from collections.abc import Callable

SYNCHRONIZE = 0x00100000
ERROR_ACCESS_DENIED = 5
WAIT_TIMEOUT = 0x102


def process_is_alive(pid: int) -> bool:
    """Whether a process with this id exists; on POSIX a zombie counts as alive."""
    if os.name == "nt":
        return _windows_process_is_alive(pid)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _windows_process_is_alive(pid: int) -> bool:
    import ctypes

    kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
    kernel32.OpenProcess.restype = ctypes.c_void_p
    handle = kernel32.OpenProcess(SYNCHRONIZE, False, pid)
    if not handle:
        return ctypes.get_last_error() == ERROR_ACCESS_DENIED
    try:
        return kernel32.WaitForSingleObject(ctypes.c_void_p(handle), 0) == WAIT_TIMEOUT
    finally:
        kernel32.CloseHandle(ctypes.c_void_p(handle))


def orphan_check(pid: int | None = None) -> Callable[[], bool]:
    """A function that tells whether the parent, or the process ``pid``, has gone.

    On POSIX an orphan is given another parent, which shows the death of the direct parent even while it is a zombie.
    ``pid`` is for a launcher in between, which may outlive the application that started it.
    """
    parent = os.getppid()

    def gone() -> bool:
        if os.name != "nt" and os.getppid() != parent:
            return True
        watched = pid if pid is not None else parent
        return not process_is_alive(watched)

    return gone

"""How much memory this process holds, and the most it has held."""

from __future__ import annotations

import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")


def peak_mb() -> float | None:
    """The most memory that this process has held since its program started, MB; None where the system does not tell.

    On Linux from the kernel's status file: ``ru_maxrss`` outlives the start of a program there, so that a child whose
    parent was large would report its parent's peak.
    """
    if _STATUS.is_file():
        return _status_mb("VmHWM") or _rusage_mb()
    return _rusage_mb()


def resident_mb() -> float | None:
    """The memory that this process holds now, MB; where the system does not tell, the most it has held."""
    if _STATUS.is_file():
        return _status_mb("VmRSS") or _rusage_mb()
    return _rusage_mb()


def _status_mb(name: str) -> float | None:
    for line in _STATUS.read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024 / 1e6
    return None


def _rusage_mb() -> float | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e6

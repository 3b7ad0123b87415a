"""Where AGUNETR keeps what it can make again: the user's cache folder."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

FOLDER_VARIABLE = "AGUNETR_CACHE"


def cache_folder() -> Path:
    """``AGUNETR_CACHE``, or AGUNETR's folder among the platform's caches; it may not exist yet.

    Raises:
        OSError: nobody knows where this user's home is (an account without an entry, as in some containers).
    """
    try:
        return _cache_folder()
    except RuntimeError as error:  # what pathlib raises
        raise FileNotFoundError(errno.ENOENT, f"no home folder is known; set {FOLDER_VARIABLE}") from error


def _cache_folder() -> Path:
    if named := os.environ.get(FOLDER_VARIABLE):
        return Path(named).expanduser()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
        return base / "AGUNETR" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "AGUNETR"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "agunetr"

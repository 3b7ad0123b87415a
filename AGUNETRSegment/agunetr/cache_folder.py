"""Where AGUNETR keeps what it can make again: the user's cache folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path

FOLDER_VARIABLE = "AGUNETR_CACHE"


def cache_folder() -> Path:
    """``AGUNETR_CACHE``, or AGUNETR's folder among the platform's caches; it may not exist yet."""
    if named := os.environ.get(FOLDER_VARIABLE):
        return Path(named).expanduser()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
        return base / "AGUNETR" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "AGUNETR"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "agunetr"

"""Windows and paths of more than 260 characters: whether PyTorch's files would get too long a path where Slicer is."""

from __future__ import annotations

import os

LONGEST = 259  # characters of a path, its end mark not counted
# The longest path inside a PyTorch package, a licence text of a library of a library: 171 characters in PyTorch 2.13.
LONGEST_IN_TORCH = 180


def charactersTooMany(sitePackages: str, longPathsAreOn: bool, windows: bool = os.name == "nt") -> int:
    """By how many characters the folder of Python's packages is too long for PyTorch; 0 where all is well."""
    if not windows or longPathsAreOn:
        return 0
    return max(0, len(sitePackages) + 1 + LONGEST_IN_TORCH - LONGEST)


def longPathsAreOn() -> bool:
    """Whether this Windows lets programs use longer paths; True on other systems."""
    if os.name != "nt":
        return True
    import winreg

    try:
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, r"SYSTEM\CurrentControlSet\Control\FileSystem") as key:
            return bool(winreg.QueryValueEx(key, "LongPathsEnabled")[0])
    except OSError:
        return False

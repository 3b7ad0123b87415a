"""Why an installed PyTorch does not start: half of it is missing, libraries it needs are, or it fits something else.

An installation that was interrupted leaves its record, or files without one. pip then says that all is well, and only
an import shows that it is not. Nothing of PyTorch is imported here.
"""

from __future__ import annotations

import importlib.metadata
import re
import site
import sys
import sysconfig
from pathlib import Path

REINSTALL = "Uninstall PyTorch and install it again"


def torch_fault(problem: str) -> tuple[str, str]:
    """What is found and what would help, for the last words of a process in which PyTorch did not start.

    Args:
        problem: what :func:`agunetr.doctor_probes.report_of` says.
    """
    recorded, folder = torch_version(), torch_folder()
    if recorded is None and folder is None:
        return "is not installed", "Install PyTorch for this system and this Python"
    if recorded is not None and folder is None:
        return f"{recorded} is half installed: it is recorded, but its files are not there", REINSTALL
    if recorded is None:
        return f"is half installed: {folder} is there, but no record of it", REINSTALL
    if missing := missing_files():
        return f"{recorded} is half installed: {missing} of its files are missing", REINSTALL
    if re.search(r"WinError 126|WinError 127|WinError 1114|DLL load failed", problem):
        return f"{recorded} {problem}", (
            "Install Microsoft's Visual C++ Redistributable, or uninstall PyTorch and install it again"
        )
    if "undefined symbol" in problem or "cannot open shared object" in problem:
        return f"{recorded} {problem}", f"{REINSTALL}; if that does not help, another library got in its way"
    if re.search(r"compiled using NumPy 1|numpy\.core\.multiarray failed|_ARRAY_API", problem):
        return f"{recorded} was built for another NumPy", "Install a newer PyTorch; leave NumPy as it is"
    return f"{recorded} {problem}", REINSTALL


def torch_version() -> str | None:
    """The recorded version; None where nothing is recorded."""
    try:
        return importlib.metadata.version("torch") or None
    except importlib.metadata.PackageNotFoundError:
        return None


def torch_folder() -> Path | None:
    """The package's folder, found by looking at the disk; None where there is none."""
    for place in dict.fromkeys([*sys.path, sysconfig.get_paths()["purelib"], *_user_site()]):
        folder = Path(place) / "torch"
        if place and (folder / "__init__.py").is_file():
            return folder
    return None


def missing_files() -> int:
    """How many of the recorded files are not there; 0 also where the record names none."""
    try:
        files = importlib.metadata.files("torch") or []
    except importlib.metadata.PackageNotFoundError:
        return 0
    return sum(1 for file in files if file.suffix != ".pyc" and not Path(str(file.locate())).exists())


def _user_site() -> list[str]:
    return [site.getusersitepackages()] if site.ENABLE_USER_SITE else []

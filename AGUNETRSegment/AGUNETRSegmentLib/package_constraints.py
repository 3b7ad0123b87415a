"""What an installation must not change: the packages that Slicer came with, and an installed PyTorch.

Slicer's own modules are built against its numpy, SimpleITK and others; replacing one has kept Slicer from starting.
pip is therefore always given a constraints file that pins what is there.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

# The names of Slicer's own list of Python packages (SuperBuild/External_python-*), pip itself left out.
BUNDLED = frozenset(
    "certifi cffi chardet charset-normalizer couchdb cryptography dcmqi deprecated dicomweb-client gitdb gitpython "
    "highdicom idna numpy packaging pillow pycparser pydicom pygithub pyjpegls pyjwt pynacl pyparsing python-dateutil "
    "requests retrying scipy setuptools simpleitk six smmap typing-extensions urllib3 wheel wrapt".split()
)
PIP_VARIABLE = "PIP_CONSTRAINT"


def canonicalName(name: str) -> str:
    """A package's name as comparisons want it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def constraintLines(installed: Mapping[str, str], keepTorch: bool = True) -> list[str]:
    """The lines of a constraints file.

    :param installed: versions of the installed packages by name.
    :param keepTorch: whether an installed PyTorch must stay as it is; False while PyTorch itself is installed.
    """
    kept = BUNDLED | {"torch"} if keepTorch else BUNDLED
    versions = {canonicalName(name): version for name, version in installed.items()}
    return [f"{name}=={version}" for name, version in sorted(versions.items()) if name in kept and version]


def writeConstraints(folder: Path, installed: Mapping[str, str], keepTorch: bool = True) -> Path:
    """Write the constraints file into a folder and give its path."""
    path = folder / "AGUNETR-constraints.txt"
    path.write_text("\n".join([*constraintLines(installed, keepTorch), ""]), encoding="utf-8")
    return path


@contextlib.contextmanager
def constrainedPip(path: Path) -> Iterator[None]:
    """Let every pip that is started meanwhile obey a constraints file, also one started by another module.

    The PyTorch extension's installer has no argument for constraints, and its child inherits this environment. pip
    splits the variable at blanks, so the path is given as an address, which has none.
    """
    before = os.environ.get(PIP_VARIABLE)
    address = path.resolve().as_uri()
    os.environ[PIP_VARIABLE] = f"{before} {address}" if before else address
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(PIP_VARIABLE, None)
        else:
            os.environ[PIP_VARIABLE] = before

"""What training needs beside the packages of segmenting, and one sentence where it is not there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from agunetr.commands.exit_codes import MissingPackage

PACKAGES = {
    "filelock": "filelock",
    "ignite": "pytorch-ignite",
    "jinja2": "Jinja2",
    "matplotlib": "matplotlib",
    "nibabel": "nibabel",
    "psutil": "psutil",
    "pydantic": "pydantic",
    "tensorboard": "tensorboard",
}
"""What Python imports to what pip installs: the extra ``train`` of pyproject.toml."""


@contextlib.contextmanager
def training_packages() -> Iterator[None]:
    """Also a decorator.

    Raises:
        MissingPackage: something inside needed a package of training that is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in PACKAGES:
            raise
        raise MissingPackage(
            f"The Python package {error.name} is missing: training needs more packages than segmenting.",
            f"Install them with: pip install {' '.join(PACKAGES.values())}",
        ) from error

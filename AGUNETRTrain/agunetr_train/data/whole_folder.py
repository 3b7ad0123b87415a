"""Folders that appear whole, or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agunetr.errors import OutputError
from agunetr.inference.writing import HIDDEN_PREFIX


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A hidden sibling to fill; renamed to ``target`` at the end, removed on any error.

    Where another process was quicker, its folder stays and this one is removed: both must be meant to be equal.

    Raises:
        OutputError: the folder cannot be made, filled or renamed.
    """
    unfinished = target.with_name(f"{HIDDEN_PREFIX}{secrets.token_hex(8)}")
    try:
        unfinished.mkdir(parents=True)
        yield unfinished
        try:
            os.rename(unfinished, target)
        except OSError:
            if not target.is_dir():
                raise
    except OSError as error:
        raise OutputError(
            f"The folder {target} cannot be made ({error.strerror or error}).",
            "Choose one on a disk that is writable and has room.",
        ) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)

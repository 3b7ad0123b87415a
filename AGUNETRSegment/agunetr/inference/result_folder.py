"""Results that appear all at once or not at all.

A :class:`ResultFolder` collects files in a hidden folder on the disk of the output folder and moves them to their final
names when asked to publish. Files that they replace wait in the hidden folder until all are moved, and come back if one
cannot be moved. Whatever ends the work before that removes the hidden folder; a process that must end at once calls
:func:`discard_unfinished` first.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from agunetr.errors import OutputError
from agunetr.inference.writing import HIDDEN_PREFIX, check_output_folder

REPLACED = ".replaced"
DISCARD_WAIT_SECONDS = 5.0

_unfinished: set[Path] = set()
_moving = threading.Lock()  # held while files move: the hidden folder then holds the only copy of the earlier results


def discard_unfinished() -> None:
    """Remove the hidden folders of this process; for one that is about to end without finishing its job."""
    if not _moving.acquire(timeout=DISCARD_WAIT_SECONDS):
        return
    try:
        for folder in list(_unfinished):
            shutil.rmtree(folder, ignore_errors=True)
            _unfinished.discard(folder)
    finally:
        _moving.release()


class ResultFolder:
    """A context in which files are written to :attr:`path` and, by :meth:`publish`, moved to the output folder.

    Args:
        output: the output folder; it is made on publishing if it is missing, its parent must be there.
        names: the files that will be written; they are moved in this order.
        overwrite: whether files of these names in ``output`` may be replaced.

    Raises:
        OutputError: ``output`` cannot be written to, or has such a file already and ``overwrite`` is off.
    """

    def __init__(self, output: Path | str, names: Sequence[str], overwrite: bool = False) -> None:
        self.output = Path(output)
        self.names = tuple(names)
        self.overwrite = overwrite
        self.path = self.output
        self._keep_hidden = False

    def __enter__(self) -> ResultFolder:
        check_output_folder(self.output)
        self._refuse_existing()
        # Inside the output folder where it exists: it may be a disk of its own, and moving must not copy.
        beside = self.output if self.output.is_dir() else self.output.parent
        try:
            self.path = Path(tempfile.mkdtemp(prefix=HIDDEN_PREFIX, dir=beside))
        except OSError as error:
            raise _not_writable(self.output, error) from error
        _unfinished.add(self.path)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._keep_hidden:
            shutil.rmtree(self.path, ignore_errors=True)
        _unfinished.discard(self.path)

    def publish(self, outdated: Sequence[str] = ()) -> None:
        """Move every file to its final name.

        Args:
            outdated: further files of the output folder that belong to the results replaced, and go with them.

        Raises:
            OutputError: a file is missing, has appeared in the meantime, or cannot be moved; what was there before is
                there again, and nothing new.
        """
        self._refuse_existing()
        with _moving:
            made = not self.output.exists()
            written = [name for name in self.names if (self.path / name).exists()]
            try:
                self.output.mkdir(exist_ok=True)
                self._set_aside(outdated)
                for name in self.names:
                    os.replace(self.path / name, self.output / name)
            except BaseException as error:
                self._restore(written, made)
                if isinstance(error, OSError):
                    raise _not_writable(self.output, error) from error
                raise

    def _set_aside(self, outdated: Sequence[str]) -> None:
        """Move the earlier results into the hidden folder; the last name goes first, for it says that all are there."""
        aside = self.path / REPLACED
        aside.mkdir()
        if self.overwrite:
            for name in dict.fromkeys([*reversed(self.names), *outdated]):
                if os.path.lexists(self.output / name):
                    os.replace(self.output / name, aside / name)

    def _restore(self, written: Sequence[str], made: bool) -> None:
        """Take back the new files that were moved, then bring back the earlier ones, the last name last."""
        aside = self.path / REPLACED
        try:
            for name in reversed(written):
                if not (self.path / name).exists():
                    (self.output / name).unlink(missing_ok=True)
            earlier = [path.name for path in aside.iterdir()] if aside.is_dir() else []
            for name in sorted(earlier, key=lambda name: name == self.names[-1]):
                os.replace(aside / name, self.output / name)
            if made and self.output.is_dir() and not any(self.output.iterdir()):
                self.output.rmdir()
        except OSError as error:
            self._keep_hidden = aside.is_dir() and any(aside.iterdir())
            if self._keep_hidden:
                raise OutputError(
                    f"The results cannot be written to {self.output}, and earlier ones not be put back ({error}).",
                    f"Move the earlier files back from {aside}.",
                ) from error

    def _refuse_existing(self) -> None:
        there = [name for name in self.names if (self.output / name).exists()]
        if there and not self.overwrite:
            raise OutputError(
                f"{self.output} already holds {there[0]}.",
                "Choose another folder, or ask for results to be overwritten.",
            )
        folder = next((name for name in there if (self.output / name).is_dir()), None)
        if folder is not None:
            raise _not_writable(self.output, IsADirectoryError(errno.EISDIR, f"{folder} is a folder"))


def _not_writable(folder: Path, error: OSError) -> OutputError:
    return OutputError(
        f"The results cannot be written to {folder} ({error.strerror or error}).",
        "Choose a folder on a disk that is writable and has room.",
    )

"""Results that appear all at once or not at all.

A :class:`ResultFolder` collects files in a hidden folder on the disk of the output folder and moves them to their final
names when asked to publish. Whatever ends the work before that removes the hidden folder; a process that must end at
once calls :func:`discard_unfinished` first.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from agunetr.errors import OutputError
from agunetr.inference.writing import check_output_folder

HIDDEN_PREFIX = ".agunetr-unfinished-"

_unfinished: set[Path] = set()


def discard_unfinished() -> None:
    """Remove the hidden folders of this process; for one that is about to end without finishing its job."""
    for folder in list(_unfinished):
        shutil.rmtree(folder, ignore_errors=True)
        _unfinished.discard(folder)


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
        shutil.rmtree(self.path, ignore_errors=True)
        _unfinished.discard(self.path)

    def publish(self) -> None:
        """Move every file to its final name.

        Raises:
            OutputError: a file is missing, has appeared in the meantime, or cannot be moved; nothing new is left there.
        """
        self._refuse_existing()
        moved: list[Path] = []
        made = not self.output.exists()
        try:
            self.output.mkdir(exist_ok=True)
            for name in self.names:
                new = not (self.output / name).exists()
                os.replace(self.path / name, self.output / name)
                if new:
                    moved.append(self.output / name)
        except OSError as error:
            for path in moved:
                path.unlink(missing_ok=True)
            if made and self.output.is_dir() and not any(self.output.iterdir()):
                self.output.rmdir()
            raise _not_writable(self.output, error) from error

    def _refuse_existing(self) -> None:
        there = [name for name in self.names if (self.output / name).exists()]
        if there and not self.overwrite:
            raise OutputError(
                f"{self.output} already holds {there[0]}.",
                "Choose another folder, or ask for results to be overwritten.",
            )


def _not_writable(folder: Path, error: OSError) -> OutputError:
    return OutputError(
        f"The results cannot be written to {folder} ({error.strerror or error}).",
        "Choose a folder on a disk that is writable and has room.",
    )

"""Task09_Spleen of the Medical Segmentation Decathlon: downloaded once, checked, unpacked.

Address and checksum are those of :class:`monai.apps.DecathlonDataset`. Python's ``data`` filter refuses members of the
archive that would leave its folder.
"""

from __future__ import annotations

import contextlib
import os
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from agunetr.errors import InputError, OutputError
from agunetr.inference.writing import HIDDEN_PREFIX
from agunetr_train.data.cases import MSD_SPLEEN
from agunetr_train.data.checksums import file_checksum
from agunetr_train.data.resumed_download import download

TOLD_SHARE = 0.1
"""Share of the download between two sentences on how far it is."""
_WAIT_SECONDS = 2.0


def download_msd_spleen(
    folder: Path,
    say: Callable[[str], None],
    progress: Callable[[str, int, int], None] | None = None,
    address: str | None = None,
    md5: str | None = None,
) -> Path:
    """The folder ``Task09_Spleen`` in ``folder``; downloaded and unpacked if it is not there yet.

    A download that was interrupted goes on where it was, if the server allows. An archive ``Task09_Spleen.tar`` that
    somebody put into ``folder`` is taken. The archive is removed when it is unpacked.

    Args:
        folder: made if missing.
        say: called with a sentence now and then.
        progress: called with ("download", bytes done, bytes in all).
        address, md5: of another archive; MONAI's where None.

    Raises:
        InputError: the download breaks off or has a wrong checksum, or the archive is damaged or unsafe.
        OutputError: ``folder`` cannot be written to.
    """
    target = Path(folder) / MSD_SPLEEN
    if target.is_dir():
        return target
    if address is None or md5 is None:
        from monai.apps import DecathlonDataset

        address, md5 = DecathlonDataset.resource[MSD_SPLEEN], DecathlonDataset.md5[MSD_SPLEEN]
    with _alone(Path(folder), say):
        if target.is_dir():  # another process was downloading it
            return target
        archive = target.with_name(f"{MSD_SPLEEN}.tar")
        if not archive.is_file():
            say(f"Downloading {address} into {folder}.")
            download(address, archive, md5, _told(say, progress))
        elif file_checksum(archive, "md5") != md5:
            raise InputError(f"{archive} is not the archive of {MSD_SPLEEN}, or damaged.", "Remove it.")
        say(f"Unpacking {archive.name}.")
        _unpack(archive, target)
        archive.unlink()
    return target


@contextlib.contextmanager
def _alone(folder: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Held by one process at a time; the operating system lets go where a process ends."""
    lock = FileLock(folder / f".{MSD_SPLEEN}.lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=_WAIT_SECONDS)
        except Timeout:
            say(f"Another process downloads {MSD_SPLEEN} into {folder}; waiting for it.")
            lock.acquire()
    except OSError as error:
        raise OutputError(f"{folder} cannot be written to ({error}).", "Choose another folder.") from error
    try:
        yield
    finally:
        lock.release()


def _unpack(archive: Path, target: Path) -> None:
    """Only the archive's folder of that name gets a final name, and only when all of it is there."""
    try:
        with tempfile.TemporaryDirectory(prefix=HIDDEN_PREFIX, dir=target.parent) as unfinished:
            with tarfile.open(archive) as tar:
                tar.extractall(unfinished, filter="data")
            inner = Path(unfinished) / target.name
            if not (inner / "imagesTr").is_dir():
                raise InputError(f"{archive} does not hold {target.name}/imagesTr.", "Remove it.")
            os.rename(inner, target)
    except (tarfile.TarError, EOFError) as error:
        raise InputError(f"{archive} cannot be unpacked: {error}.", "Remove it and download it again.") from error
    except OSError as error:
        raise OutputError(
            f"{archive} cannot be unpacked into {target.parent} ({error.strerror or error}).", "Free some space."
        ) from error


def _told(
    say: Callable[[str], None], also: Callable[[str, int, int], None] | None
) -> Callable[[str, int, int], None]:
    """Progress as a sentence every tenth, for logs, and to ``also``."""
    told = 0

    def progress(stage: str, done: int, total: int) -> None:
        nonlocal told
        if also is not None:
            also(stage, done, total)
        if total and done / total >= (told + 1) * TOLD_SHARE:
            told = int(done / total / TOLD_SHARE)
            say(f"{done >> 20:,} of {total >> 20:,} MB are downloaded.")

    return progress

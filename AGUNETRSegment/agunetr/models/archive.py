"""Bringing in a model from a folder or a zip of unknown origin, without trusting it.

Only the files that a model consists of are taken, each copied byte by byte under a size limit and under a path that
this module chose, never one that the archive chose. Links, devices, encrypted entries, paths that lead out, archives
that unpack to far more than they hold, and anything that is no part of a model are refused. ``models/model.pt`` is
never read by this project, but other programs may unpickle it: it is taken only when its pickle names nothing but
tensors. What was brought in is verified by :func:`agunetr.models.loading.load_bundle` before it gets its name.
"""

from __future__ import annotations

import os
import pickletools
import re
import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from agunetr.errors import ModelError
from agunetr.models import metadata
from agunetr.models.weights import looks_pickled

MAX_ENTRIES = 200
MAX_BYTES = {
    metadata.METADATA: metadata.MAX_METADATA_BYTES,
    metadata.INFERENCE: 1 << 20,
    metadata.CARD: 4 << 20,
    metadata.WEIGHTS: 2 << 30,
    metadata.TORCH_WEIGHTS: 2 << 30,
}
"""The files that a model may have, and how large each may be."""

MAX_RATIO = 200
RATIO_MATTERS_FROM = 1 << 20
REMEDY = "Import a folder or zip that AGUNETR's training exported."

_LEFT_BY_SYSTEMS = re.compile(r"(?:^|/)(?:\.ds_store|thumbs\.db|desktop\.ini|\._[^/]*)$|^__macosx(?:/|$)", re.I)
_TENSOR_NAMES = re.compile(
    r"collections OrderedDict|torch\._utils _rebuild_(?:tensor_v2|parameter)|torch (?:\w+Storage|b?float(?:16|32))"
)


@dataclass(frozen=True)
class _Entry:
    path: str
    size: int
    packed: int


def copy_in(source: Path, target: Path) -> None:
    """Copies the files of a model from a folder or zip into the empty folder ``target``; executes nothing.

    Raises:
        ModelError: the source is no folder or zip, or holds something that a model must not have; ``target`` may
            then hold some of the files.
    """
    problem = f"{source} cannot be imported:"
    try:
        if source.is_dir():
            _copy(_FolderSource(source), target)
        elif zipfile.is_zipfile(source):
            if _is_torch_zip(source):
                raise ValueError("it is a pickled checkpoint, which could run code; it was not opened")
            with zipfile.ZipFile(source) as archive:
                _copy(_ZipSource(archive), target)
        elif source.is_file() and source.suffix.lower() == ".zip":
            raise ValueError("it is empty, truncated or damaged")
        elif source.is_file() and looks_pickled(source):
            raise ValueError("it is a pickled checkpoint, which could run code; it was not opened")
        elif source.exists():
            raise ValueError("it is neither a model folder nor a zip of one")
        else:
            raise ValueError("it does not exist")
        if (target / metadata.TORCH_WEIGHTS).is_file():
            check_torch_file(target / metadata.TORCH_WEIGHTS)
    except (ValueError, zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        reason = str(error) if isinstance(error, ValueError) else "the archive is damaged"
        raise ModelError(f"{problem} {reason.rstrip('.')}.", REMEDY) from error
    except OSError as error:
        raise ModelError(f"{problem} it cannot be read or copied ({error.strerror or error}).", REMEDY) from error
    except (RuntimeError, zipfile.zlib.error) as error:  # a password is asked for, or a stream is broken
        raise ModelError(f"{problem} the archive is damaged.", REMEDY) from error


def check_torch_file(path: Path) -> None:
    """Reads the opcodes of a ``torch.save`` file, without running them, for names other than those of tensors.

    Raises:
        ValueError: it is no such file, or unpickling it would reach for something else.
    """
    problem = f"{metadata.TORCH_WEIGHTS} is no plain torch checkpoint"
    if not zipfile.is_zipfile(path):
        raise ValueError(problem)
    with zipfile.ZipFile(path) as archive:
        pickles = [info for info in archive.infolist() if info.filename.endswith(".pkl")]
        if len(pickles) != 1 or pickles[0].file_size > (16 << 20):
            raise ValueError(problem)
        code = archive.read(pickles[0])
    for opcode, argument, _ in pickletools.genops(code):
        if opcode.name in ("STACK_GLOBAL", "INST", "OBJ", "EXT1", "EXT2", "EXT4"):
            raise ValueError(f"{metadata.TORCH_WEIGHTS} holds pickled code; it was not opened")
        if opcode.name == "GLOBAL" and not _TENSOR_NAMES.fullmatch(str(argument)):
            named = str(argument).replace(" ", ".")
            raise ValueError(f"{metadata.TORCH_WEIGHTS} holds pickled code ({named!r}); it was not opened")


def _copy(source: _FolderSource | _ZipSource, target: Path) -> None:
    entries = [entry for entry in source.entries() if not _LEFT_BY_SYSTEMS.search(entry.path)]
    prefix = _prefix([entry.path for entry in entries])
    taken: dict[str, _Entry] = {}
    for entry in entries:
        path = entry.path.removeprefix(prefix)
        if path == entry.path and prefix:
            raise ValueError(f"{entry.path!r} lies beside the model")
        if path not in MAX_BYTES:
            raise ValueError(f"{path!r} is no part of a model")
        if path in taken:
            raise ValueError(f"it holds {path} twice")
        if entry.size > MAX_BYTES[path]:
            raise ValueError(f"{path} is larger than a model's may be ({MAX_BYTES[path] >> 20} MB)")
        if entry.size > RATIO_MATTERS_FROM and entry.size > MAX_RATIO * max(entry.packed, 1):
            raise ValueError(f"{path} unpacks to {entry.size // max(entry.packed, 1)} times its size")
        taken[path] = entry
    for path, entry in taken.items():
        # The parts of `path` are ours: it is a key of MAX_BYTES.
        destination = target / path
        destination.parent.mkdir(exist_ok=True)
        with source.open(entry) as reader, destination.open("xb") as writer:
            _copy_bytes(reader, writer, entry.size, path)


def _copy_bytes(reader: BinaryIO, writer: BinaryIO, size: int, path: str) -> None:
    """Copies ``size`` bytes; a stream that goes on is cut here, whatever the archive's directory promised."""
    left = size
    while block := reader.read(min(1 << 20, left + 1)):
        left -= len(block)
        if left < 0:
            raise ValueError(f"{path} is larger than it says")
        writer.write(block)
    if left:
        raise ValueError(f"{path} is shorter than it says")


def _prefix(paths: list[str]) -> str:
    """The one folder that wraps the model in most zips, with its slash; empty where there is none."""
    found = [path for path in paths if path == metadata.METADATA or path.endswith("/" + metadata.METADATA)]
    if not found:
        only_pickled = any(path.endswith((".pt", ".pth", ".ckpt", ".pkl")) for path in paths)
        extra = " and only has pickled weights, which AGUNETR never opens" if only_pickled else ""
        raise ValueError(f"it has no {metadata.METADATA}{extra}")
    if len(found) > 1:
        raise ValueError("it holds several models; import them one by one")
    prefix = found[0][: -len(metadata.METADATA)]
    if prefix.count("/") > 1:
        raise ValueError(f"the model lies too deep in it, in {prefix!r}")
    return prefix


class _FolderSource:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def entries(self) -> Iterator[_Entry]:
        count = 0
        for parent, folders, files in os.walk(self._folder):
            for name in sorted(folders + files):
                path = Path(parent) / name
                relative = path.relative_to(self._folder).as_posix()
                state = path.lstat()
                if (count := count + 1) > MAX_ENTRIES:
                    raise ValueError(f"it holds more than {MAX_ENTRIES} files")
                if stat.S_ISLNK(state.st_mode) or getattr(os.path, "isjunction", lambda _: False)(path):
                    raise ValueError(f"{relative!r} is a link")
                if stat.S_ISREG(state.st_mode):
                    yield _Entry(relative, state.st_size, state.st_size)
                elif not stat.S_ISDIR(state.st_mode):
                    raise ValueError(f"{relative!r} is no regular file")

    @contextmanager
    def open(self, entry: _Entry) -> Iterator[BinaryIO]:
        # Once more at the moment of opening: the file may have become a link or a pipe since it was listed.
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        with os.fdopen(os.open(self._folder / entry.path, flags), "rb") as reader:
            if not stat.S_ISREG(os.fstat(reader.fileno()).st_mode):
                raise ValueError(f"{entry.path!r} is no regular file")
            yield reader


class _ZipSource:
    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive

    def entries(self) -> Iterator[_Entry]:
        infos = self._archive.infolist()
        if len(infos) > MAX_ENTRIES:
            raise ValueError(f"it holds more than {MAX_ENTRIES} files")
        for info in infos:
            name, kind = info.filename, stat.S_IFMT(info.external_attr >> 16)
            leads_out = name.startswith("/") or ".." in PurePosixPath(name).parts
            if leads_out or "\\" in name or ":" in name or not name.isprintable():
                raise ValueError(f"{name!r} leads out of the archive")
            if kind == stat.S_IFLNK:
                raise ValueError(f"{name!r} is a link")
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise ValueError(f"{name!r} is no regular file")
            if info.flag_bits & 1:
                raise ValueError("it is encrypted")
            if not info.is_dir():
                yield _Entry(name, info.file_size, info.compress_size)

    def open(self, entry: _Entry) -> BinaryIO:
        return self._archive.open(entry.path)  # type: ignore[return-value]


def _is_torch_zip(path: Path) -> bool:
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("data.pkl") for name in archive.namelist()[:MAX_ENTRIES])

"""What ``result.json`` says of the input, so that a later run can tell whether it is still the same.

Size and time of change, as make and rsync use them: a checksum would read every CT once more.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

STATE = ("files", "bytes", "modified")
MOST_FILES = 50_000
_DETACHED = (".mhd", ".nhdr")
_RESULTS = (".nii.gz", ".json")  # may be written into the folder of the slices


def describe_input(path: Path | str, series: str | None = None) -> dict[str, Any]:
    """Path, DICOM series where one was named, and the state of the files.

    Args:
        path: as the user gave it.
        series: the Series Instance UID asked for.

    Returns:
        ``path``, ``series`` (where given), and where the input is there ``files`` (how many), ``bytes`` (all together)
        and ``modified`` (the newest, seconds since 1970). Nothing is refused: the reader does that.
    """
    described: dict[str, Any] = {"path": str(path)} | ({"series": series} if series else {})
    try:
        sizes_and_times = [
            (state.st_size, state.st_mtime)
            for state in (file.stat() for file in itertools.islice(_files(Path(path).expanduser()), MOST_FILES))
        ]
    except OSError:
        return described
    if not sizes_and_times:
        return described
    sizes, times = zip(*sizes_and_times, strict=True)
    return described | {"files": len(sizes), "bytes": sum(sizes), "modified": round(max(times), 3)}


def same_input(recorded: dict[str, Any], described: dict[str, Any]) -> bool:
    """Whether two descriptions are of one unchanged input; where it lies does not matter, its name does.

    A folder may have been mounted or copied (with its times) to another place between two runs.
    """
    names = [Path(str(entry.get("path", ""))).expanduser().name for entry in (recorded, described)]
    same_files = all(recorded.get(key) == described.get(key) for key in (*STATE, "series"))
    return names[0] == names[1] and same_files and described.get("files") is not None


def _files(path: Path) -> Iterator[Path]:
    """The files that the input consists of: with a detached header, those of the same name beside it."""
    if path.is_dir():
        yield from (file for file in path.rglob("*") if file.is_file() and not file.name.endswith(_RESULTS))
    elif path.name.lower().endswith(_DETACHED):
        yield from (file for file in path.parent.iterdir() if file.name.startswith(f"{path.stem}.") and file.is_file())
    else:
        yield path

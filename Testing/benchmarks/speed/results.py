"""``bench.json``: written whole after every group of rows, so that an interrupted run keeps what it has."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from speed.definitions import DEFINITIONS
from speed.rows import Row

FORMAT = 1
SAME = ("cpu", "cores", "memory_gb", "system")
_FOLDER = re.compile(r"(?:[A-Za-z]:)?(?:[\\/][\w.@+-]+)+[\\/]([\w.@+-]+)")


def read_results(file: Path) -> tuple[dict[str, Any], list[Row]]:
    """The heading and the rows of a ``bench.json``; nothing where it is missing or of another form."""
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        if values["format"] != FORMAT:
            return {}, []
        rows = [Row.from_dict(row) for row in values["rows"]]
        return {name: values[name] for name in ("machine", "versions")}, rows
    except (OSError, ValueError, LookupError, TypeError):
        return {}, []


def joined(
    heading: dict[str, Any], old_heading: dict[str, Any], old: Iterable[Row], new: Iterable[Row]
) -> tuple[list[Row], str]:
    """New rows and those old ones that stand beside them, in the order of the table.

    Old rows stand only where they are of the same machine: ratios of two machines do not belong into one table.

    Returns:
        The rows, and a sentence on what was dropped, or nothing.
    """
    old, new = list(old), {row.name: row for row in new}
    dropped = ""
    if old and any(heading["machine"].get(key) != old_heading["machine"].get(key) for key in SAME):
        dropped = f"{len(old)} rows of an earlier run are of another machine and were dropped."
        old = []
    kept = {row.name: row for row in old} | new
    return [kept[name] for name in DEFINITIONS if name in kept], dropped


def write_results(file: Path, heading: dict[str, Any], rows: Iterable[Row]) -> None:
    """Write heading and rows; the file is never half written."""
    values = {"format": FORMAT, **heading, "rows": [without_folders(row.to_dict()) for row in rows]}
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        os.replace(temporary, file)
    finally:
        temporary.unlink(missing_ok=True)


def without_folders(value: Any) -> Any:
    """The same JSON value with absolute paths cut down to their last part: results are made to be shared."""
    if isinstance(value, str):
        return _FOLDER.sub(r"\1", value)
    if isinstance(value, dict):
        return {key: without_folders(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [without_folders(entry) for entry in value]
    return value

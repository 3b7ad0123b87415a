"""What became of every case, as ``cases.json`` and ``cases.csv`` in the folder of the results.

Several processes never write to one file at a time: each keeps its own rows in ``.cases/rank-<i>-of-<n>.json``, and
when it is done joins all that are there.

``cases.json``::

    {"format": 1, "program": "agunetr segment", "processes": 1,
     "cases": [{"case", "input", "output",
                "state": "done" | "skipped" | "failed" | "cancelled" | "left out" | "not started",
                "volume_ml": {MODEL: ML}, "seconds": S, "error": null | {"kind", "message", "remedy"}, "rank": 0}]}

``seconds`` is the time from the network's start on the CT to its last file, null for cases that were not segmented now;
``error`` also says why a case was left out, an image that is no CT.
"""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agunetr.errors import AgunetrError, OutputError
from agunetr.inference.writing import new_file, write_json
from agunetr.many_scans.cases import DONE, FAILED, LEFT_OUT, NOT_STARTED, SKIPPED, Case, Outcome
from agunetr.many_scans.share import Share

FORMAT = 1
PROGRAM = "agunetr segment"
JSON_FILE, CSV_FILE = "cases.json", "cases.csv"
PARTS_FOLDER = ".cases"
WRITE_SECONDS = 1.0
"""The files are written so often at most: a long list of finished cases passes in no time."""
COLUMNS = ("case", "state", "seconds", "error", "rank")


class CaseSummary:
    """The rows of this process, and the files.

    Args:
        output: the folder of the results.
        cases: all cases of the run, those of other processes included.
        share: which of them are this process's.

    Raises:
        OutputError: a file of the summary's name is there that is no summary.
    """

    def __init__(self, output: Path, cases: Sequence[Case], share: Share | None = None) -> None:
        self._output = output
        self._cases = cases
        self._share = share or Share()
        self._rows: dict[str, dict[str, Any]] = {}
        self._written_at = time.monotonic()
        _refuse_foreign(output)
        self._removed_earlier_rows = self._remove_earlier_rows()

    @property
    def rows(self) -> list[dict[str, Any]]:
        """This process's rows so far, in the order of their cases."""
        return [self._rows[case.name] for case in self._cases if case.name in self._rows]

    def record(self, outcome: Outcome) -> None:
        """Add an outcome; now and then the rows so far are written, so that a run that is killed leaves them.

        Raises:
            OutputError: the file cannot be written; the outcome is recorded all the same.
        """
        self._rows[outcome.case.name] = row_of(outcome, self._share.rank)
        if time.monotonic() - self._written_at > WRITE_SECONDS and self._tells_something():
            self._written_at = time.monotonic()
            self._write_own()

    def finish(self) -> None:
        """Write the rows, and those of other processes as far as they are there; nothing where nothing was done.

        Two processes may end at once, and the slower one would write what it read earlier. So each looks again after
        writing, and writes again where rows have come: whoever is last has then seen everything.

        Raises:
            OutputError: a file cannot be written.
        """
        nothing_done = not self._tells_something() and not self._removed_earlier_rows
        if nothing_done and (self._rows or self._share.processes == 1):
            return
        self._write_own()
        if self._share.processes == 1:
            return
        rows = self._rows_of_all()
        while True:
            self._write([rows.get(case.name) or self._row_of_waiting(case) for case in self._cases])
            again = self._rows_of_all()
            if again == rows:
                return
            rows = again

    def _tells_something(self) -> bool:
        """A run that was cancelled before its first result leaves no file."""
        return any(row["state"] in (DONE, SKIPPED, FAILED, LEFT_OUT) for row in self._rows.values())

    def _write_own(self) -> None:
        if self._share.processes > 1:
            self._write_part()
        else:
            self._write(self.rows)

    def _part(self, rank: int) -> Path:
        return self._output / PARTS_FOLDER / f"rank-{rank}-of-{self._share.processes}.json"

    def _remove_earlier_rows(self) -> bool:
        """Remove the rows that this rank left in an earlier run: were this one cancelled, they would pass for new.

        Returns:
            Whether there was something: another process may have read it already and must be corrected at the end.
        """
        if self._share.processes == 1:
            return False
        part = self._part(self._share.rank)
        try:
            part.unlink()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise OutputError(f"{part} cannot be replaced ({error.strerror}).", "Choose another folder.") from error
        return True

    def _write_part(self) -> None:
        path = self._part(self._share.rank)
        try:
            path.parent.mkdir(exist_ok=True)
        except OSError as error:
            raise OutputError(f"{path.parent} cannot be made ({error.strerror}).", "Choose another folder.") from error
        write_json(self.rows, path, overwrite=True)

    def _rows_of_all(self) -> dict[str, dict[str, Any]]:
        """Name of a case to its row, from every process that has written one.

        A file of an earlier run may still be there and know cases that are now another process's: those rows are left
        out.
        """
        ranks = {case.name: (case.number - 1) % self._share.processes for case in self._cases}
        rows: dict[str, dict[str, Any]] = {}
        for rank in range(self._share.processes):
            try:
                part = json.loads(self._part(rank).read_text(encoding="utf-8"))
            except (OSError, ValueError):  # that process has not begun
                continue
            rows |= {row["case"]: row for row in part if ranks.get(row["case"]) == rank}
        return rows

    def _row_of_waiting(self, case: Case) -> dict[str, Any]:
        return row_of(Outcome(case, NOT_STARTED), (case.number - 1) % self._share.processes)

    def _write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        content = {"format": FORMAT, "program": PROGRAM, "processes": self._share.processes, "cases": list(rows)}
        write_json(content, self._output / JSON_FILE, overwrite=True)
        with new_file(self._output / CSV_FILE, overwrite=True) as temporary:
            temporary.write_text(_csv(rows), encoding="utf-8", newline="")


def row_of(outcome: Outcome, rank: int = 0) -> dict[str, Any]:
    """One row of ``cases.json``."""
    models = (outcome.result or {}).get("models", ())
    return {
        "case": outcome.case.name,
        "input": str(outcome.case.path),
        "output": str(outcome.case.output),
        "state": outcome.state,
        "volume_ml": {model["name"]: model["volume_ml"] for model in models},
        "seconds": outcome.result["seconds"]["total"] if outcome.state == DONE else None,
        "error": None if outcome.error is None else _described(outcome.error),
        "rank": rank,
    }


def _described(error: BaseException) -> dict[str, str]:
    if isinstance(error, AgunetrError):
        return {"kind": error.kind, "message": error.message, "remedy": error.remedy}
    kind = "memory" if isinstance(error, MemoryError) else "unexpected"
    return {"kind": kind, "message": f"{type(error).__name__}: {error}", "remedy": ""}


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    models = list(dict.fromkeys(model for row in rows for model in row["volume_ml"]))
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow([*COLUMNS[:2], *(f"{model}_ml" for model in models), *COLUMNS[2:]])
    for row in rows:
        cells = dict(row) | {"error": (row["error"] or {}).get("message")}
        volumes = [row["volume_ml"].get(model) for model in models]
        table.writerow([cells[name] for name in COLUMNS[:2]] + volumes + [cells[name] for name in COLUMNS[2:]])
    return text.getvalue()


def _refuse_foreign(output: Path) -> None:
    """Somebody's own ``cases.csv`` must not be lost."""
    for name, is_ours in ((JSON_FILE, _is_summary), (CSV_FILE, _is_table)):
        path = output / name
        if path.exists() and not is_ours(path):
            raise OutputError(
                f"{path} is there and is no table of `{PROGRAM}`, which would be written to it.",
                "Move it away, or choose another folder for the results.",
            )


def _is_summary(path: Path) -> bool:
    try:
        return json.loads(path.read_text(encoding="utf-8"))["program"] == PROGRAM
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return False


def _is_table(path: Path) -> bool:
    try:
        return path.read_text(encoding="utf-8").startswith(",".join(COLUMNS[:2]))
    except (OSError, ValueError):
        return False

"""What a run has produced so far, read from its folder: by the panel again and again, so only what is new is read.

A job's files may be half written at any moment, for its training may go on, here or on another machine. Whatever
cannot be read is taken for not there yet.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .experiments import ExperimentSummary, JobPlan, readExperiment

LEASE_SECONDS = 180.0
"""A job's lock that was not renewed for so long belongs to nobody any more."""
READ_BYTES = 4_000_000  # of one file at a time; what is left comes at the next look


@dataclass(frozen=True)
class JobRecord:
    """What a job's folder says.

    :ivar losses: epochs and their mean training loss.
    :ivar validations: epochs and their validation Dice.
    :ivar epochSeconds: how long training and validation took so far.
    :ivar finished: what ``finished.json`` says, None before.
    :ivar held: whether some process works on it now.
    :ivar testDice: mean over the scored test cases, None without any.
    :ivar scored: how many cases are scored.
    """

    plan: JobPlan
    losses: tuple[tuple[float, float], ...] = ()
    validations: tuple[tuple[float, float], ...] = ()
    epochSeconds: float = 0.0
    finished: Mapping | None = None
    held: bool = False
    testDice: float | None = None
    scored: int = 0

    @property
    def epochsDone(self) -> int:
        """Epochs with a record."""
        return int(self.losses[-1][0]) if self.losses else 0

    @property
    def bestDice(self) -> float | None:
        """The highest validation Dice so far."""
        return max((dice for _epoch, dice in self.validations), default=None)


@dataclass(frozen=True)
class RunRecord:
    """What a run's folder says.

    :ivar folder: of the run.
    :ivar report: whether it has a report.
    """

    folder: Path
    experiment: ExperimentSummary
    jobs: tuple[JobRecord, ...]
    report: bool = False


@dataclass
class _Metrics:
    """What was read of a ``metrics.jsonl``, and how far."""

    offset: int = 0
    losses: dict[int, float] = field(default_factory=dict)
    validations: dict[int, float] = field(default_factory=dict)
    seconds: float = 0.0


class RunReader:
    """Reads one run's folder; asked again, it reads what is new. May be used in any thread, one at a time.

    :param folder: of the run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._metrics: dict[str, _Metrics] = {}
        self._scores: dict[Path, tuple[float, Mapping]] = {}

    def read(self) -> RunRecord:
        """The run as it is now.

        :raises SegmentationError: kind ``input``, the folder holds no run.
        """
        experiment = readExperiment(self.folder / "experiment.json")
        jobs = tuple(self._job(plan) for plan in experiment.jobs)
        return RunRecord(self.folder, experiment, jobs, (self.folder / "report" / "index.html").is_file())

    def _job(self, plan: JobPlan) -> JobRecord:
        folder = self.folder / plan.name
        metrics = self._readMetrics(folder)
        scores = self._readScores(folder)
        return JobRecord(
            plan,
            tuple(sorted(metrics.losses.items())),
            tuple(sorted(metrics.validations.items())),
            metrics.seconds,
            _json(folder / "finished.json"),
            _isHeld(folder / "job.lock"),
            statistics.fmean(scores) if scores else None,
            len(scores),
        )

    def _readMetrics(self, folder: Path) -> _Metrics:
        metrics = self._metrics.setdefault(folder.name, _Metrics())
        try:
            with (folder / "metrics.jsonl").open("rb") as file:
                if file.seek(0, 2) < metrics.offset:  # it was begun anew
                    metrics = self._metrics[folder.name] = _Metrics()
                file.seek(metrics.offset)
                new = file.read(READ_BYTES)
        except OSError:
            return metrics
        whole = new[:new.rfind(b"\n") + 1]  # the last line may still be written
        metrics.offset += len(whole)
        for line in whole.splitlines():
            _take(metrics, line)
        return metrics

    def _readScores(self, folder: Path) -> list[float]:
        """Dice of the job's scored cases; those of earlier weights of the same job are no part of its result."""
        weights = (_json(folder / "model.json") or {}).get("weights")
        found = []
        for path in sorted((folder / "test").glob("*.json")) if weights else ():
            dice = self._score(path, weights)
            if dice is not None:
                found.append(dice)
        return found

    def _score(self, path: Path, weights: str) -> float | None:
        try:
            changed = path.stat().st_mtime
        except OSError:
            return None
        known = self._scores.get(path)
        if known is None or known[0] != changed:
            known = self._scores[path] = (changed, _json(path) or {})
        dice = known[1].get("dice") if known[1].get("weights") == weights else None
        return float(dice) if isinstance(dice, int | float) else None


def _take(metrics: _Metrics, line: bytes) -> None:
    try:
        row = json.loads(line)
        epoch = int(row["epoch"])
        if "loss" in row:
            metrics.losses[epoch] = float(row["loss"])
        if "validation_dice" in row:
            metrics.validations[epoch] = float(row["validation_dice"])
        metrics.seconds += float(row.get("seconds") or 0.0)
    except (ValueError, KeyError, TypeError):
        return  # a damaged line; the report names it


def _isHeld(lock: Path) -> bool:
    try:
        return time.time() - lock.stat().st_mtime < LEASE_SECONDS
    except OSError:
        return False


def _json(path: Path) -> Mapping | None:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return values if isinstance(values, dict) else None

"""What a run has produced so far, read once; finished or not, nothing is required but the experiment itself."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from agunetr_train.evaluation.scoring import part_to_score
from agunetr_train.experiments.definition import Experiment
from agunetr_train.experiments.jobs import Job, jobs_of
from agunetr_train.experiments.splits import Split
from agunetr_train.run_folder import RunFolder

State = Literal["finished", "unfinished", "not begun"]
Row = Mapping[str, Any]


@dataclass(frozen=True)
class JobResults:
    """One job's records.

    Attributes:
        job: which one.
        facts: ``job.json``: sizes, device, precision, memory; empty before the job began.
        model: ``model.json``: sizes and which weights were scored; empty before scoring.
        finished: ``finished.json``, or None.
        epochs: rows of ``metrics.jsonl`` with a training loss.
        validations: rows of ``metrics.jsonl`` with a validation Dice.
        gates: rows of ``gates.jsonl``.
        scores: case name to what ``test/<case>.json`` says, all of the same weights.
        part: the part of the split that is scored, ``test``, or ``validation`` where there are no test cases.
        tested: names of the cases of that part.
    """

    job: Job
    facts: Row
    model: Row
    finished: Row | None
    epochs: tuple[Row, ...]
    validations: tuple[Row, ...]
    gates: tuple[Row, ...]
    scores: Mapping[str, Row]
    part: str
    tested: tuple[str, ...]

    @property
    def state(self) -> State:
        """How far its training is."""
        if self.finished is not None:
            return "finished"
        return "unfinished" if self.epochs or self.facts else "not begun"

    @property
    def epochs_done(self) -> int:
        """Epochs with a record."""
        return max((int(row["epoch"]) for row in self.epochs), default=0)

    @property
    def unscored(self) -> tuple[str, ...]:
        """Test cases without a score."""
        return tuple(name for name in self.tested if name not in self.scores)


@dataclass(frozen=True)
class RunResults:
    """A whole run.

    Attributes:
        run: its folder.
        experiment: what was asked for.
        splits: one entry a fold; empty before the data was split.
        jobs: of every stage, fold and seed, in the order of their numbers.
        data: case name to its facts (paths, origin, licence, spacing, ...); empty before the data was checked.
        findings: of the check of the data, one sentence each.
        environment: machine and versions.
        notes: records that could not be read, for people.
    """

    run: RunFolder
    experiment: Experiment
    splits: tuple[Split, ...]
    jobs: tuple[JobResults, ...]
    data: Mapping[str, Row]
    findings: tuple[str, ...] = ()
    environment: Row = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def compared(self) -> tuple[str, ...]:
        """Names of the stages that are compared; the first is the reference."""
        return self.experiment.compared

    def of_stage(self, stage: str) -> list[JobResults]:
        """The jobs of a stage, one a fold and seed."""
        return [job for job in self.jobs if job.job.stage.name == stage]

    def patient(self, case: str) -> str:
        """Whose scan it is; the case's own name where nothing else is known."""
        return str(self.data.get(case, {}).get("patient") or case)


def collect(run: RunFolder) -> RunResults:
    """Read a run, whatever is there of it.

    Raises:
        InputError: the folder is no run, or its experiment or splits are damaged.
    """
    notes: list[str] = []
    experiment = run.experiment()
    splits = tuple(run.splits()) if (run.root / "splits.json").is_file() else ()
    jobs = tuple(_job(run, job, splits, notes) for job in jobs_of(experiment))
    record = _json(run.root / "data.json", notes) or {}
    return RunResults(
        run=run,
        experiment=experiment,
        splits=splits,
        jobs=jobs,
        data=record.get("cases", {}),
        findings=tuple(str(finding["message"]) for finding in record.get("findings", ())),
        environment=_json(run.root / "environment.json", notes) or {},
        notes=tuple(notes),
    )


def _job(run: RunFolder, job: Job, splits: tuple[Split, ...], notes: list[str]) -> JobResults:
    folder = run.job(job)
    metrics = _rows(run.metrics(job), notes)
    model = _json(folder / "model.json", notes) or {}
    part, tested = part_to_score(splits[job.fold]) if job.fold < len(splits) else ("test", ())
    return JobResults(
        job=job,
        facts=_json(folder / "job.json", notes) or {},
        model=model,
        finished=_json(folder / "finished.json", notes),
        epochs=tuple(row for row in metrics if "loss" in row),
        validations=tuple(row for row in metrics if "validation_dice" in row),
        gates=tuple(_rows(folder / "gates.jsonl", notes)),
        scores=_scores(folder, tested, model.get("weights"), notes),
        part=part,
        tested=tested,
    )


def _scores(folder: Path, cases: Sequence[str], weights: str | None, notes: list[str]) -> dict[str, Row]:
    """Scores of the split's cases by name. Those of earlier weights of the same job are no part of its result."""
    found = {case: _json(folder / "test" / f"{case}.json", notes) for case in cases}
    there = {case: values for case, values in found.items() if values is not None}
    current = {case: values for case, values in there.items() if weights is None or values.get("weights") == weights}
    if len(current) < len(there):
        notes.append(
            f"{len(there) - len(current)} scores in {folder.name} are of earlier weights of this job and were left out."
        )
    return current


def _json(path: Path, notes: list[str]) -> dict[str, Any] | None:
    """The object in a file; None where there is none, with a note where it cannot be read."""
    if not path.is_file():
        return None
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        values = None
    if not isinstance(values, dict):
        notes.append(f"{path.name} in {path.parent.name} is damaged and was left out.")
        return None
    return values


def _rows(path: Path, notes: list[str]) -> list[dict[str, Any]]:
    """The objects of a file with one a line. The last line may be half written: its job may be running just now."""
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    rows = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if isinstance(row, dict) and "epoch" in row:
            rows.append(row)
        elif number < len(lines):
            notes.append(f"Line {number} of {path.name} in {path.parent.name} is damaged and was left out.")
    return rows

"""What can become of a job, and how far it is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from agunetr_train.evaluation.scoring import part_to_score, read_scores
from agunetr_train.experiments.definition import Experiment
from agunetr_train.experiments.jobs import Job
from agunetr_train.run_folder import RunFolder
from agunetr_train.runner.job_lock import Holder, JobLock

FINISHED = "finished"
"""Trained, and scored where that was asked for."""
BEFORE = "finished before"
HELD = "held"
"""Another process trains it."""
WAITING = "waiting"
"""The job whose weights it continues is not finished: another process trains it, or it failed."""
STOPPED = "stopped"
FAILED = "failed"


_WHAT_OF_THE_START = {FAILED: "failed", STOPPED: "was stopped", HELD: "another process trains"}


def why_waiting(start: str, state: str | None) -> str:
    """Why a job cannot begin: what became of the one that it continues."""
    return f"It continues {start}, which {_WHAT_OF_THE_START.get(state, 'is not finished')}."


@dataclass(frozen=True)
class JobOutcome:
    """What became of a job.

    Attributes:
        job: the job.
        state: one of the words above.
        message: why it failed, is held or waits; empty where nothing is wrong.
        error: what it failed with.
    """

    job: Job
    state: str
    message: str = ""
    error: BaseException | None = None

    def to_dict(self) -> dict[str, Any]:
        """A row for people and programs."""
        return {"job": self.job.name, "number": self.job.number, "state": self.state, "message": self.message}


def is_compared(experiment: Experiment, job: Job) -> bool:
    """Whether the report compares the job's stage, so that its test cases are scored."""
    return job.stage.name in experiment.compared


def is_scored(folder: RunFolder, job: Job) -> bool:
    """Whether every case that a job is scored on has its scores."""
    _, names = part_to_score(folder.splits()[job.fold])
    return {row["case"] for row in read_scores(folder, job)} >= set(names)


def mean_dice(folder: RunFolder, job: Job) -> float | None:
    """Of the scored cases; None without any."""
    found = [row["dice"] for row in read_scores(folder, job)]
    return sum(found) / len(found) if found else None


def holder_of(folder: RunFolder, job: Job | str) -> Holder | None:
    """Which process trains a job now."""
    return JobLock(folder.job(job)).holder()


def listed(folder: RunFolder, jobs: Iterable[Job]) -> list[dict[str, Any]]:
    """A row for each job: number, name, stage, variant, fold, seed, start, and its state as the folder shows it."""
    return [
        {
            "number": job.number, "job": job.name, "stage": job.stage.name, "variant": job.stage.variant,
            "fold": job.fold + 1, "seed": job.seed, "start": job.start, "state": _state(folder, job),
        }
        for job in jobs
    ]  # fmt: skip


def _state(folder: RunFolder, job: Job) -> str:
    if folder.is_finished(job):
        return FINISHED
    if holder := holder_of(folder, job):
        return f"{HELD} by {holder}"
    return "begun" if folder.last_checkpoint(job) else "not begun"

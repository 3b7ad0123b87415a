"""The jobs of an experiment: one for each stage, fold and seed, numbered from 1 in an order that never changes.

Jobs of different folds and seeds know nothing of each other, and neither do stages that continue no other one: any
scheduler can run them, at once and on any machine that sees the run's folder.
"""

from __future__ import annotations

from dataclasses import dataclass

from agunetr.errors import InputError
from agunetr_train.experiments.definition import Experiment, Stage


@dataclass(frozen=True)
class Job:
    """One training.

    Attributes:
        number: from 1, what ``--job`` takes.
        stage: what is trained.
        fold: from 0, which of the splits it uses.
        seed: of the first weights, the patches and the augmentation.
        name: of its folder in the run.
        start: name of the job whose weights it continues, or None.
    """

    number: int
    stage: Stage
    fold: int
    seed: int
    name: str
    start: str | None


def jobs_of(experiment: Experiment) -> list[Job]:
    """All jobs: folds outermost, then seeds, then stages in their order, so that a job follows the one it continues."""
    jobs: list[Job] = []
    for fold in range(max(experiment.split.folds, 1)):
        for seed in experiment.seeds:
            for stage in experiment.stages:
                jobs.append(
                    Job(
                        number=len(jobs) + 1,
                        stage=stage,
                        fold=fold,
                        seed=seed,
                        name=job_name(experiment, stage.name, fold, seed),
                        start=None if stage.start is None else job_name(experiment, stage.start, fold, seed),
                    )
                )
    return jobs


def job_name(experiment: Experiment, stage: str, fold: int, seed: int) -> str:
    """``gated-fold2-seed1``; what does not vary is left out, so that a single job is called like its stage."""
    name = stage
    if experiment.split.folds:
        name += f"-fold{fold + 1}"
    if len(experiment.seeds) > 1:
        name += f"-seed{seed}"
    return name


def pick_job(experiment: Experiment, wanted: str) -> Job:
    """The job of that number or name.

    Raises:
        InputError: there is none.
    """
    jobs = jobs_of(experiment)
    for job in jobs:
        if wanted in (str(job.number), job.name):
            return job
    raise InputError(
        f"The experiment {experiment.name} has no job {wanted!r}.",
        f"Give a number from 1 to {len(jobs)} or a name; --list-jobs shows them.",
    )

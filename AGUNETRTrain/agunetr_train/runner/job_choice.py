"""Which jobs of an experiment were asked for, and whether they can begin."""

from __future__ import annotations

from collections.abc import Sequence

from agunetr.errors import InputError
from agunetr_train.experiments.definition import Experiment
from agunetr_train.experiments.jobs import Job, jobs_of, pick_job
from agunetr_train.run_folder import RunFolder
from agunetr_train.runner.job_states import holder_of


def chosen_jobs(experiment: Experiment, wanted: Sequence[str], stages: Sequence[str]) -> list[Job]:
    """The jobs of the given numbers or names, of the given stages; all where nothing is given.

    Returns:
        Jobs in their order, each once.

    Raises:
        InputError: there is no such job or stage, or none is left of both.
    """
    names = {pick_job(experiment, text).name for text in wanted}
    kept = {experiment.stage(name).name for name in stages}
    jobs = [
        job
        for job in jobs_of(experiment)
        if (not names or job.name in names) and (not kept or job.stage.name in kept)
    ]
    if not jobs:
        raise InputError("No job is both among those named and of the stages named.", "Give --job or --stage alone.")
    return jobs


def check_starts(jobs: Sequence[Job], folder: RunFolder) -> None:
    """Refuse a job that continues one which is neither finished nor asked for.

    Raises:
        InputError: there is one.
    """
    asked = {job.name for job in jobs}
    for job in jobs:
        if job.start is None or job.start in asked or folder.is_finished(job.start):
            continue
        holder = holder_of(folder, job.start)
        if holder:
            raise InputError(
                f"The job {job.name} continues {job.start}, which {holder} is training.",
                "Give the same command again when that is finished.",
            )
        raise InputError(
            f"The job {job.name} continues {job.start}, which is not finished and was not asked for.",
            f"Ask for it too (--job {job.start} --job {job.name}), or train it first.",
        )

"""Runs whose jobs are finished without having been trained: all that evaluation and export need, in a moment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tiny_experiments import tiny_experiment

from agunetr.networks.variants import build_network
from agunetr_train.data.cases import Case, find_cases
from agunetr_train.data.checks import check_cases
from agunetr_train.experiments.jobs import Job, jobs_of, pick_job
from agunetr_train.experiments.splits import make_splits
from agunetr_train.run_folder import RunFolder, write_record

OPEN_GATES = {"network": {"gamma_start": 0.5}}
"""Gates that do something, although they were never trained."""


def untrained_run(folder: Path, data: Path, **changes: Any) -> RunFolder:
    """A finished run of :func:`tiny_experiments.tiny_experiment` on ``data``, with its checked data and random weights.

    Args:
        folder: becomes the run's parent.
        data: labelled cases.
        changes: of the experiment, as for ``tiny_experiment``.
    """
    folder.mkdir(exist_ok=True)
    changes.setdefault(
        "stages", [{"name": "base", "variant": "unetr"}, {"name": "gated", "variant": "agunetr-v2", **OPEN_GATES}]
    )
    experiment = tiny_experiment(folder, **changes)
    run = RunFolder(folder / "run")
    run.open(experiment)
    cases = find_cases(data)
    splits = make_splits(experiment.split, {case.name: case.patient for case in cases.values()})
    run.write_splits(splits)
    write_record(run.root / "data.json", check_cases(cases, splits, experiment.intensity_range).to_dict())
    for job in jobs_of(experiment):
        finish(run, job, seed=job.number)
    return run


def finish(run: RunFolder, job: Job, seed: int, step: int = 4) -> None:
    """Give a job the checkpoint of a finished training, with the random weights of ``seed``."""
    torch.manual_seed(seed)
    network = build_network(run.experiment().network_config(job.stage))
    run.job(job).mkdir(exist_ok=True)
    torch.save({"network": network.state_dict()}, run.job(job) / f"checkpoint_step={step}.pt")
    write_record(run.job(job) / "finished.json", {"epochs": 2, "steps": step})


def the_job(run: RunFolder, name: str) -> Job:
    """A job of the run by its name."""
    return pick_job(run.experiment(), name)


def cases_of(data: Path) -> list[Case]:
    """All cases of a folder."""
    return [*find_cases(data).values()]

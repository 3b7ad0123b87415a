"""The jobs of an experiment: numbered once and for all, each with the job whose weights it continues."""

from __future__ import annotations

import pytest
from tiny_experiments import one_stage, tiny_experiment

from agunetr.errors import InputError
from agunetr_train.experiments.jobs import jobs_of, pick_job


def test_one_job_for_each_stage_fold_and_seed_in_an_order_that_starts_nothing_too_early(tmp_path):
    experiment = tiny_experiment(tmp_path, split={"folds": 2}, seeds=[0, 5])
    jobs = jobs_of(experiment)
    assert [job.number for job in jobs] == list(range(1, 9))
    assert [job.name for job in jobs[:4]] == [
        "base-fold1-seed0", "gated-fold1-seed0", "base-fold1-seed5", "gated-fold1-seed5",
    ]  # fmt: skip
    assert len({job.name for job in jobs}) == 8
    names = [job.name for job in jobs]
    for job in jobs:
        if job.stage.name == "gated":
            assert names.index(job.start) < job.number - 1
            assert job.start == job.name.replace("gated", "base")
        else:
            assert job.start is None


def test_a_single_job_is_called_like_its_stage(tmp_path):
    (job,) = jobs_of(tiny_experiment(tmp_path, **one_stage()))
    assert (job.name, job.fold, job.seed) == ("base", 0, 0)


def test_jobs_are_picked_by_number_or_name(tmp_path):
    experiment = tiny_experiment(tmp_path, split={"folds": 2})
    assert pick_job(experiment, "3").name == pick_job(experiment, "base-fold2").name == "base-fold2"
    with pytest.raises(InputError, match="no job '9'.*1 to 4"):
        pick_job(experiment, "9")

"""The network that a job begins with."""

from __future__ import annotations

from collections.abc import Callable

import torch

from agunetr.errors import InputError
from agunetr.networks.checkpoints import load_weights
from agunetr.networks.layout import to_channels_last
from agunetr.networks.unetr import GatedUNETR
from agunetr.networks.variants import build_network
from agunetr_train.experiments.definition import Experiment
from agunetr_train.experiments.jobs import Job, pick_job
from agunetr_train.run_folder import RunFolder
from agunetr_train.training.checkpoints import job_weights
from agunetr_train.training.warm_start import warm_start


def first_network(experiment: Experiment, job: Job, run: RunFolder, say: Callable[[str], None]) -> GatedUNETR:
    """Freshly seeded, with the weights of the job it continues, or with those of its ``warm_start``.

    Its layout is channels last, in which its convolutions are quicker; what is computed stays the same.

    Raises:
        InputError: the job that it continues is not finished, or there is no such warm start.
        ModelError: the warm start does not fit.
    """
    torch.manual_seed(job.seed)
    network = build_network(experiment.network_config(job.stage))
    if job.start is not None:
        if not run.is_finished(job.start):
            raise InputError(
                f"The job {job.name} continues {job.start}, which is not finished.", "Train that job first."
            )
        earlier = pick_job(experiment, job.start)
        _tell(say, job, load_weights(network, job_weights(run, earlier, say=say), f"The job {job.start}"), job.start)
    elif job.stage.warm_start is not None:
        _tell(say, job, warm_start(network, job.stage.warm_start), job.stage.warm_start)
    return to_channels_last(network)


def _tell(say: Callable[[str], None], job: Job, kept: list[str], source: str) -> None:
    rest = f"; {len(kept)} of its weights keep their own start, the first is {kept[0]}" if kept else ""
    say(f"{job.name}: begins with the weights of {source}{rest}.")

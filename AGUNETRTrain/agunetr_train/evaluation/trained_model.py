"""The weights of a job as a model, for the same code that runs the models of users."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from agunetr.errors import InputError
from agunetr.models.bundle import ModelBundle, save_bundle
from agunetr.networks.checkpoints import load_weights
from agunetr.networks.unetr import GatedUNETR
from agunetr.networks.variants import build_unfilled
from agunetr_train.experiments.jobs import Job
from agunetr_train.run_folder import RunFolder
from agunetr_train.training.checkpoints import job_weights

NAME = "trained"


def trained_network(run: RunFolder, job: Job, say: Callable[[str], None] = print) -> GatedUNETR:
    """The network of a job with its weights: float32, on the CPU, in evaluation mode.

    Args:
        run: the run.
        job: one of its jobs.
        say: told where another checkpoint had to be taken than the stage keeps.

    Raises:
        InputError: the job has no checkpoint yet, or one that lacks the gates' weights.
        ModelError: the checkpoint belongs to another network.
    """
    network = build_unfilled(run.experiment().network_config(job.stage))
    lacking = load_weights(network, job_weights(run, job, say=say), f"The job {job.name}", adopt=True)
    if lacking:
        raise InputError(f"The checkpoint of {job.name} lacks the weight {lacking[0]}.", "Train the job again.")
    return network.eval()


@contextmanager
def trained_model(run: RunFolder, job: Job, say: Callable[[str], None] = print) -> Iterator[ModelBundle]:
    """A job as a model that the segmenter runs, stored just as its export would be; gone when the context closes.

    Its checksum is that of the exported weights: what is measured with one holds for the other.

    Raises:
        InputError, ModelError: see :func:`trained_network`; a weight is not finite.
        OutputError: there is no room for temporary files.
    """
    experiment = run.experiment()
    network = trained_network(run, job, say)
    with tempfile.TemporaryDirectory(prefix="agunetr-") as folder:
        yield save_bundle(
            Path(folder) / NAME,
            network,
            name=NAME,
            title=f"The job {job.name}",
            spacing_mm=(experiment.spacing_mm,) * 3,
            intensity_range=experiment.intensity_range,
            licence=experiment.licence,
        )

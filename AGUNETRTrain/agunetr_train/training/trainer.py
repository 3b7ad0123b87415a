"""Training of one job on MONAI's engines and handlers, from wherever it was stopped to its end.

Everything random follows from the job's seed and the number of a patch (:mod:`agunetr_train.training.draws`), and a
checkpoint holds the rest: a job that is stopped after any step and resumed ends, on a CPU, with the very weights of one
that was not.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from monai.data import set_track_meta

from agunetr.errors import Cancelled, MemoryExhausted, OutputError
from agunetr.inference.devices import says_out_of_memory
from agunetr_train.data.cases import Case
from agunetr_train.evaluation.gate_statistics import GateStatistics
from agunetr_train.evaluation.peak_memory import PeakMemory
from agunetr_train.experiments.definition import Experiment
from agunetr_train.experiments.jobs import Job
from agunetr_train.run_folder import RunFolder, checkpoint_number
from agunetr_train.training.checkpoints import job_weights, newest_readable
from agunetr_train.training.distillation import make_teacher
from agunetr_train.training.distributed import Processes, join_processes, training_device
from agunetr_train.training.first_network import first_network
from agunetr_train.training.job_records import write_finished, write_job
from agunetr_train.training.job_training import JobTraining, Listeners
from agunetr_train.training.patch_loader import draw_plan, patch_loader, prepare_cases
from agunetr_train.training.precision import choose_precision
from agunetr_train.training.validation import Validation

__all__ = ["Outcome", "job_weights", "train_job"]

NONE = "none"
"""Said by the first process where there is no checkpoint."""


@dataclass(frozen=True)
class Outcome:
    """How a call of :func:`train_job` ended.

    Attributes:
        finished: the job is done.
        stopped: it was asked to stop, and goes on with the next call.
    """

    finished: bool
    stopped: bool


def train_job(
    experiment: Experiment,
    job: Job,
    run: RunFolder,
    training: Sequence[Case],
    validation: Sequence[Case],
    cache: Path,
    device: torch.device | str = "auto",
    say: Callable[[str], None] = print,
    on_step: Callable[[int, int], None] | None = None,
    on_row: Callable[[dict], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> Outcome:
    """Train a job to its end, or on from where it was stopped; one that is finished is left alone.

    Under ``torchrun`` every process calls it with the same arguments, and the first one writes the files.

    Args:
        experiment, job, run: what is trained, and where its results go.
        training, validation: the cases; without validation cases nothing is validated.
        cache: folder of prepared cases.
        device: see :func:`agunetr_train.training.distributed.training_device`.
        say: told what a user should know beside the rows.
        on_step: called after every step with the steps done and all steps of the job.
        on_row: called with every new row of ``metrics.jsonl``.
        stop: asked after every step and between the windows of a validation; a checkpoint is written then.

    Raises:
        InputError: a case, a checkpoint or a value of the stage cannot be used; the job it continues is not finished;
            the loss is no number any more (:class:`~agunetr_train.training.failing_loss.LossNotFinite`).
        DeviceError: there is no such device, or it cannot train in the precision that the stage asks for.
        ModelError: a warm start or a teacher cannot be used.
        OutputError: a file cannot be written; the last checkpoint is whole.
        MemoryExhausted: the device has too little memory.
        Cancelled: it was asked to stop before the first step.
    """
    if run.is_finished(job):
        return Outcome(finished=True, stopped=False)
    listeners = Listeners(**_given(on_step=on_step, on_row=on_row, stop=stop))
    device, _ = training_device(device)
    set_track_meta(False)
    try:
        return _train(experiment, job, run, training, validation, cache, device, say, listeners)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
            raise
        raise OutputError(
            f"There is no room left in {run.job(job)} or {cache}; the last checkpoint is whole.",
            "Free some space and give the same command again; it goes on from there.",
        ) from error
    except (MemoryError, RuntimeError) as error:
        if not says_out_of_memory(error):
            raise
        raise MemoryExhausted(
            f"The memory of {device} does not suffice to train {job.name}.",
            "Lower patches_per_step, raise accumulation_steps, or choose precision bfloat16 or a smaller network.",
        ) from error


def _train(
    experiment: Experiment,
    job: Job,
    run: RunFolder,
    training: Sequence[Case],
    validation: Sequence[Case],
    cache: Path,
    device: torch.device,
    say: Callable[[str], None],
    listeners: Listeners,
) -> Outcome:
    stage, folder = job.stage, run.make_job(job)
    processes = join_processes(device)
    precision = choose_precision(stage.precision, device)
    checkpoint = _chosen(run, job, processes, say)
    first_step = 0 if checkpoint is None else int(checkpoint_number(checkpoint))
    network = first_network(experiment, job, run, say).to(device)
    teacher = make_teacher(stage, device, say)
    store = prepare_cases(experiment, job, training, cache, processes, teacher, listeners.stop)
    names = [case.name for case in training]
    plan = draw_plan(experiment, job, len(names))
    loader = patch_loader(experiment, job, store, names, first_step, device, processes)
    notes = [f"{loader.num_workers} loading processes", "layout: channels last"]
    with PeakMemory(device) as memory:
        engine = JobTraining(
            job, folder, network, loader, first_step, plan.steps_per_epoch, precision[0], device, processes, listeners
        )
        if validation:
            validated = Validation(
                experiment, stage, engine.validated_network, validation, cache, device, precision[0], processes,
                listeners.stop,
            )  # fmt: skip
            engine.validate_with(validated)
            gates = GateStatistics(engine.validated_network, validated.cases, folder / "gates.jsonl")
            gates.attach(validated.evaluator)
        engine.resume(checkpoint, device)
        if processes.is_first:
            write_job(folder, job, network, device, processes, precision, notes, None)
        try:
            engine.run()
        except Cancelled:  # in a validation, which comes again
            engine.write_checkpoint()
            engine.stopped = True
        finally:
            engine.close()
    if processes.is_first:
        peak = memory.resident_bytes if memory.device_bytes is None else memory.device_bytes
        write_job(folder, job, network, device, processes, precision, notes, peak)
        if not engine.stopped:
            state = engine.trainer.state
            write_finished(folder, state.epoch, state.iteration, engine.metrics, engine.stopped_early)
    processes.wait()
    return Outcome(finished=not engine.stopped, stopped=engine.stopped)


def _chosen(run: RunFolder, job: Job, processes: Processes, say: Callable[[str], None]) -> Path | None:
    """The checkpoint to go on from; the first process looks, for it may have to put a damaged one aside."""
    found = str(newest_readable(run, job, say) or NONE) if processes.is_first else ""
    told = processes.told_by_first(found)
    return None if told == NONE else Path(told)


def _given(**callbacks: Callable | None) -> dict[str, Callable]:
    return {name: callback for name, callback in callbacks.items() if callback is not None}

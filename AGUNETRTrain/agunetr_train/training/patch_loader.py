"""Brings the patches of a job: prepared cases, cut and augmented, by loading processes where cores are free."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from monai.data import set_track_meta
from torch.utils.data import DataLoader

from agunetr.errors import InputError
from agunetr_train.data.cases import Case
from agunetr_train.data.preparation import map_prepared
from agunetr_train.experiments.definition import Experiment, Stage
from agunetr_train.experiments.jobs import Job
from agunetr_train.training.augmentation import cut_size, training_transforms
from agunetr_train.training.distillation import Teacher
from agunetr_train.training.distributed import Processes
from agunetr_train.training.draws import DrawPlan, PatchDraws, StepSampler
from agunetr_train.training.patch_centres import with_centres
from agunetr_train.training.prepared_files import prepared_files, until_stopped

MOST_WORKERS = 8
"""Loading processes beside a GPU; more wait for each other."""

CORES_FOR_A_WORKER = 4
"""On a CPU the network takes all cores, and one of fewer would be missed."""


class CaseStore:
    """The prepared cases of a job, each opened when it is first drawn and then kept.

    Args:
        files: of each case at each spacing.
        maps: of the teacher, in the same order; empty without one.
        window: voxels of a patch.
        stage: what is done to patches.
    """

    def __init__(
        self,
        files: Sequence[Sequence[Path]],
        maps: Sequence[Sequence[Path]],
        window: tuple[int, int, int],
        stage: Stage,
    ) -> None:
        self.files = files
        self.maps = maps
        self.smallest = cut_size(window, stage)
        self.stage = stage
        self._opened: dict[tuple[int, int], dict[str, torch.Tensor]] = {}

    def __call__(self, case: int, spacing: int) -> dict[str, torch.Tensor]:
        """What :func:`agunetr_train.training.augmentation.training_transforms` takes."""
        if (case, spacing) not in self._opened:
            item = map_prepared(self.files[case][spacing])
            if self.maps:
                item["teacher"] = map_prepared(self.maps[case][spacing])["teacher"]
            margin, reach = self.stage.augmentation.margin_voxels, self.stage.foreground_reach
            self._opened[case, spacing] = with_centres(item, self.smallest, margin, reach)
        return self._opened[case, spacing]


def prepare_cases(
    experiment: Experiment,
    job: Job,
    cases: Sequence[Case],
    cache: Path,
    processes: Processes,
    teacher: Teacher | None,
    stop: Callable[[], bool],
) -> CaseStore:
    """Prepare what is not prepared yet: the cases, and what the teacher says of them.

    Raises:
        InputError, OutputError, Cancelled: see :func:`agunetr_train.training.prepared_files.prepared_files`.
    """
    spacings = job.stage.spacings_mm or (experiment.spacing_mm,)
    files = prepared_files(experiment, cases, spacings, cache, processes, stop)
    maps: list[list[Path]] = []
    if teacher is not None:
        with processes.first_goes_ahead():
            maps = [
                [teacher.map_of(case, spacing, experiment.intensity_range, cache) for spacing in spacings]
                for case in until_stopped(cases, processes, stop)
            ]
    return CaseStore(files, maps, experiment.network_config(job.stage).window, job.stage)


def patch_loader(
    experiment: Experiment,
    job: Job,
    store: CaseStore,
    names: Sequence[str],
    first_step: int,
    device: torch.device,
    processes: Processes,
) -> DataLoader:
    """All batches of this process from ``first_step`` (counted from 0) to the end of the job.

    Raises:
        InputError: the patches of a step cannot be divided among processes and parts.
    """
    stage = job.stage
    plan = draw_plan(experiment, job, len(names))
    sampler = StepSampler(first_step, stage.epochs * plan.steps_per_epoch, stage.patches_per_step, processes)
    if sampler.share % stage.accumulation_steps:
        raise InputError(
            f"Each of {processes.count} processes has {sampler.share} patches a step, which accumulation_steps "
            f"{stage.accumulation_steps} does not divide.",
            "Change patches_per_step, accumulation_steps or the number of processes.",
        )
    transforms = training_transforms(experiment.network_config(stage).window, stage)
    workers = loading_processes(device, processes)
    return DataLoader(
        PatchDraws(store, names, transforms, plan),
        batch_sampler=sampler,
        num_workers=workers,
        worker_init_fn=start_loading if workers else None,
        pin_memory=device.type == "cuda",
    )


def draw_plan(experiment: Experiment, job: Job, cases: int) -> DrawPlan:
    """Where the draws of a job come from."""
    return DrawPlan.of(job.stage, job.seed, cases, len(job.stage.spacings_mm or (experiment.spacing_mm,)))


def loading_processes(device: torch.device, processes: Processes) -> int:
    """How many processes load beside each one that trains."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    own = cores // processes.on_this_machine
    if device.type == "cpu":
        return int(own >= CORES_FOR_A_WORKER or own > torch.get_num_threads())
    return max(0, min(MOST_WORKERS, own - 1))


def start_loading(worker: int) -> None:
    """In a loading process: what stops the training reaches it too, and it must go on until the step is done."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _end_for_the_training_process_alone()
    set_track_meta(False)


def _end_for_the_training_process_alone() -> None:
    """Heed SIGTERM of the process that trains and of nobody else.

    A batch system or ``kill`` sends it to all processes of a job at once, and one that loads would take the training
    down before its checkpoint is written. PyTorch ends a loading process that it has no more use for in the same way,
    so the sender makes the difference; where the system does not tell it (macOS, Windows), everybody's is heeded.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    training = multiprocessing.parent_process()
    if training is None or not hasattr(signal, "sigwaitinfo"):
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

    def wait() -> None:
        while signal.sigwaitinfo({signal.SIGTERM}).si_pid != training.pid:
            pass
        os._exit(0)

    threading.Thread(target=wait, name="end of loading", daemon=True).start()

"""``agunetr train``: the jobs of an experiment, their scores, and the report."""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from agunetr.commands.console import Console
from agunetr.commands.exit_codes import CANCELLED, OK, SOME_FAILED, UsageError, exit_code
from agunetr.commands.stop_on_input import add_stop_argument, stoppable
from agunetr.errors import Cancelled
from agunetr.many_scans.share import Share, give_threads_back
from agunetr_train.commands.training_packages import training_packages
from agunetr_train.commands.training_text import EVENTS, TrainingReporter, job_table

if TYPE_CHECKING:
    from agunetr_train.experiments.definition import Experiment
    from agunetr_train.experiments.jobs import Job
    from agunetr_train.run_folder import RunFolder
    from agunetr_train.runner.job_states import JobOutcome
    from agunetr_train.runner.local_runner import LocalRunner
    from agunetr_train.runner.preparation import PreparedRun

SUMMARY = "Trains an experiment, scores its networks and makes the report; goes on where it was stopped."
EXAMPLES = f"""\
  agunetr train smoke
  agunetr train study-v2
  agunetr train study-v2 --data Task09_Spleen --run runs/study-v2 --device cuda
  agunetr train kfold-5 --list-jobs
  agunetr train kfold-5 --job 1 --job v2-fold1-seed0
  agunetr train compact-real --data DATA --at-once 2
  torchrun --nproc-per-node 4 -m -- agunetr train study-v2 --run runs/study-v2
  sbatch --array=1-45 --wrap 'agunetr train kfold-5 --run runs/kfold-5 --job $SLURM_ARRAY_TASK_ID'

An experiment is a file (`agunetr experiments`). Each of its stages, folds and seeds is a job of its own. DATA is a
folder with imagesTr/ and labelsTr/, with images/ and labels/, or with a folder a case; some experiments bring their
data. Cases are checked before training: RUN/data-report.txt.

RUN holds everything: the resolved experiment, the split, and a folder a job with checkpoints, metrics.jsonl,
TensorBoard events, scores and masks of the test cases. Interrupted at any moment, the same command goes on where it
was. Ctrl+C stops after the step at hand and keeps a checkpoint; a second one stops at once.

Any number of processes, on all machines that see RUN, can work on one run: each takes a job that no other one has. A
lock names who has it; that of a process which is gone is taken over, at once on the same machine, and after three
minutes without a sign of life from another one. A job that fails does not stop the others; the exit code is then 7.

torchrun trains each job on all its processes together, a GPU each where there are any; without the "--" it would take
--run for an abbreviation of its own.

{EVENTS}"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument(
        "experiment", metavar="EXPERIMENT", help="name of a shipped experiment (see `agunetr experiments`), or a file"
    )
    parser.add_argument(
        "--run", dest="run_folder", metavar="RUN",
        help="folder of the run, made if missing, gone on with if it is there (runs/NAME in the current folder)",
    )  # fmt: skip
    parser.add_argument("--data", metavar="FOLDER", help="folder of labelled cases (what the experiment names)")
    parser.add_argument(
        "--cache", metavar="FOLDER",
        help="folder for downloaded and prepared cases, which several runs can share (RUN/prepared)",
    )  # fmt: skip

    which = parser.add_argument_group("which jobs (all, in their order)")
    which.add_argument("--job", action="append", default=[], metavar="JOB", help="a job's number or name; repeatable")
    which.add_argument("--stage", action="append", default=[], metavar="NAME", help="the jobs of a stage; repeatable")
    which.add_argument("--list-jobs", action="store_true", help="list the jobs and how far they are, and do nothing")

    how = parser.add_argument_group("where")
    how.add_argument("--device", default="auto", metavar="DEVICE", help="auto, cpu, cuda, cuda:N or mps (auto)")
    how.add_argument(
        "--threads", type=int, metavar="N", help="CPU threads of each job (all cores, divided by --at-once)"
    )
    how.add_argument(
        "--at-once", type=int, default=1, metavar="N",
        help="train N jobs at a time, each in a process of its own; several GPUs are given out in turn (1)",
    )  # fmt: skip
    add_stop_argument(parser)

    after = parser.add_argument_group("after training")
    after.add_argument("--no-score", action="store_true", help="do not segment and score the test cases")
    after.add_argument("--no-report", action="store_true", help="do not make the report when all jobs are done")


@training_packages()
def run(arguments: argparse.Namespace, console: Console) -> int:
    """Trains the jobs asked for."""
    share = Share.from_environment(os.environ)
    _check_numbers(arguments, share)
    threads = give_threads_back(os.environ)

    from agunetr_train.experiments.reading import load_experiment
    from agunetr_train.run_folder import RunFolder
    from agunetr_train.runner.job_choice import check_starts, chosen_jobs

    experiment = load_experiment(arguments.experiment)
    folder = RunFolder(Path(arguments.run_folder or Path("runs") / experiment.name).expanduser())
    jobs = chosen_jobs(experiment, arguments.job, arguments.stage)
    if arguments.list_jobs:
        return _list_jobs(folder, jobs, console)
    check_starts(jobs, folder)
    if threads:
        console.say(threads)
    for noisy in ("ignite", "monai"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        with stoppable(arguments.stop_on_input, lambda: None) as stop:
            return _train(experiment, folder, jobs, arguments, share, console, stop)
    except KeyboardInterrupt:
        raise Cancelled("Stopped at once; the same command goes on from the last checkpoint.") from None


def _check_numbers(arguments: argparse.Namespace, share: Share) -> None:
    for name in ("threads", "at_once"):
        value = getattr(arguments, name)
        if value is not None and value < 1:
            raise UsageError(f"--{name.replace('_', '-')} is {value}.", "Give at least 1.")
    if arguments.at_once > 1 and share.processes > 1:
        raise UsageError("--at-once and torchrun exclude each other.", "Use one of them.")


def _list_jobs(folder: RunFolder, jobs: Sequence[Job], console: Console) -> int:
    from agunetr_train.runner.job_states import listed

    rows = listed(folder, jobs)
    console.event("jobs", jobs=rows)
    for line in job_table(rows, ("number", "job", "variant", "fold", "seed", "start", "state")):
        console.say(line)
    return OK


def _train(
    experiment: Experiment,
    folder: RunFolder,
    jobs: Sequence[Job],
    arguments: argparse.Namespace,
    share: Share,
    console: Console,
    stop: Callable[[], bool],
) -> int:
    import torch

    from agunetr_train.runner.preparation import prepare_run
    from agunetr_train.runner.ranks import Ranks
    from agunetr_train.runner.run_jobs import JobRunner
    from agunetr_train.training.distributed import training_device

    reporter = TrainingReporter(console, silent=share.rank > 0)
    device, why = training_device(arguments.device)
    reporter.say(why)
    ranks = Ranks(share, stop)
    data, cache = (Path(text).expanduser() if text else None for text in (arguments.data, arguments.cache))
    with console.progress() as progress:

        def unless_stopped(stage: str, done: int, total: int) -> None:
            if stop():
                raise Cancelled("Stopped before the training began; the same command goes on.")
            progress(stage, done, total)

        run = prepare_run(experiment, folder, data, cache, ranks, reporter.say, unless_stopped)
    reporter.event("run", run=folder.root, experiment=experiment.name, jobs=[job.name for job in jobs])
    if arguments.at_once > 1:
        outcomes = _at_once(run, arguments, reporter, stop).run(jobs)
    else:
        if arguments.threads:
            torch.set_num_threads(arguments.threads)
        outcomes = JobRunner(run, device, reporter, ranks, stop, score=not arguments.no_score).run(jobs)
    rows = [outcome.to_dict() for outcome in outcomes]
    reporter.event("jobs", jobs=rows)
    if len(rows) > 1 and not reporter.silent:
        for line in ("", *job_table(rows, ("number", "job", "state", "message"))):
            console.say(line)
    code = _code(outcomes)
    if code != CANCELLED and not arguments.no_report and ranks.first:
        _report(run, outcomes, reporter)
    return code


def _at_once(
    run: PreparedRun, arguments: argparse.Namespace, reporter: TrainingReporter, stop: Callable[[], bool]
) -> LocalRunner:
    import torch

    from agunetr_train.runner.local_runner import LocalRunner, child_environment, job_command

    count = arguments.at_once
    threads = arguments.threads or max(1, torch.get_num_threads() // count)
    options = ["--run", str(run.folder.root), "--cache", str(run.cache), "--threads", str(threads)]
    options += ["--data", arguments.data] if arguments.data else []
    options += [flag for flag in ("--no-score", "--quiet") if getattr(arguments, flag[2:].replace("-", "_"))]

    def command(job: Job, slot: int) -> list[str]:
        device = Share(slot, count, slot).device(arguments.device)
        return job_command(job, arguments.experiment, [*options, "--device", device])

    reporter.say(f"{count} jobs at a time; CPU threads of each: {threads}.")
    return LocalRunner(run.folder, command, count, reporter, stop, child_environment(threads))


def _code(outcomes: Sequence[JobOutcome]) -> int:
    """The exit code; jobs that another process has are in good hands, those that wait for one are not."""
    from agunetr_train.runner import job_states as states

    found = {outcome.state for outcome in outcomes}
    if states.STOPPED in found:
        return CANCELLED
    if states.FAILED in found and len(outcomes) == 1:
        return exit_code(outcomes[0].error)
    return SOME_FAILED if found & {states.FAILED, states.WAITING} else OK


def _report(run: PreparedRun, outcomes: Sequence[JobOutcome], reporter: TrainingReporter) -> None:
    """Where all jobs were asked for, or the last ones have come to their end: one job of many makes no report."""
    from agunetr_train.experiments.jobs import jobs_of
    from agunetr_train.report.page import make_report

    jobs = jobs_of(run.experiment)
    finished = [run.folder.is_finished(job) for job in jobs]
    if any(finished) and (len(outcomes) == len(jobs) or all(finished)):
        reporter.event("report", path=make_report(run.folder, say=reporter.say))

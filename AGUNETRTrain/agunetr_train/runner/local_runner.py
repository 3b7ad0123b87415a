"""Several jobs at once on this machine: each a child process that runs the same command for one job.

Children listen to their standard input: a line there, or its end, stops them as Ctrl+C would. So a stop is passed on
the same way on every system, and children do not outlive a runner that was killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agunetr.errors import AgunetrError
from agunetr_train.experiments.jobs import Job
from agunetr_train.run_folder import RunFolder
from agunetr_train.runner import job_states as states
from agunetr_train.runner.job_states import JobOutcome
from agunetr_train.runner.reporter import Reporter

LOG = "training.log"
"""In the job's folder: what a child prints that is no event, for example the traceback of a fault."""
LOOK_SECONDS = 0.1
GRACE_SECONDS = 10.0
OF_THE_RUNNER = ("run", "jobs", "report")
"""Events that the runner reports itself, for all jobs together."""


class ChildFailure(AgunetrError):
    """What a child process said of its end."""

    def __init__(self, kind: str, message: str, remedy: str) -> None:
        super().__init__(message, remedy)
        self.kind = kind


@dataclass
class _Child:
    job: Job
    slot: int
    process: subprocess.Popen[str]
    lines: queue.SimpleQueue[str | None] = field(default_factory=queue.SimpleQueue)
    outcome: JobOutcome | None = None
    ended: bool = False

    def read(self) -> None:
        """Put the child's lines into the queue, in a thread of its own; None is their end."""
        with self.process.stdout as stream:
            for line in stream:
                self.lines.put(line)
        self.lines.put(None)

    def tell_to_stop(self) -> None:
        with contextlib.suppress(OSError, ValueError):  # it has ended
            self.process.stdin.write("\n")
            self.process.stdin.flush()


class LocalRunner:
    """Runs jobs in child processes.

    Args:
        folder: of the run, which is prepared.
        command: the command line of a job in one of ``at_once`` slots, counted from 0.
        at_once: the most children at a time.
        reporter: told what happens.
        stop: whether to stop after the steps at hand.
        environment: of the children.
    """

    def __init__(
        self,
        folder: RunFolder,
        command: Callable[[Job, int], Sequence[str]],
        at_once: int,
        reporter: Reporter,
        stop: Callable[[], bool],
        environment: Mapping[str, str],
    ) -> None:
        self._folder = folder
        self._command = command
        self._at_once = at_once
        self._reporter = reporter
        self._stop = stop
        self._environment = dict(environment)

    def run(self, jobs: Sequence[Job]) -> list[JobOutcome]:
        """Do the jobs; one that fails does not stop the others.

        Returns:
            One outcome a job, in the order of ``jobs``.

        Raises:
            KeyboardInterrupt: stop at once; the children were ended.
        """
        outcomes: dict[str, JobOutcome] = {}
        waiting, children, told = list(jobs), [], False
        try:
            while waiting or children:
                if self._stop() and not told:
                    told = True
                    for child in children:
                        child.tell_to_stop()
                    outcomes |= {job.name: JobOutcome(job, states.STOPPED, "Not begun.") for job in waiting}
                    waiting = []
                self._start_ready(waiting, children, outcomes)
                for child in children:
                    self._hear(child)
                outcomes |= {child.job.name: child.outcome for child in children if child.ended}
                children = [child for child in children if not child.ended]
                time.sleep(LOOK_SECONDS)
        except BaseException:
            _end(children)
            raise
        return [outcomes[job.name] for job in jobs]

    def _start_ready(self, waiting: list[Job], children: list[_Child], outcomes: dict[str, JobOutcome]) -> None:
        for job in list(waiting):
            start = outcomes.get(job.start) if job.start else None
            if start and start.state not in (states.FINISHED, states.BEFORE):
                message = states.why_waiting(job.start, start.state)
                outcomes[job.name] = JobOutcome(job, states.WAITING, message)
                self._reporter.event("skipped", **outcomes[job.name].to_dict())
                waiting.remove(job)
            elif len(children) < self._at_once and (job.start is None or self._folder.is_finished(job.start)):
                waiting.remove(job)
                children.append(self._start(job, min(set(range(self._at_once)) - {child.slot for child in children})))

    def _start(self, job: Job, slot: int) -> _Child:
        with (self._folder.make_job(job) / LOG).open("a", encoding="utf-8") as log:
            process = subprocess.Popen(
                self._command(job, slot), env=self._environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=log, encoding="utf-8", errors="replace", **_own_group(),
            )  # fmt: skip
        child = _Child(job, slot, process)
        threading.Thread(target=child.read, name=f"events of {job.name}", daemon=True).start()
        return child

    def _hear(self, child: _Child) -> None:
        """Hand on what a child said; after its last word, note what became of it."""
        while not child.ended:
            try:
                line = child.lines.get_nowait()
            except queue.Empty:
                return
            if line is not None:
                self._hand_on(child, json.loads(line))
                continue
            code = child.process.wait()
            child.process.stdin.close()
            child.ended = True
            if child.outcome is None:
                self._fail(child, self._unexplained(child.job, code))

    def _hand_on(self, child: _Child, event: dict[str, Any]) -> None:
        job, name = child.job, event.pop("event")
        if name in OF_THE_RUNNER:
            return
        if name == "error":
            self._heard_error(child, ChildFailure(event["kind"], event["message"], event["remedy"]))
            return
        if name == "notice":
            # What a child says of the device and the data, the runner has said for all.
            if event["message"].startswith(job.name):
                self._reporter.say(event["message"])
            return
        if name in ("finished", "stopped"):
            child.outcome = JobOutcome(job, states.FINISHED if name == "finished" else states.STOPPED)
        elif name == "skipped":
            child.outcome = JobOutcome(job, event["state"], event["message"])
        self._reporter.event(name, **event)

    def _heard_error(self, child: _Child, error: ChildFailure) -> None:
        if error.kind == "cancelled":
            child.outcome = JobOutcome(child.job, states.STOPPED, error.message)
        elif child.outcome is None:
            self._fail(child, error)

    def _fail(self, child: _Child, error: AgunetrError) -> None:
        child.outcome = JobOutcome(child.job, states.FAILED, str(error), error)
        self._reporter.failed(child.job, error)

    def _unexplained(self, job: Job, code: int) -> AgunetrError:
        ended = f"was ended by signal {-code}" if code < 0 else f"ended with the code {code}"
        log = self._folder.job(job) / LOG
        return ChildFailure(
            "unexpected",
            f"The process of the job {ended} and said nothing.",
            f"What it printed is in {log}; where memory is short, run fewer jobs at once.",
        )


def job_command(job: Job, experiment: str, options: Sequence[str]) -> list[str]:
    """The command line that runs one job and speaks in events."""
    own = ["--job", job.name, "--json", "--no-report", "--stop-on-input"]
    return [sys.executable, "-m", "agunetr", "train", experiment, *own, *options]


def child_environment(threads: int) -> dict[str, str]:
    """This process's environment, with that many threads for the libraries that ask it."""
    number = str(threads)
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS")
    return {**os.environ, **dict.fromkeys(names, number)}


def _own_group() -> dict[str, Any]:
    """Ctrl+C at a terminal reaches the runner alone, which passes it on once."""
    if os.name == "nt":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def _end(children: Sequence[_Child]) -> None:
    """Tell children to stop at once, and kill those that do not."""
    for child in children:
        child.tell_to_stop()
        child.tell_to_stop()
    until = time.monotonic() + GRACE_SECONDS
    for child in children:
        try:
            child.process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.process.kill()
            child.process.wait()

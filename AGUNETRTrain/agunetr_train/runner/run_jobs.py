"""The jobs of a run, one after the other in this process: lock, train, score; safe beside other processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from agunetr.errors import BusyError, Cancelled
from agunetr_train.evaluation.scoring import score_job
from agunetr_train.experiments.jobs import Job
from agunetr_train.runner import job_states as states
from agunetr_train.runner.job_lock import JobLock
from agunetr_train.runner.job_states import JobOutcome
from agunetr_train.runner.preparation import PreparedRun
from agunetr_train.runner.ranks import Ranks
from agunetr_train.runner.reporter import Reporter
from agunetr_train.training.trainer import train_job

_TRAIN = "train"


class JobRunner:
    """Trains and scores jobs that are neither finished nor held by another process.

    Args:
        run: the prepared run.
        device: where this process trains.
        reporter: told what happens.
        ranks: with several processes, all of them call :meth:`run` with the same jobs.
        stop: whether to stop after the step at hand.
        score: whether to score the test cases of compared stages.
        train, score_cases: handed in by tests.
    """

    def __init__(
        self,
        run: PreparedRun,
        device: torch.device,
        reporter: Reporter,
        ranks: Ranks,
        stop: Callable[[], bool],
        score: bool = True,
        train: Callable[..., Any] = train_job,
        score_cases: Callable[..., None] = score_job,
    ) -> None:
        self._run = run
        self._folder = run.folder
        self._device = device
        self._reporter = reporter
        self._ranks = ranks
        self._stop = stop
        self._score = score
        self._train = train
        self._score_cases = score_cases
        self._locks: dict[str, JobLock] = {}

    def run(self, jobs: Sequence[Job]) -> list[JobOutcome]:
        """Do the jobs in their order; one that fails does not stop the others, unless several processes train it.

        Returns:
            One outcome a job, in the order of ``jobs``.

        Raises:
            KeyboardInterrupt: stop at once.
        """
        outcomes: dict[str, JobOutcome] = {}
        pending, patient = list(jobs), False
        while pending:
            for job in pending:
                outcomes[job.name] = self._attempt(job, outcomes, patient)
            left = [job for job in pending if outcomes[job.name].state in (states.HELD, states.WAITING)]
            # While some jobs were done, those of other processes may have come to their end. Where there was nothing
            # to do, one more round looks whether their processes are alive at all.
            patient, again = len(left) == len(pending), not patient or len(left) < len(pending)
            pending = left
            if not again:
                break
        for job in pending:
            self._reporter.event("skipped", **outcomes[job.name].to_dict())
        return [outcomes[job.name] for job in jobs]

    def _attempt(self, job: Job, earlier: dict[str, JobOutcome], patient: bool) -> JobOutcome:
        plan = self._ranks.decide(lambda: self._plan(job, earlier, patient))
        if plan["state"] != _TRAIN:
            outcome = JobOutcome(job, plan["state"], plan["message"])
            if outcome.state == states.BEFORE:
                self._reporter.event("skipped", **outcome.to_dict())
            return outcome
        try:
            return self._train_and_score(job, plan["trained"])
        except Cancelled as error:
            self._reporter.event("stopped", job=job.name)
            return JobOutcome(job, states.STOPPED, error.message)
        except Exception as error:
            if self._ranks.several:  # the others wait inside the training for a process that will not come
                raise
            self._reporter.failed(job, error)
            return JobOutcome(job, states.FAILED, str(error), error)
        finally:
            if self._ranks.first:
                self._locks[job.name].release()

    def _plan(self, job: Job, earlier: dict[str, JobOutcome], patient: bool) -> dict[str, Any]:
        """What to do about a job; where it is to be trained, its lock is held afterwards."""
        if self._stop():
            return {"state": states.STOPPED, "message": "Not begun."}
        if self._is_done(job):
            return {"state": states.BEFORE, "message": ""}
        if job.start and not self._folder.is_finished(job.start):
            return {"state": states.WAITING, "message": self._why_waiting(job.start, earlier)}
        self._folder.make_job(job)
        lock = self._locks.setdefault(job.name, JobLock(self._folder.job(job)))
        if not (lock.acquire() or (patient and self._outlived(job, lock))):
            return {"state": states.HELD, "message": f"It is trained by {lock.holder() or 'another process'}."}
        if self._is_done(job):  # by whoever held the lock a moment ago
            lock.release()
            return {"state": states.BEFORE, "message": ""}
        return {"state": _TRAIN, "trained": self._folder.is_finished(job)}

    def _outlived(self, job: Job, lock: JobLock) -> bool:
        if not lock.seems_left():
            return False
        self._reporter.say(
            f"{job.name}: {lock.holder() or 'its process'} shows no sign of life; it is taken over after "
            f"{lock.lease_seconds:.0f} s without one."
        )
        return lock.watch(self._stop)

    def _why_waiting(self, start: str, earlier: dict[str, JobOutcome]) -> str:
        if holder := states.holder_of(self._folder, start):
            return f"It continues {start}, which {holder} trains; give the same command again when that is finished."
        return states.why_waiting(start, earlier[start].state if start in earlier else None)

    def _is_done(self, job: Job) -> bool:
        scored = not self._scores(job) or states.is_scored(self._folder, job)
        return self._folder.is_finished(job) and scored

    def _scores(self, job: Job) -> bool:
        return self._score and states.is_compared(self._run.experiment, job)

    def _train_and_score(self, job: Job, trained: bool) -> JobOutcome:
        if not trained and self._train_job(job):
            self._reporter.event("stopped", job=job.name)
            return JobOutcome(job, states.STOPPED, "The same command goes on.")
        self._ranks.meet()
        dice = None
        if self._scores(job):
            if self._ranks.first:
                self._score_job(job)
            self._ranks.meet()
            dice = states.mean_dice(self._folder, job)
        self._reporter.event("finished", job=job.name, mean_dice=dice, **self._folder.finished(job))
        return JobOutcome(job, states.FINISHED)

    def _train_job(self, job: Job) -> bool:
        """Train; True where it was stopped before its end."""
        run, lock = self._run, self._locks.get(job.name)
        training, validation = run.part(job, "training"), run.part(job, "validation")
        self._reporter.event(
            "started", job=job.name, number=job.number, variant=job.stage.variant, fold=job.fold + 1, seed=job.seed,
            training=[case.name for case in training], validation=[case.name for case in validation],
            epochs=job.stage.epochs, device=str(self._device), goes_on=self._folder.last_checkpoint(job) is not None,
        )  # fmt: skip

        def stop() -> bool:
            return self._stop() or (lock is not None and lock.lost)

        with self._reporter.progress(job) as progress:
            outcome = self._train(
                run.experiment, job, run.folder, training, validation, run.cache, self._device,
                say=self._reporter.say, stop=stop,
                on_step=lambda done, total: progress("training", done, total),
                on_row=lambda row: self._reporter.event(_row_event(row), job=job.name, **row),
            )  # fmt: skip
        if lock is not None and lock.lost:
            raise BusyError(
                f"The job was taken over by {lock.holder() or 'another process'}, since this one stood still too long.",
                "Leave it to that one.",
            )
        return outcome.stopped

    def _score_job(self, job: Job) -> None:
        cases = self._run.part(job, "test") + self._run.part(job, "validation")
        self._score_cases(self._folder, job, cases, self._device, say=self._reporter.say, stop=self._stop)


def _row_event(row: dict[str, Any]) -> str:
    return "validated" if "validation_dice" in row else "epoch"

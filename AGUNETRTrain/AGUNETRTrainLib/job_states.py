"""What becomes of each job, in the user's words, and how far the whole run is."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence

from AGUNETRSegmentLib.progress_text import durationText
from AGUNETRSegmentLib.translation import _

from .run_reading import JobRecord, RunRecord


class JobState(enum.Enum):
    """What a job is doing, or what became of it."""

    WAITING = enum.auto()
    RUNNING = enum.auto()
    SCORING = enum.auto()
    ELSEWHERE = enum.auto()
    BEGUN = enum.auto()
    FINISHED = enum.auto()
    EARLY = enum.auto()
    FAILED = enum.auto()

    def label(self) -> str:
        """What the user reads."""
        return {
            JobState.WAITING: _("Not begun"),
            JobState.RUNNING: _("Training"),
            JobState.SCORING: _("Scoring"),
            JobState.ELSEWHERE: _("At work in another process"),
            JobState.BEGUN: _("Begun"),
            JobState.FINISHED: _("Finished"),
            JobState.EARLY: _("Finished early"),
            JobState.FAILED: _("Failed"),
        }[self]


def stateOf(job: JobRecord, running: bool, failure: str | None) -> JobState:
    """The state of a job.

    :param running: whether the panel's own child works on it.
    :param failure: why it failed in that child; None where it did not.
    """
    if running:
        return JobState.RUNNING if job.finished is None else JobState.SCORING
    if failure is not None:
        return JobState.FAILED
    if job.finished is not None:
        return JobState.EARLY if job.finished.get("stopped_early") else JobState.FINISHED
    if job.held:
        return JobState.ELSEWHERE
    return JobState.BEGUN if job.losses else JobState.WAITING


def jobTexts(job: JobRecord, state: JobState) -> list[str]:
    """The cells of a job's row: job, state, epochs, loss, best and last validation Dice, test Dice."""
    return [
        job.plan.name,
        state.label(),
        _("{done} of {total}").format(done=job.epochsDone, total=job.plan.epochs or "?"),
        f"{job.losses[-1][1]:.4f}" if job.losses else "",
        _dice(job.bestDice),
        _dice(job.validations[-1][1] if job.validations else None),
        _dice(job.testDice),
    ]


def _dice(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def shareDone(record: RunRecord, parts: Mapping[str, float]) -> float:
    """How much of the run's training is done, 0 to 1, counted in epochs.

    :param parts: of the epoch that a job is in, by the job's name, 0 to 1.
    """
    total = sum(job.plan.epochs for job in record.jobs)
    done = sum(_epochs(job, parts) for job in record.jobs)
    return min(1.0, done / total) if total else 0.0


def secondsLeft(record: RunRecord, parts: Mapping[str, float], atOnce: int) -> float | None:
    """What the trainings still need by what epochs took so far; None while none has ended.

    :param atOnce: how many jobs share the time.
    """
    measured = [job for job in record.jobs if job.epochsDone]
    if not measured:
        return None
    overall = sum(job.epochSeconds for job in measured) / sum(job.epochsDone for job in measured)
    rates: dict[str, float] = {}
    for stage in {job.plan.stage for job in measured}:
        same = [job for job in measured if job.plan.stage == stage]
        rates[stage] = sum(job.epochSeconds for job in same) / sum(job.epochsDone for job in same)
    left = [(job.plan.epochs - _epochs(job, parts)) * rates.get(job.plan.stage, overall) for job in record.jobs]
    # The longest job cannot be shared.
    return max(sum(left) / max(atOnce, 1), max(left, default=0.0))


def _epochs(job: JobRecord, parts: Mapping[str, float]) -> float:
    if job.finished is not None:
        return job.plan.epochs
    return min(job.plan.epochs, max(job.epochsDone, parts.get(job.plan.name, 0.0)))


def runText(record: RunRecord, states: Sequence[JobState], left: float | None) -> str:
    """For example ``2 of 12 jobs are finished; training gated-fold1, epoch 3 of 15; about 40 min left.``"""
    finished = sum(state in (JobState.FINISHED, JobState.EARLY) for state in states)
    parts = [_("{finished} of {total} jobs are finished").format(finished=finished, total=len(states))]
    failed = sum(state is JobState.FAILED for state in states)
    if failed:
        parts.append(_("{count} failed").format(count=failed))
    parts += [
        _("training {job}, epoch {epoch} of {total}").format(
            job=job.plan.name, epoch=min(job.epochsDone + 1, job.plan.epochs or job.epochsDone + 1),
            total=job.plan.epochs or "?")
        for job, state in zip(record.jobs, states, strict=True) if state is JobState.RUNNING]
    parts += [
        _("scoring {job}").format(job=job.plan.name)
        for job, state in zip(record.jobs, states, strict=True) if state is JobState.SCORING]
    if left is not None and finished < len(states):
        parts.append(_("about {time} left").format(time=durationText(left)))
    return "; ".join(parts) + "."

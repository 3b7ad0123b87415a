"""What ``agunetr train`` says, to people and to programs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from agunetr.commands.console import Console

if TYPE_CHECKING:
    from agunetr_train.experiments.jobs import Job

EVENTS = """\
With --json, standard output carries one JSON object a line and nothing else. {"event": ...} is one of:
  run        "run" (its folder), "experiment", "jobs": the names of those asked for
  started    "job", "number", "variant", "fold", "seed", "epochs", "training" and "validation" (cases), "device",
             "goes_on" (from a checkpoint)
  progress   "job", "stage", "done", "total", "seconds_left" (null until it can be estimated); ten a second at most
  epoch      "job", "epoch", "step", "loss", "learning_rate", "seconds": a row of metrics.jsonl
  validated  "job", "epoch", "validation_dice", "validation_dice_by_case"
  finished   "job", "mean_dice" (of its test cases; null where none was scored), and what finished.json says
  stopped    "job": after Ctrl+C; the same command goes on
  skipped    "job", "state" (finished before, held, waiting), "message": held names the host and the process
  error      "kind", "message", "remedy"; with "job": that job failed; without: the run did
  notice     "message": what else people are told
  jobs       "jobs": what became of each, once at the end: "job", "number", "state", "message"
  report     "path": of the report's page
--list-jobs prints one event jobs. --quiet leaves progress out.
"""


class TrainingReporter:
    """Tells a console of the course of jobs.

    Args:
        console: of the command.
        silent: say nothing but failures, for all but the first of several processes.
    """

    def __init__(self, console: Console, silent: bool = False) -> None:
        self._console = console
        self.silent = silent
        self._epochs: dict[str, int] = {}

    def say(self, text: str) -> None:
        """Words for people; for programs an event ``notice``."""
        if not self.silent:
            self._console.event("notice", message=text)
            self._console.say(text)

    def event(self, event: str, **fields: Any) -> None:
        """One of :data:`EVENTS`, and its line for people."""
        if self.silent:
            return
        self._console.event(event, **fields)
        if event == "started":
            self._epochs[fields["job"]] = fields["epochs"]
        line = _LINES.get(event)
        if line is not None:
            self._console.say(line({"epochs": self._epochs.get(fields.get("job")), **fields}))

    def failed(self, job: Job, error: BaseException) -> None:
        """A job failed."""
        self._console.error(error, job=job.name)

    @contextlib.contextmanager
    def progress(self, job: Job) -> Any:
        """A bar with the time left, or throttled events."""
        if self.silent:
            yield lambda stage, done, total: None
            return
        with self._console.progress(job=job.name) as progress:
            yield progress


def job_table(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> list[str]:
    """Rows in columns, with a line of titles."""
    lines = [list(columns), *([_cell(row[column]) for column in columns] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(columns))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]


def _cell(value: Any) -> str:
    return "-" if value is None else str(value)


def _started(fields: dict[str, Any]) -> str:
    begins = "goes on with" if fields["goes_on"] else "begins"
    return (
        f"{fields['job']}: {begins} {fields['epochs']} epochs of {fields['variant']} on {fields['device']}; "
        f"cases: {len(fields['training'])} to train on, {len(fields['validation'])} to validate"
    )


def _epoch(fields: dict[str, Any]) -> str:
    left = fields["seconds"] * (fields["epochs"] - fields["epoch"])
    return (
        f"{_where(fields)}: loss {fields['loss']:.4f}, learning rate {fields['learning_rate']:.2g}, "
        f"{fields['seconds']:.1f} s" + (f", about {_time(left)} left" if left else "")
    )


def _validated(fields: dict[str, Any]) -> str:
    return f"{_where(fields)}: validation Dice {fields['validation_dice']:.4f}"


def _where(fields: dict[str, Any]) -> str:
    return f"{fields['job']}: epoch {fields['epoch']} of {fields['epochs']}"


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _finished(fields: dict[str, Any]) -> str:
    dice = "" if fields["mean_dice"] is None else f", mean Dice {fields['mean_dice']:.4f} on the cases kept out"
    early = ", stopped early" if fields.get("stopped_early") else ""
    return f"{fields['job']}: finished after {fields['epochs']} epochs{early}{dice}"


def _stopped(fields: dict[str, Any]) -> str:
    return f"{fields['job']}: stopped; the same command goes on"


def _skipped(fields: dict[str, Any]) -> str:
    return f"{fields['job']}: {fields['state']}" + (f": {fields['message']}" if fields["message"] else "")


_LINES: dict[str, Callable[[dict[str, Any]], str]] = {
    "started": _started,
    "epoch": _epoch,
    "validated": _validated,
    "finished": _finished,
    "stopped": _stopped,
    "skipped": _skipped,
    "report": lambda fields: f"The report is {fields['path']}",
}

"""The training command in a child process, watched without blocking the application.

The child stops politely on a line of its standard input and at once on a second one, and when that input ends because
this application did: it then keeps a checkpoint, and the same command goes on from it.

.. code-block:: python

    run = TrainingRun(qt.QTimer.singleShot, changed=lambda: ..., ended=lambda error: ..., log=print)
    run.start(TrainingRequest("smoke", "", "runs/smoke"))
    run.stop()      # after the step at hand, with a checkpoint; a second time: at once
    run.close()     # when the application goes
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

from AGUNETRSegmentLib.engine_command import engineCommand
from AGUNETRSegmentLib.errors import SegmentationError
from AGUNETRSegmentLib.translation import _
from AGUNETRSegmentLib.worker_job import crashed, ignore
from AGUNETRSegmentLib.worker_process import WorkerProcess

from .training_command import TrainingRequest, engineEnvironment

PUMP_MILLISECONDS = 100
LINES_PER_PUMP = 200  # a chatty child must not hold the application's event loop
CLOSE_SECONDS = 3.0  # a checkpoint takes about a second
ENDED_WELL = (0, 7)  # all jobs are done, or some failed and the table says which


class TrainingRun:
    """Runs one training command at a time.

    :param schedule: ``schedule(milliseconds, function)`` calls *function* later, once (``qt.QTimer.singleShot``).
    :param changed: called when something below has changed, at most ten times a second.
    :param ended: called once at the end with a :class:`SegmentationError`, or None where it came to its end or was
      stopped.
    :param log: takes (level, text) of what should be in the log.
    :param command: makes program and arguments of the command's arguments; a test hands in its own.
    :param environment: of the child; default: this process's, with the engines in its Python path.
    :ivar request: of the run at hand, or of the last one; None before.
    :ivar epochs: how many epochs, with a fraction, each job that is at work has done.
    :ivar failures: why jobs failed, by name.
    :ivar told: what the child said it is doing before the first job begins.
    :ivar failed: what the command itself failed with; None where it did not.
    """

    def __init__(
        self,
        schedule: Callable[[int, Callable[[], None]], object],
        changed: Callable[[], None] = ignore,
        ended: Callable[[SegmentationError | None], None] = ignore,
        log: Callable[[str, str], None] = ignore,
        command: Callable[[Sequence[str]], list[str]] = engineCommand,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._schedule, self._changed, self._ended, self._log = schedule, changed, ended, log
        self._command, self._environment = command, environment
        self._process: WorkerProcess | None = None
        self._stops = 0
        self._totals: dict[str, int] = {}
        self.request: TrainingRequest | None = None
        self.epochs: dict[str, float] = {}
        self.failures: dict[str, str] = {}
        self.told = ""
        self.failed: SegmentationError | None = None

    @property
    def running(self) -> bool:
        """Whether a training is under way."""
        return self._process is not None

    @property
    def stopping(self) -> bool:
        """Whether the training at hand was asked to stop, or the last one was."""
        return self._stops > 0

    @property
    def pid(self) -> int | None:
        """The child's process id while it runs."""
        return self._process.pid if self._process else None

    def start(self, request: TrainingRequest) -> None:
        """Begin, or go on where the run's folder shows that an earlier start has stopped; the callbacks tell the rest.

        :raises SegmentationError: kind ``start``, the child cannot be started.
        :raises RuntimeError: a training runs.
        """
        if self._process:
            raise RuntimeError("A training runs already.")
        environment = engineEnvironment() if self._environment is None else self._environment
        process = WorkerProcess(self._command([*request.arguments(), "--stop-on-input"]), environment)
        self.request, self.failed, self._stops = request, None, 0
        self.epochs, self.failures, self._totals = {}, {}, {}
        self.told = _("Starting...")
        self._process = process
        self._schedule(PUMP_MILLISECONDS, self.pump)

    def stop(self) -> None:
        """Ask the child to stop after the step at hand, with a checkpoint; asked again, it ends at once."""
        if self._process is None:
            return
        self._stops += 1
        self._process.send("stop")
        if self._stops > 1:
            self._process.kill()  # it may be at something that does not listen, as a download
        self._changed()

    def close(self) -> None:
        """End the child, for an application that is closing; nobody is told. Checkpoints stay."""
        process, self._process = self._process, None
        if process:
            process.leave(CLOSE_SECONDS)

    def pump(self) -> None:
        """Take what the child said. Called by the timer every 100 ms while it runs."""
        process = self._process
        if process is None:
            return
        try:
            code = process.exitCode()  # first: once it has ended, all its lines are there to be taken
            taken = self._takeLines(process)
            if code is not None and taken < LINES_PER_PUMP:
                self._finish(process, code)
            elif taken:
                self._changed()
        finally:  # also when a callback raised: the child still has to be watched
            if self._process:
                self._schedule(PUMP_MILLISECONDS, self.pump)

    def _takeLines(self, process: WorkerProcess) -> int:
        for count in range(LINES_PER_PUMP):
            line = process.takeLine()
            if line is None:
                return count
            try:
                event = json.loads(line)
                take = _TAKE.get(event["event"])
            except (ValueError, TypeError, KeyError):
                self._log("info", line)  # a library's own words
                continue
            if take:
                take(self, event)
        return LINES_PER_PUMP

    def _finish(self, process: WorkerProcess, code: int) -> None:
        self._process = None
        process.leave(0.0)  # closes its input; it has ended already
        self.epochs, self.told = {}, ""
        if self.stopping:
            self.failed = None
        elif self.failed is None and code not in ENDED_WELL and not self.failures:
            self.failed = _crash(code, process.lastLog())
        if process.lastLog():
            self._log("info", process.lastLog())
        self._changed()
        self._ended(self.failed)

    # What the child's events mean; the numbers themselves are read from the run's folder.

    def _onNotice(self, event: dict) -> None:
        text = str(event.get("message", ""))
        self.told = text
        self._log("info", text)

    def _onStarted(self, event: dict) -> None:
        job, total = str(event["job"]), int(event.get("epochs") or 0)
        self._totals[job] = total
        self.epochs[job] = 0.0
        self._log("info", _("{job}: {total} epochs of {variant} on {device}.").format(
            job=job, total=total, variant=event.get("variant", ""), device=event.get("device", "")))

    def _onProgress(self, event: dict) -> None:
        job, total = event.get("job"), int(event.get("total") or 0)
        if job is None:
            if event.get("stage") == "check":
                self.told = _("Checking the data, case {done} of {total}...").format(
                    done=event.get("done", 0), total=total)
        elif total and event.get("stage") == "training":
            self.epochs[job] = self._totals.get(job, 0) * float(event.get("done") or 0) / total

    def _onEpoch(self, event: dict) -> None:
        self._log("info", _("{job}: epoch {epoch} of {total}, loss {loss:.4f}.").format(
            job=event["job"], epoch=event["epoch"], total=self._totals.get(event["job"], "?"), loss=event["loss"]))

    def _onValidated(self, event: dict) -> None:
        self._log("info", _("{job}: epoch {epoch}, validation Dice {dice:.4f}.").format(
            job=event["job"], epoch=event["epoch"], dice=event["validation_dice"]))

    def _onOver(self, event: dict) -> None:
        """A job is finished, stopped or passed over."""
        job = str(event["job"])
        self.epochs.pop(job, None)
        if event["event"] == "finished":
            self._log("info", _("{job}: finished.").format(job=job))
        elif event.get("message"):
            self._log("info", f"{job}: {event['message']}")

    def _onReport(self, event: dict) -> None:
        self._log("info", _("The report is {path}.").format(path=event.get("path", "")))

    def _onError(self, event: dict) -> None:
        error = SegmentationError(
            str(event.get("kind", "unexpected")), str(event.get("message", "")), str(event.get("remedy") or ""))
        job = event.get("job")
        if job is None:
            self.failed = error
            return
        self.epochs.pop(job, None)
        self.failures[job] = str(error)
        self._log("error", f"{job}: {error}")


def _crash(code: int, lastLog: str) -> SegmentationError:
    """The end of a child that said nothing of it."""
    error = crashed(code, lastLog)
    if error.kind != "dependencies":
        return error
    return SegmentationError(
        error.kind, _("A Python package that training needs is missing."),
        _("Install it on top of this panel, or under Setup in AGUNETR Segment."), lastLog)


_TAKE = {
    "notice": TrainingRun._onNotice,
    "started": TrainingRun._onStarted,
    "progress": TrainingRun._onProgress,
    "epoch": TrainingRun._onEpoch,
    "validated": TrainingRun._onValidated,
    "finished": TrainingRun._onOver,
    "stopped": TrainingRun._onOver,
    "skipped": TrainingRun._onOver,
    "report": TrainingRun._onReport,
    "error": TrainingRun._onError,
}

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

from collections.abc import Mapping

from AGUNETRSegmentLib.errors import SegmentationError
from AGUNETRSegmentLib.translation import _
from AGUNETRSegmentLib.watched_command import ENDED_WELL, WatchedCommand, reportedError
from AGUNETRSegmentLib.worker_job import crashed
from AGUNETRSegmentLib.worker_process import WorkerProcess

from .training_command import TrainingRequest, engineEnvironment

CLOSE_SECONDS = 3.0  # for a last checkpoint; one that takes longer is given up, and the one before it stays


class TrainingRun(WatchedCommand):
    """Runs one training command at a time; see :class:`WatchedCommand` for the arguments.

    :ivar request: of the run at hand, or of the last one; None before.
    :ivar epochs: how many epochs, with a fraction, each job that is at work has done.
    :ivar failures: why jobs failed, by name.
    :ivar told: what the child said it is doing before the first job begins.
    :ivar failed: what the command itself failed with; None where it did not.
    """

    foreignLineLevel = "info"

    def __init__(self, *arguments, **named) -> None:
        super().__init__(*arguments, **named)
        self._totals: dict[str, int] = {}
        self.request: TrainingRequest | None = None
        self.epochs: dict[str, float] = {}
        self.failures: dict[str, str] = {}
        self.told = ""
        self.failed: SegmentationError | None = None

    def start(self, request: TrainingRequest) -> None:
        """Begin, or go on where the run's folder shows that an earlier start has stopped; the callbacks tell the rest.

        :raises SegmentationError: kind ``start``, the child cannot be started.
        :raises RuntimeError: a training runs.
        """
        self._begin([*request.arguments(), "--stop-on-input"], "A training runs already.")
        self.request, self.failed = request, None
        self.epochs, self.failures, self._totals = {}, {}, {}
        self.told = _("Starting...")

    def childEnvironment(self) -> Mapping[str, str]:
        return engineEnvironment()

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

    def _take(self, kind: str, event: dict, process: WorkerProcess) -> None:
        if kind in _TAKE:
            _TAKE[kind](self, event)

    def _finish(self, code: int, lastLog: str) -> None:
        self.epochs, self.told = {}, ""
        if self.stopping:
            self.failed = None
        elif self.failed is None and code not in ENDED_WELL and not self.failures:
            self.failed = _crash(code, lastLog)
        if lastLog:
            self._log("info", lastLog)
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
        error = reportedError(event)
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

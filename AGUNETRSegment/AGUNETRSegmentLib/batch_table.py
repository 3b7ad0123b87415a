"""The cases of a batch: what became of each, told by the events of the engine's command line."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from .progress_text import progressText
from .translation import _
from .worker_job import Progress


class CaseState(enum.Enum):
    """What became of a case."""

    WAITING = enum.auto()
    RUNNING = enum.auto()
    DONE = enum.auto()
    SKIPPED = enum.auto()
    LEFT_OUT = enum.auto()
    FAILED = enum.auto()
    CANCELLED = enum.auto()
    NOT_STARTED = enum.auto()

    def label(self) -> str:
        """What the user reads."""
        return {
            CaseState.WAITING: _("Waiting"),
            CaseState.RUNNING: _("Running"),
            CaseState.DONE: _("Done"),
            CaseState.SKIPPED: _("Finished before"),
            CaseState.LEFT_OUT: _("Left out"),
            CaseState.FAILED: _("Failed"),
            CaseState.CANCELLED: _("Stopped"),
            CaseState.NOT_STARTED: _("Not started"),
        }[self]


OVER = frozenset({CaseState.DONE, CaseState.SKIPPED, CaseState.LEFT_OUT, CaseState.FAILED})


@dataclass
class BatchCase:
    """One CT.

    :ivar name: unique in the batch, also the name of the folder of its results.
    :ivar path: the CT; empty where the engine did not say.
    :ivar output: the folder of its results; empty where the engine did not say.
    :ivar state: what became of it.
    :ivar message: what it does, why it failed, or what is to be said of the result.
    :ivar volumes: ml by the model's name.
    :ivar seconds: how long it took; None where it was not segmented now.
    """

    name: str
    path: str = ""
    output: str = ""
    state: CaseState = CaseState.WAITING
    message: str = ""
    volumes: dict[str, float] = field(default_factory=dict)
    seconds: float | None = None

    @property
    def isFinished(self) -> bool:
        """Whether its results are on the disk."""
        return self.state in (CaseState.DONE, CaseState.SKIPPED) and bool(self.path and self.output)

    def texts(self) -> tuple[str, str, str, str, str]:
        """Case, state, volume (ml), seconds and message; several models' volumes are in the order of the models."""
        volumes = " / ".join(f"{volume:.1f}" for volume in self.volumes.values())
        seconds = "" if self.seconds is None else f"{self.seconds:.1f}"
        return self.name, self.state.label(), volumes, seconds, self.message

    def volumeToolTip(self) -> str:
        """Which volume is which model's."""
        return "\n".join(
            _("{model}: {volume:.1f} ml").format(model=model, volume=volume) for model, volume in self.volumes.items())


class BatchTable:
    """All cases in their order.

    :ivar cases: the cases.
    :ivar changed: indices of the cases that changed since somebody last cleared this set.
    """

    def __init__(self) -> None:
        self.cases: list[BatchCase] = []
        self.changed: set[int] = set()
        self._rows: dict[str, int] = {}

    def take(self, event: dict) -> bool:
        """Take one event of the command line; False where it is of no case."""
        kind = event.get("event")
        if kind == "listed":
            for entry in event.get("cases", []):
                case = self._case(str(entry["case"]))
                case.path, case.output = str(entry.get("input", "")), str(entry.get("output", ""))
            return True
        if "case" not in event or kind not in _TAKE:
            return False
        _TAKE[kind](self._case(str(event["case"])), event)
        return True

    def end(self, crashed: bool) -> None:
        """The process has ended: nobody goes on with what is unfinished.

        :param crashed: it did not mean to end; the case at hand failed, then.
        """
        for index, case in enumerate(self.cases):
            if case.state is CaseState.RUNNING:
                case.state = CaseState.FAILED if crashed else CaseState.CANCELLED
                case.message = _("The process ended while it worked on this CT.") if crashed else ""
                self.changed.add(index)
            elif case.state is CaseState.WAITING:
                case.state = CaseState.NOT_STARTED
                self.changed.add(index)

    def count(self, *states: CaseState) -> int:
        """How many cases are in one of the states."""
        return sum(case.state in states for case in self.cases)

    @property
    def over(self) -> int:
        """How many cases nothing more will happen to."""
        return self.count(*OVER)

    def _case(self, name: str) -> BatchCase:
        if name not in self._rows:  # one CT alone is not listed before
            self._rows[name] = len(self.cases)
            self.cases.append(BatchCase(name))
        self.changed.add(self._rows[name])
        return self.cases[self._rows[name]]


def _started(case: BatchCase, _event: dict) -> None:
    case.state = CaseState.RUNNING


def _progress(case: BatchCase, event: dict) -> None:
    if case.state in OVER:  # a writer's last words
        return
    case.state = CaseState.RUNNING
    case.message = progressText(Progress(
        str(event.get("stage", "")), int(event.get("done", 0)), int(event.get("total", 0)), event.get("seconds_left")))


def _result(case: BatchCase, event: dict) -> None:
    case.state = CaseState.DONE
    _describe(case, event)
    case.seconds = ((event.get("result") or {}).get("seconds") or {}).get("total")


def _skipped(case: BatchCase, event: dict) -> None:
    case.state = CaseState.SKIPPED
    _describe(case, event)


def _describe(case: BatchCase, event: dict) -> None:
    result = event.get("result") or {}
    models = result.get("models") or []
    case.volumes = {model["name"]: model.get("volume_ml") or 0.0 for model in models}
    warnings = [warning["message"] for part in (result, *models) for warning in part.get("warnings") or []]
    case.message = " ".join(dict.fromkeys(warnings))  # two models often say the same


def _leftOut(case: BatchCase, event: dict) -> None:
    case.state = CaseState.LEFT_OUT
    case.message = _sentences(event)


def _error(case: BatchCase, event: dict) -> None:
    stopped = event.get("kind") == "cancelled"
    case.state = CaseState.CANCELLED if stopped else CaseState.FAILED
    case.message = "" if stopped else _sentences(event)


def _sentences(event: dict) -> str:
    return f"{event.get('message') or ''} {event.get('remedy') or ''}".strip()


_TAKE = {
    "started": _started,
    "progress": _progress,
    "result": _result,
    "skipped": _skipped,
    "left-out": _leftOut,
    "error": _error,
}

"""``metrics.jsonl``: a row after each epoch and one after each validation."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ignite.engine import Engine, Events
from ignite.handlers import Timer
from torch.optim import Optimizer

from agunetr.errors import OutputError
from agunetr_train.training.distributed import Processes

DIGITS = 6


class MetricsFile:
    """Writes the rows, and remembers of a training what they and its end need.

    Its state belongs to every checkpoint: the rows of a training that was interrupted and resumed are those of an
    uninterrupted one, and no epoch has two.

    Args:
        path: of the file.
        optimizer: whose learning rate is told.
        processes: the first one writes.
        on_row: told of every row that is written.

    Attributes:
        closed_epochs: epochs whose row, and validation where it was due, are written.
        best_dice, best_epoch: of the validations; None before the first.
    """

    def __init__(
        self,
        path: Path,
        optimizer: Optimizer,
        processes: Processes,
        on_row: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        self.path = path
        self.on_row = on_row
        self.optimizer = optimizer
        self.processes = processes
        self.closed_epochs = 0
        self.best_dice: float | None = None
        self.best_epoch: int | None = None
        self.last_loss: float | None = None
        self._losses: list[float] = []
        self._earlier = {"seconds": 0.0, "data_seconds": 0.0, "total_seconds": 0.0}
        self._epoch, self._data = Timer(), Timer()
        self._rest()

    def attach(self, trainer: Engine) -> None:
        """Listen to ``trainer``, before its other handlers."""
        self._data.attach(
            trainer,
            start=Events.EPOCH_STARTED,
            resume=Events.GET_BATCH_STARTED,
            pause=Events.GET_BATCH_COMPLETED,
        )
        trainer.add_event_handler(Events.EPOCH_STARTED, lambda engine: self._epoch.reset())
        trainer.add_event_handler(Events.ITERATION_COMPLETED, self._step_completed)
        trainer.add_event_handler(Events.EPOCH_COMPLETED, self._epoch_completed)

    def state_dict(self) -> dict[str, Any]:
        """What a resumed training must know."""
        return {
            "closed_epochs": self.closed_epochs,
            "best_dice": self.best_dice,
            "best_epoch": self.best_epoch,
            "losses": list(self._losses),
            **self._times(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""
        self.closed_epochs = state["closed_epochs"]
        self.best_dice, self.best_epoch = state["best_dice"], state["best_epoch"]
        self._losses = list(state["losses"])
        self._earlier = {name: state[name] for name in self._earlier}
        self._rest()

    def forget_what_comes_again(self) -> None:
        """Drop the rows of epochs that are trained once more because no checkpoint knows of their end."""
        if not self.processes.is_first or not self.path.is_file():
            return
        rows = [row for row in read_rows(self.path) if row["epoch"] <= self.closed_epochs]
        temporary = self.path.with_name(f"{self.path.name}.tmp")
        temporary.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        temporary.replace(self.path)

    def validated(self, trainer: Engine, mean: float, by_case: Mapping[str, float], seconds: float) -> bool:
        """Write the result of a validation; tells whether it is the best so far."""
        is_best = self.best_dice is None or mean > self.best_dice
        if is_best:
            self.best_dice, self.best_epoch = mean, trainer.state.epoch
        self._write(
            {
                "epoch": trainer.state.epoch,
                "step": trainer.state.iteration,
                "validation_dice": _rounded(mean),
                "validation_dice_by_case": {case: _rounded(dice) for case, dice in by_case.items()},
                "seconds": _rounded(seconds),
            }
        )
        return is_best

    def close_epoch(self, trainer: Engine) -> None:
        """All that belongs to an epoch is done."""
        self._earlier = {"seconds": 0.0, "data_seconds": 0.0, "total_seconds": self.total_seconds}
        self._losses = []
        self._rest()
        self.closed_epochs = trainer.state.epoch

    @property
    def total_seconds(self) -> float:
        """Of training and validation so far, interruptions left out."""
        return self._times()["total_seconds"]

    def _rest(self) -> None:
        """No time counts for an epoch until the next one begins."""
        self._began = time.monotonic()
        for timer in (self._epoch, self._data):
            timer.reset()
            timer.pause()
            timer.total = 0.0

    def _times(self) -> dict[str, float]:
        """Seconds of the running epoch, those of them spent waiting for data, and of the whole job."""
        return {
            "seconds": self._earlier["seconds"] + self._epoch.value(),
            "data_seconds": self._earlier["data_seconds"] + self._data.value(),
            "total_seconds": self._earlier["total_seconds"] + time.monotonic() - self._began,
        }

    def _step_completed(self, engine: Engine) -> None:
        self.last_loss = engine.state.output["loss"]
        self._losses.append(self.last_loss)

    def _epoch_completed(self, engine: Engine) -> None:
        times = self._times()
        self._write(
            {
                "epoch": engine.state.epoch,
                "step": engine.state.iteration,
                "loss": _rounded(sum(self._losses) / len(self._losses)),
                "learning_rate": _rounded(self.optimizer.param_groups[0]["lr"]),
                "seconds": _rounded(times["seconds"]),
                "data_seconds": _rounded(times["data_seconds"]),
            }
        )

    def _write(self, row: dict[str, Any]) -> None:
        if not self.processes.is_first:
            return
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
        except OSError as error:
            raise OutputError(f"{self.path} cannot be written ({error.strerror}).", "Free some space.") from error
        if self.on_row is not None:
            self.on_row(row)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The whole rows of a metrics file; one that was cut off while it was written is left out."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows


def time_shares(path: Path) -> dict[str, float | None]:
    """``seconds_per_step`` and ``data_share``, the share of it spent waiting for data, over all epochs so far."""
    rows = [row for row in read_rows(path) if "loss" in row] if path.is_file() else []
    if not rows:
        return {"seconds_per_step": None, "data_share": None}
    seconds = sum(row["seconds"] for row in rows)
    return {
        "seconds_per_step": _rounded(seconds / rows[-1]["step"]),
        "data_share": _rounded(sum(row["data_seconds"] for row in rows) / seconds) if seconds else None,
    }


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")

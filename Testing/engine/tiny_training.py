"""Jobs that are trained in a second or two, and how two of them are compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tiny_experiments import one_stage, tiny_experiment

from agunetr_train.data.cases import find_cases, pick_cases
from agunetr_train.experiments.jobs import jobs_of
from agunetr_train.run_folder import RunFolder
from agunetr_train.training.metrics_file import read_rows
from agunetr_train.training.trainer import Outcome, train_job


class TinyRun:
    """A run of one job in a folder of its own; ``stage`` are the values of its stage."""

    def __init__(self, folder: Path, data: Path, cache: Path, **stage: Any) -> None:
        # So coarse that one window sees a whole phantom.
        self.experiment = tiny_experiment(folder, spacing_mm=11.0, **one_stage(**stage))
        self.folder = RunFolder(folder / "run")
        self.folder.open(self.experiment)
        self.job = jobs_of(self.experiment)[0]
        self.cases, self.cache = find_cases(data), cache
        self.said: list[str] = []

    def train(self, device: str = "cpu", validation: tuple[str, ...] = ("three",), **listeners: Any) -> Outcome:
        """On the training cases "one" and "two"."""
        training, validating = (pick_cases(self.cases, names) for names in (("one", "two"), validation))
        return train_job(
            self.experiment, self.job, self.folder, training, validating, self.cache, device, self.said.append,
            **listeners,
        )  # fmt: skip

    def one_step(self) -> int:
        """Go on, and stop after a step; its number."""
        steps: list[int] = []
        outcome = self.train(stop=lambda: bool(steps), on_step=lambda done, total: steps.append(done))
        assert outcome == Outcome(finished=False, stopped=True)
        return steps[-1]

    @property
    def path(self) -> Path:
        """The job's folder."""
        return self.folder.job(self.job)

    def rows(self) -> list[dict]:
        """Of the metrics file, without what the clock says."""
        return [
            {key: value for key, value in row.items() if "seconds" not in key}
            for row in read_rows(self.path / "metrics.jsonl")
        ]


def assert_same(first: Any, second: Any, place: str = "checkpoint") -> None:
    """Bit by bit, whatever is nested in them; what the clock says left out."""
    if isinstance(first, torch.Tensor):
        assert torch.equal(first, second), place
    elif isinstance(first, dict):
        assert first.keys() == second.keys(), place
        for key in first:
            if "seconds" not in str(key):
                assert_same(first[key], second[key], f"{place}/{key}")
    elif isinstance(first, list | tuple):
        assert len(first) == len(second), place
        for number, pair in enumerate(zip(first, second, strict=True)):
            assert_same(*pair, f"{place}/{number}")
    else:
        assert first == second, place

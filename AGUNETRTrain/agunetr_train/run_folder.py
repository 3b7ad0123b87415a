"""The folder of a run: one folder a stage, with its checkpoints, metrics and the facts needed to repeat it."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from agunetr.errors import InputError, OutputError
from agunetr_train.experiment import Experiment, Stage


@dataclass(frozen=True)
class RunFolder:
    """Paths of a run and what is written to them.

    Attributes:
        root: the folder of the whole experiment.
    """

    root: Path

    def stage(self, stage: Stage | str) -> Path:
        """The folder of a stage."""
        return self.root / (stage if isinstance(stage, str) else stage.name)

    def checkpoint(self, stage: Stage | str) -> Path | None:
        """The newest checkpoint of a stage, or None."""
        found = list(self.stage(stage).glob("checkpoint_*.pt"))
        return max(found, key=checkpoint_epoch) if found else None

    def is_finished(self, stage: Stage | str) -> bool:
        """Whether the stage ran to its last epoch."""
        return (self.stage(stage) / "finished.json").is_file()

    def open(self, experiment: Experiment) -> None:
        """Create the folder, or check that it belongs to this very experiment.

        Raises:
            InputError: the folder holds another experiment, or the same with other settings.
            OutputError: the folder cannot be made.
        """
        record = self.root / "experiment.json"
        if record.is_file():
            if json.loads(record.read_text(encoding="utf-8")) != experiment.to_dict():
                raise InputError(
                    f"{self.root} holds a run of another experiment or of other settings.", "Choose another folder."
                )
            return
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"The run folder {self.root} cannot be made: {error}.", "Choose another folder."
            ) from error
        write_record(record, experiment.to_dict())
        write_record(self.root / "environment.json", environment())


def checkpoint_epoch(checkpoint: Path | None) -> int:
    """The epoch after which a checkpoint was written; 0 for None."""
    return int(checkpoint.stem.rpartition("=")[2]) if checkpoint is not None else 0


def environment() -> dict[str, Any]:
    """What a repetition would need to know about the machine and the versions."""
    from importlib.metadata import PackageNotFoundError, version

    packages = {}
    for name in ("torch", "monai", "pytorch-ignite", "numpy", "SimpleITK"):
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            packages[name] = "not installed"
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "threads": torch.get_num_threads(),
        **packages,
    }


def write_record(path: Path, values: Any) -> None:
    """JSON under its final name only when it is whole."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(temporary, path)

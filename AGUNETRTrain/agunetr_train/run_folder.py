"""The folder of a run: what was asked for, which cases it used, and one folder a job.

::

    RUN/experiment.json      the resolved experiment, every value
    RUN/environment.json     machine and versions
    RUN/splits.json          the cases of each part, one entry a fold
    RUN/data.json            where the cases lie, their checksums, origins and licences
    RUN/data-report.txt      what was checked before training
    RUN/<job>/               checkpoints, metrics.jsonl, gates.jsonl, TensorBoard events, finished.json
    RUN/<job>/test/          scores and mask of every test case
    RUN/report/              tables, figures and index.html

Everything under a final name is whole: files are written beside it and renamed.
"""

from __future__ import annotations

import json
import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agunetr.errors import InputError, OutputError
from agunetr.inference.writing import HIDDEN_PREFIX, new_file
from agunetr_train.experiments.definition import Experiment
from agunetr_train.experiments.jobs import Job
from agunetr_train.experiments.reading import experiment_from
from agunetr_train.experiments.splits import Split

_FIRST_RECORDS = ("experiment.json", "environment.json", HIDDEN_PREFIX)
_CHECKSUMS = ("image_sha256", "label_sha256")


@dataclass(frozen=True)
class RunFolder:
    """Paths of a run and what is written to them.

    Attributes:
        root: the folder of the whole experiment.
    """

    root: Path

    def job(self, job: Job | str) -> Path:
        """The folder of a job."""
        return self.root / (job if isinstance(job, str) else job.name)

    def make_job(self, job: Job | str) -> Path:
        """The folder of a job, made if missing.

        Raises:
            OutputError: it cannot be made.
        """
        folder = self.job(job)
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise OutputError(f"The folder {folder} cannot be made: {error}.", "Choose another run folder.") from error
        return folder

    def metrics(self, job: Job | str) -> Path:
        """``metrics.jsonl`` of a job."""
        return self.job(job) / "metrics.jsonl"

    def last_checkpoint(self, job: Job | str) -> Path | None:
        """The newest checkpoint of a job, or None."""
        return _furthest(self.job(job).glob("checkpoint_step=*.pt"))

    def best_checkpoint(self, job: Job | str) -> Path | None:
        """The checkpoint of the best validation Dice, or None where nothing was validated yet."""
        return _furthest(self.job(job).glob("best_dice=*.pt"))

    def is_finished(self, job: Job | str) -> bool:
        """Whether the job ran to its last epoch, or stopped early as its experiment says."""
        return (self.job(job) / "finished.json").is_file()

    def finished(self, job: Job | str) -> dict[str, Any]:
        """What ``finished.json`` of a finished job says.

        Raises:
            InputError: it is missing or damaged.
        """
        return self._record(f"{self.job(job).name}/finished.json")

    @property
    def report(self) -> Path:
        """The folder of the report."""
        return self.root / "report"

    def open(self, experiment: Experiment) -> None:
        """Create the folder, or check that it belongs to this very experiment.

        Raises:
            InputError: the folder holds another experiment, the same with other settings, or something else.
            OutputError: the folder cannot be made.
        """
        record = self.root / "experiment.json"
        if not record.is_file():
            try:
                self.root.mkdir(parents=True, exist_ok=True)
                # Another process may be making the same run at this moment.
                others = any(not path.name.startswith(_FIRST_RECORDS) for path in self.root.iterdir())
                if others and not record.is_file():
                    raise InputError(
                        f"{self.root} is no run and not empty.",
                        "Choose another folder, or one that does not exist yet.",
                    )
                if not record.is_file():
                    write_record(self.root / "environment.json", environment())
                    write_record(record, experiment.to_dict())
            except OSError as error:
                raise OutputError(
                    f"The run folder {self.root} cannot be made: {error}.", "Choose another folder."
                ) from error
        if self.experiment() != experiment:
            raise InputError(
                f"{self.root} holds a run of another experiment or of other settings.", "Choose another folder."
            )

    def experiment(self) -> Experiment:
        """The experiment that the run belongs to.

        Raises:
            InputError: the folder is no run, or its record is damaged.
        """
        return experiment_from(self._record("experiment.json"), f"{self.root / 'experiment.json'}")

    def splits(self) -> list[Split]:
        """The cases of each part, one entry a fold.

        Raises:
            InputError: the record is missing or damaged.
        """
        try:
            return [Split.from_dict(values) for values in self._record("splits.json")]
        except (KeyError, TypeError) as error:
            raise InputError(f"{self.root / 'splits.json'} is damaged.", "Start a new run.") from error

    def write_splits(self, splits: list[Split]) -> None:
        """Keep the splits.

        Raises:
            InputError: the run has other splits already: the data is not what it was.
        """
        if (self.root / "splits.json").is_file():
            if self.splits() != splits:
                raise InputError(
                    f"The cases of {self.root} are not those that it was begun with.",
                    "Give the same data again, or start a new run.",
                )
            return
        write_record(self.root / "splits.json", [split.to_dict() for split in splits])

    def write_data(self, report: dict[str, Any]) -> None:
        """Keep what is known of the cases, see :meth:`agunetr_train.data.checks.DataReport.to_dict`.

        Raises:
            InputError: a file of a case has other contents than when the run was begun.
        """
        if (self.root / "data.json").is_file():
            before = self._record("data.json")
            for name, facts in report["cases"].items():
                known = before["cases"].get(name, {}) if isinstance(before, dict) else {}
                if any(known.get(file, facts.get(file)) != facts.get(file) for file in _CHECKSUMS):
                    raise InputError(
                        f"The files of the case {name} are not those that {self.root} was begun with.",
                        "Bring them back, or start a new run.",
                    )
        write_record(self.root / "data.json", report)

    def _record(self, name: str) -> Any:
        path = self.root / name
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise InputError(f"{self.root} is no run: {name} is missing.", "Give the folder of a run.") from error
        except ValueError as error:
            raise InputError(f"{path} is damaged: {error}.", "Start a new run.") from error


def _furthest(checkpoints: Any) -> Path | None:
    found = list(checkpoints)
    return max(found, key=checkpoint_number) if found else None


def checkpoint_number(checkpoint: Path) -> float:
    """What the name of a checkpoint ends with: its step, or its validation Dice."""
    return float(checkpoint.stem.rpartition("=")[2])


def environment() -> dict[str, Any]:
    """What a repetition would need to know about the machine and the versions."""
    from importlib.metadata import PackageNotFoundError, version

    import torch

    from agunetr import __version__

    packages = {"agunetr": __version__}
    for name in ("torch", "monai", "pytorch-ignite", "numpy", "SimpleITK"):
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            packages[name] = "not installed"
    return {
        "python": platform.python_version(),
        "system": platform.system(),
        "machine": platform.machine(),
        "processors": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpus": [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())],
        **packages,
    }


def write_record(path: Path, values: Any) -> None:
    """JSON under its final name only when it is whole, see :func:`write_text`."""
    write_text(path, json.dumps(values, indent=1, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """A text under its final name only when it is whole; processes that write at once, anywhere, do not mix.

    Raises:
        OutputError: the file cannot be written; what was there before is left.
    """
    with new_file(path, overwrite=True) as temporary:
        temporary.write_text(text, encoding="utf-8")

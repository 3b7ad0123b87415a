"""Checkpoints of a job: the last two and the one of the best validation, by ignite, each whole or not there.

``checkpoint_step=<n>.pt`` holds all that a training needs to go on after step n, ``best_dice=<d>.pt`` the weights.
"""

from __future__ import annotations

import pickle
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine
from ignite.handlers import Checkpoint, DiskSaver
from torch import Tensor

from agunetr.errors import InputError, OutputError
from agunetr_train.experiments.jobs import Job
from agunetr_train.run_folder import RunFolder, checkpoint_number
from agunetr_train.training.metrics_file import read_rows

LAST, BEST = "checkpoint_step", "best_dice"
SHORTEST_INTERVAL_S = 60.0
SHARE_OF_TIME = 0.03
"""Checkpoints take about so much of the time at most; a full-size one has 1.1 GB."""

UNFINISHED = tempfile.gettempprefix()
"""What the names of files begin with that ignite had not finished when the process was killed."""

_DAMAGED = (RuntimeError, OSError, ValueError, EOFError, KeyError, pickle.UnpicklingError)


class CarefulDiskSaver(DiskSaver):
    """Removes nothing by itself: a full disk or a sudden end never costs the last good checkpoint.

    :meth:`remove_outdated` does, when what makes them superfluous is whole on the disk.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder), atomic=True, create_dir=True, require_empty=False)
        self._outdated: list[str] = []

    def __call__(self, checkpoint: Mapping, filename: str, metadata: Mapping | None = None) -> None:
        """Write a file that has its name only when it is whole.

        Raises:
            OutputError: there is no room, or the folder cannot be written to.
        """
        try:
            super().__call__(checkpoint, filename, metadata)
        # torch reports a failed write of its archive as a RuntimeError.
        except (OSError, RuntimeError) as error:
            reason = getattr(error.__context__, "strerror", None) or getattr(error, "strerror", None) or error
            raise OutputError(
                f"The checkpoint {self.dirname / filename} cannot be written ({str(reason).splitlines()[0]}); the one "
                "before it is untouched.",
                "Free some space and give the same command again; it goes on from there.",
            ) from error
        self._outdated = [name for name in self._outdated if name != filename]

    def remove(self, filename: str) -> None:
        """Remember that it is superfluous once the next one is there."""
        self._outdated.append(filename)

    def remove_outdated(self) -> None:
        """Remove what :meth:`remove` named and was not written again."""
        outdated, self._outdated = self._outdated, []
        for name in outdated:
            (self.dirname / name).unlink(missing_ok=True)


class Checkpoints:
    """Writes the checkpoints of a job and finds the one to go on from.

    Args:
        folder: of the job.
        kept: all objects whose state a training needs to go on.
        weights: those of them that the best checkpoint holds.
        best_dice: asked for the best validation Dice when its checkpoint is written.
    """

    def __init__(
        self, folder: Path, kept: Mapping[str, Any], weights: Mapping[str, Any], best_dice: Callable[[], float | None]
    ) -> None:
        self.folder = folder
        self.kept = dict(kept)
        self._best_dice = best_dice
        self._last_saver, self._best_saver = CarefulDiskSaver(folder), CarefulDiskSaver(folder)
        self._last = Checkpoint(
            self.kept,
            self._last_saver,
            filename_pattern=f"{LAST}={{global_step}}.pt",
            global_step_transform=lambda engine, event: engine.state.iteration,
            n_saved=2,
        )
        self._best = Checkpoint(
            {**weights},
            self._best_saver,
            filename_pattern=f"{BEST}={{score}}.pt",
            score_function=lambda engine: best_dice(),
            score_name=BEST,
        )
        self._written = time.monotonic()
        self._took = 0.0

    def is_due(self) -> bool:
        """Whether the last checkpoint is old enough."""
        return time.monotonic() - self._written >= max(SHORTEST_INTERVAL_S, self._took / SHARE_OF_TIME)

    def write(self, trainer: Engine) -> None:
        """The last checkpoint; the one before it is kept, older ones are removed.

        Raises:
            OutputError: it cannot be written; those that were there still are.
        """
        began = time.monotonic()
        self._last(trainer)
        self._last_saver.remove_outdated()
        # Only now: a training that goes on from the checkpoint before would miss the best one that it knows of.
        self._best_saver.remove_outdated()
        self._written = time.monotonic()
        self._took = self._written - began

    def write_best(self, trainer: Engine) -> None:
        """The checkpoint of the best validation; the one before it goes with the next :meth:`write`.

        Raises:
            OutputError: it cannot be written; the one before still is there.
        """
        self._best(trainer)

    def load(self, chosen: Path, device: torch.device) -> None:
        """Go on from the state that ``chosen`` holds."""
        Checkpoint.load_objects(self.kept, torch.load(chosen, map_location=device, weights_only=True))

    def take_over(self) -> bool:
        """Let later checkpoints take the place of those that are there; after :meth:`load`, in the first process.

        Removed is what a process that was killed left unfinished, and the best checkpoint of a validation that comes
        again. False where the best one that the training knows of is missing.
        """
        for path in self.folder.glob(f"{UNFINISHED}*"):
            path.unlink()
        known = self.folder.glob(f"{LAST}=*.pt")
        self._last.load_state_dict({"_saved": sorted((int(checkpoint_number(path)), path.name) for path in known)})
        best = self._best_dice()
        kept = None if best is None else self.folder / f"{BEST}={best:.4f}.pt"
        for path in self.folder.glob(f"{BEST}=*.pt"):
            if path != kept:
                path.unlink()
        if kept is None:
            return True
        if kept.is_file():
            self._best.load_state_dict({"_saved": [(best, kept.name)]})
        return kept.is_file()


def newest_readable(run: RunFolder, job: Job, say: Callable[[str], None]) -> Path | None:
    """The checkpoint to go on from, or None where there is none; a damaged one is put aside and named.

    Raises:
        InputError: there are checkpoints, and all of them are damaged.
    """
    found = sorted(run.job(job).glob(f"{LAST}=*.pt"), key=checkpoint_number, reverse=True)
    for path in found:
        try:
            read_checkpoint(path)
        except InputError as error:
            path.rename(path.with_suffix(".damaged"))
            say(f"{job.name}: {error.message} It is kept as {path.with_suffix('.damaged').name}.")
            continue
        return path
    if found or any(run.job(job).glob(f"{LAST}=*.damaged")):
        raise InputError(
            f"No checkpoint of {job.name} can be read.", f"Remove {run.job(job)} to train that job from its beginning."
        )
    return None


def read_checkpoint(path: Path) -> dict[str, Any]:
    """What a checkpoint holds, on the CPU; nothing of it is run.

    Raises:
        InputError: it is damaged.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except _DAMAGED as error:
        raise InputError(
            f"The checkpoint {path} is damaged.", "Remove it and train the job again; it goes on from the one before."
        ) from error


def job_weights(
    run: RunFolder, job: Job, which: str | None = None, say: Callable[[str], None] = print
) -> dict[str, Tensor]:
    """The weights of a job, averaged where the stage averages them, on the CPU.

    Args:
        run, job: whose.
        which: ``best`` or ``last``; None takes the one that the stage keeps, and the last one, saying so, where the
            stage keeps the best and nothing was validated.
        say: told of that.

    Raises:
        InputError: there is no such checkpoint, or it is damaged.
    """
    path = run.best_checkpoint(job) if (which or job.stage.keep) == "best" else run.last_checkpoint(job)
    if path is None and which is None and _was_validated(run, job):
        raise InputError(
            f"The checkpoint of the best validation of {job.name} is missing from {run.job(job)}.",
            "Put it back, or remove that folder to train the job from its beginning.",
        )
    if path is None and which is None and (path := run.last_checkpoint(job)) is not None:
        say(f"{job.name}: nothing was validated, so the last checkpoint is taken instead of the best one.")
    if path is None:
        kind = f"{which} checkpoint" if which else "checkpoint"
        raise InputError(f"The job {job.name} has no {kind} in {run.job(job)}.", "Train it first.")
    checkpoint = read_checkpoint(path)
    return checkpoint["ema"] if "ema" in checkpoint else checkpoint["network"]


def _was_validated(run: RunFolder, job: Job) -> bool:
    metrics = run.metrics(job)
    return metrics.is_file() and any("validation_dice" in row for row in read_rows(metrics))

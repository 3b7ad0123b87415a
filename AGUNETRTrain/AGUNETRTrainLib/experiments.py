"""Experiment files, as far as the panel has to know them: what would be trained, and how often."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from AGUNETRSegmentLib.errors import SegmentationError
from AGUNETRSegmentLib.translation import _

FOLDER, DOWNLOAD, PHANTOMS = "folder", "msd-spleen", "phantoms"


@dataclass(frozen=True)
class JobPlan:
    """One training of an experiment.

    :ivar name: also of its folder in the run.
    :ivar fold: counted from 1.
    :ivar epochs: how long it trains at most; 0 where the file does not say.
    """

    name: str
    stage: str
    variant: str
    fold: int
    seed: int
    epochs: int


@dataclass(frozen=True)
class ExperimentSummary:
    """What the panel shows of an experiment; the training command reads the rest of the file itself.

    :ivar name: what the file calls it.
    :ivar description: for people, may be empty.
    :ivar jobs: every training, in the order of their numbers.
    :ivar dataSource: ``folder`` (one must be given), ``msd-spleen`` (downloaded) or ``phantoms`` (drawn).
    :ivar folds: of the cross-validation; 0 is one split.
    :ivar seeds: how often each training is repeated.
    :ivar compared: the stages that the report compares; the first is what the others are held against.
    """

    name: str
    description: str
    jobs: tuple[JobPlan, ...]
    dataSource: str
    folds: int
    seeds: int
    compared: tuple[str, ...]

    @property
    def stages(self) -> list[str]:
        """Names of the stages, in their order."""
        return list(dict.fromkeys(job.stage for job in self.jobs))


def listExperiments(folder: Path) -> dict[str, ExperimentSummary]:
    """The experiments in *folder* by the name that the training command takes; what is none is logged and left out."""
    found = {}
    for path in sorted(folder.glob("*.json")):
        try:
            found[path.stem] = readExperiment(path)
        except SegmentationError as error:
            logging.warning("%s", error)
    return found


def readExperiment(path: Path) -> ExperimentSummary:
    """An experiment file of the user, a shipped one, or the one in a run's folder.

    :raises SegmentationError: kind ``input``, it cannot be read or is no experiment.
    """
    try:
        return _summary(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise SegmentationError(
            "input", _('The experiment "{path}" cannot be read: {reason}.').format(
                path=path, reason=error.strerror or error), _("Choose another file.")) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SegmentationError(
            "input", _('"{path}" is no experiment.').format(path=path),
            _("Choose a file like those of the list; Show tells what is in one.")) from error


def _summary(values: Mapping) -> ExperimentSummary:
    stages, defaults = values["stages"], values.get("defaults") or {}
    folds = int((values.get("split") or {}).get("folds") or 0)
    seeds = [int(seed) for seed in values.get("seeds") or [0]]
    continued = {stage.get("start") for stage in stages}
    compared = values.get("compare") or [stage["name"] for stage in stages if stage["name"] not in continued]
    jobs = [
        JobPlan(
            _jobName(stage["name"], fold, folds, seed, seeds), stage["name"], str(stage.get("variant", "")), fold + 1,
            seed, int(stage.get("epochs") or defaults.get("epochs") or 0))
        for fold in range(max(folds, 1)) for seed in seeds for stage in stages]
    source = str((values.get("data") or {}).get("source") or FOLDER)
    return ExperimentSummary(
        str(values["name"]), str(values.get("description", "")), tuple(jobs), source, folds, len(seeds),
        tuple(map(str, compared)))


def _jobName(stage: str, fold: int, folds: int, seed: int, seeds: list[int]) -> str:
    """As the engine names it: what does not vary is left out."""
    name = f"{stage}-fold{fold + 1}" if folds else stage
    return f"{name}-seed{seed}" if len(seeds) > 1 else name


def planText(experiment: ExperimentSummary) -> str:
    """What is trained, for example ``Trains base, gated. Jobs: 30 (stages 2 x folds 5 x seeds 3).``"""
    stages = experiment.stages
    return _("Trains {stages}. Jobs: {jobs} (stages {count} x folds {folds} x seeds {seeds}).").format(
        stages=", ".join(stages), count=len(stages), folds=max(experiment.folds, 1), seeds=experiment.seeds,
        jobs=len(experiment.jobs))


def dataText(experiment: ExperimentSummary) -> str:
    """Where the cases come from where no folder is given."""
    return {
        FOLDER: _("This experiment needs a folder of labelled cases."),
        DOWNLOAD: _("Without a folder, Task09_Spleen of the Medical Segmentation Decathlon is downloaded (1.5 GB, "
                    "CC BY-SA 4.0)."),
        PHANTOMS: _("Without a folder, phantoms are drawn: imagined patients, good for trying the training."),
    }.get(experiment.dataSource, "")

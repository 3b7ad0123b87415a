"""What a job's weights were made from, for the model card, and whether its terms let a model be passed on.

Weights owe something to more than the cases of their own stage: to those of the stages they continue, of the model they
began with, and of the teacher they imitated. All of them are listed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agunetr.errors import AgunetrError, InputError
from agunetr.models.library import ModelLibrary
from agunetr.models.loading import load_bundle
from agunetr.models.metadata import METADATA
from agunetr_train.data.cases import Case
from agunetr_train.experiments.definition import Experiment, Stage
from agunetr_train.experiments.jobs import Job
from agunetr_train.run_folder import RunFolder
from agunetr_train.training.warm_start import job_of_folder

NOT_STATED = "not stated"
_NO_OTHER_USE = re.compile(r"\bNC\b|non-?\s?commercial|\bresearch\s+(use\s+)?only\b", re.IGNORECASE)


@dataclass(frozen=True)
class TrainingSource:
    """One case, or one file of weights.

    Attributes:
        name: of the case or file.
        origin: where it comes from.
        licence: its terms.
        use: what it was used for, ``training`` for cases of the job itself.
        labels: who or what drew the mask, and how well.
        evaluation_only: whether the data's own record allows evaluation alone.
    """

    name: str
    origin: str = NOT_STATED
    licence: str = NOT_STATED
    use: str = "training"
    labels: str = NOT_STATED
    evaluation_only: bool = False

    @property
    def restricted(self) -> bool:
        """Whether a model that learned from it must not be passed on for any use."""
        return self.evaluation_only or bool(_NO_OTHER_USE.search(self.licence))

    def entry(self) -> dict[str, str]:
        """The form of a model's ``training_data``."""
        return {
            "name": self.name, "origin": self.origin, "licence": self.licence, "use": self.use, "labels": self.labels,
        }  # fmt: skip


def chain_of(experiment: Experiment, stage: Stage) -> list[Stage]:
    """The stages whose training is in the weights of ``stage``, the first one first."""
    chain = [stage]
    while chain[0].start is not None:
        chain.insert(0, experiment.stage(chain[0].start))
    return chain


def training_sources(run: RunFolder, job: Job) -> list[TrainingSource]:
    """Everything that the weights of a job learned from.

    Raises:
        InputError: the run has no record of its data, or it lacks a case.
    """
    cases = recorded_cases(run)
    names = run.splits()[job.fold].training
    if missing := [name for name in names if name not in cases]:
        raise InputError(f"{run.root / 'data.json'} does not name the case {missing[0]!r}.", "Start a new run.")
    found = [_of_case(cases[name]) for name in names]
    for stage in chain_of(run.experiment(), job.stage):
        if stage.warm_start is not None:
            found += _of_weights(stage.warm_start, f"training of the weights that {stage.name} began with")
        if stage.teacher is not None:
            found += _of_weights(stage.teacher, f"training of the teacher of {stage.name}")
    return found


def recorded_cases(run: RunFolder) -> dict[str, Case]:
    """The cases of a run by name, as its record of the data has them: files, origin, terms.

    Raises:
        InputError: the record is missing or damaged.
    """
    record = run.root / "data.json"
    try:
        cases: Mapping[str, Any] = json.loads(record.read_text(encoding="utf-8"))["cases"]
        return {
            name: Case(name, Path(facts["image"]), Path(facts["label"]), _known(facts))
            for name, facts in cases.items()
        }
    except FileNotFoundError as error:
        raise InputError(
            f"{run.root} has no record of its data: data.json is missing.", "Give the command `train` again first."
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{record} is damaged.", "Remove it and give the command `train` again.") from error


def _known(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is not known, an empty text in the record."""
    return {key: value for key, value in facts.items() if value != ""}


def _of_case(case: Case) -> TrainingSource:
    facts = case.facts
    grade = f", grade {facts['label_grade']}" if "label_grade" in facts else ""
    return TrainingSource(
        case.name,
        origin=_line(facts.get("origin", NOT_STATED)),
        licence=_line(facts.get("licence", NOT_STATED)),
        labels=_line(facts["label_origin"]) + grade if "label_origin" in facts else NOT_STATED,
        evaluation_only=str(facts.get("use", "")).startswith("evaluat"),
    )


def _of_weights(source: str, use: str) -> list[TrainingSource]:
    """What the weights of a model, of another run's job or of a file learned from, as far as that can be told."""
    folder = Path(source)
    if not folder.is_file() and (other := job_of_folder(folder)) is not None:
        return [TrainingSource(**{**vars(found), "use": use}) for found in training_sources(*other)]
    try:
        model = load_bundle(folder) if (folder / METADATA).is_file() else ModelLibrary().find(source)
    except AgunetrError:
        # Weights without papers, or a model that is gone since: the card says that nothing is known.
        return [TrainingSource(folder.name, use=use)]
    known = [TrainingSource(**_texts(entry, use)) for entry in model.description.training_data]
    itself = TrainingSource(model.name, "the model itself", model.licence or NOT_STATED, use)
    return [*known, itself]


def _texts(entry: Mapping[str, str], use: str) -> dict[str, str]:
    return {**{key: entry[key] for key in ("name", "origin", "licence", "labels") if key in entry}, "use": use}


def _line(value: object) -> str:
    """One line of text, as a model's metadata wants it."""
    return " ".join(str(value).split())

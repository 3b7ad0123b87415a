"""The experiments that came with the module, as far as a panel has to know them."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ExperimentSummary:
    """What the panel shows of an experiment; the training command reads the rest of the file itself.

    :ivar name: the file's name without its ending; the training command takes it.
    :ivar description: for people, may be empty.
    :ivar stageNames: the trainings of the experiment, in their order.
    """

    name: str
    description: str
    stageNames: tuple[str, ...]


def listExperiments(folder: Path) -> list[ExperimentSummary]:
    """The experiments in *folder*, by name; a file that is no experiment is logged and left out."""
    experiments = []
    for path in sorted(folder.glob("*.json")):
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            stageNames = tuple(stage["name"] for stage in values["stages"])
            experiments.append(ExperimentSummary(path.stem, str(values.get("description", "")), stageNames))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            logging.warning("%s is no experiment and is left out: %s", path, error)
    return experiments

"""Scores of two stages side by side: the same case, the same fold, the same seed.

Only such pairs are subtracted. Half a run, where one stage has seeds that the other lacks, then compares nothing that
does not belong together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from agunetr_train.report.collect import RunResults
from agunetr_train.report.score_measures import Measure


@dataclass(frozen=True)
class Pair:
    """One case, scored after one training of each of the two stages.

    Attributes:
        case, patient, fold, seed: where both scores come from.
        reference: value of the stage that the other is held against.
        value: of the other.
    """

    case: str
    patient: str
    fold: int
    seed: int
    reference: float
    value: float

    @property
    def difference(self) -> float:
        """Value minus reference."""
        return self.value - self.reference


def pairs_of(results: RunResults, stage: str, measure: Measure) -> list[Pair]:
    """All pairs of ``stage`` with the first compared stage in which both values are defined."""
    reference = {(job.job.fold, job.job.seed): job for job in results.of_stage(results.compared[0])}
    pairs = []
    for job in results.of_stage(stage):
        other = reference[job.job.fold, job.job.seed]
        for case in sorted(set(job.scores) & set(other.scores)):
            first, second = measure.read(other.scores[case]), measure.read(job.scores[case])
            if first is not None and second is not None:
                pairs.append(Pair(case, results.patient(case), job.job.fold, job.job.seed, first, second))
    return pairs


def mean_by_case(pairs: Iterable[Pair]) -> dict[str, float]:
    """Each case's mean difference over its trainings, by name."""
    differences = defaultdict(list)
    for pair in pairs:
        differences[pair.case].append(pair.difference)
    return {case: float(np.mean(values)) for case, values in sorted(differences.items())}


def mean_by_training(pairs: Iterable[Pair]) -> dict[tuple[int, int], float]:
    """Each training's mean difference over its cases, by (fold, seed)."""
    differences = defaultdict(list)
    for pair in pairs:
        differences[pair.fold, pair.seed].append(pair.difference)
    return {training: float(np.mean(values)) for training, values in sorted(differences.items())}

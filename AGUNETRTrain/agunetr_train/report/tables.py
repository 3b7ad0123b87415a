"""The report's tables: each case with its differences (the study's table 1), each stage's summary, and CSV files."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from agunetr_train.report.collect import RunResults
from agunetr_train.report.pairs import mean_by_case, pairs_of
from agunetr_train.report.score_measures import DICE, MEASURES, Measure
from agunetr_train.report.statistics import Comparison


@dataclass(frozen=True)
class CaseRow:
    """A line of table 1.

    Attributes:
        case: its name; for the last line ``mean``.
        values: stage to its value, averaged over trainings; None where the case is not scored yet or undefined.
        trainings: stage to the number of trainings behind the value.
        differences: stage to its difference to the reference over the trainings that both have; None without any.
    """

    case: str
    values: dict[str, float | None]
    trainings: dict[str, int]
    differences: dict[str, float | None]

    @property
    def uneven(self) -> bool:
        """Whether the stages' values rest on different numbers of trainings."""
        return len(set(self.trainings.values())) > 1


@dataclass(frozen=True)
class Summary:
    """One measure of one stage over cases, each averaged over its trainings.

    Attributes:
        stage, measure: of what.
        cases: with a defined value. ``undefined``: scored cases without one.
        mean, median: None without any. ``deviation``: standard deviation (n - 1), None with fewer than two.
        least, most: the range.
    """

    stage: str
    measure: Measure
    cases: int
    undefined: int
    mean: float | None
    deviation: float | None
    median: float | None
    least: float | None
    most: float | None


def case_rows(results: RunResults, measure: Measure = DICE) -> list[CaseRow]:
    """Table 1 for one measure: every test case in order of its name, and the mean last.

    The means of the stages and of their differences are each taken over the cases that have a number.
    """
    values = {stage: stage_values(results, stage, measure) for stage in results.compared}
    differences = {stage: mean_by_case(pairs_of(results, stage, measure)) for stage in results.compared[1:]}
    trainings = {
        stage: {case: sum(case in job.scores for job in results.of_stage(stage)) for case in found}
        for stage, found in values.items()
    }
    cases = sorted({case for found in values.values() for case in found}, key=natural_order)
    rows = [
        CaseRow(
            case,
            {stage: found.get(case) for stage, found in values.items()},
            {stage: found.get(case, 0) for stage, found in trainings.items()},
            {stage: found.get(case) for stage, found in differences.items()},
        )
        for case in cases
    ]
    if not rows:
        return []
    mean = CaseRow(
        "mean",
        {stage: _mean([row.values[stage] for row in rows]) for stage in values},
        {},
        {stage: _mean([row.differences[stage] for row in rows]) for stage in differences},
    )
    return [*rows, mean]


def stage_values(results: RunResults, stage: str, measure: Measure) -> dict[str, float | None]:
    """Case to its value, averaged over trainings.

    None where the value is undefined after one training at least: averaging the others would flatter the stage.
    """
    found: dict[str, list[float | None]] = {}
    for job in results.of_stage(stage):
        for case, scores in job.scores.items():
            found.setdefault(case, []).append(measure.read(scores))
    return {case: None if None in values else float(np.mean(values)) for case, values in found.items()}


def summaries(results: RunResults) -> list[Summary]:
    """Every compared stage in every measure, stages outermost."""
    return [_summary(results, stage, measure) for stage in results.compared for measure in MEASURES]


def _summary(results: RunResults, stage: str, measure: Measure) -> Summary:
    found = list(stage_values(results, stage, measure).values())
    values = np.array([value for value in found if value is not None])
    some = len(values) > 0
    return Summary(
        stage=stage,
        measure=measure,
        cases=len(values),
        undefined=len(found) - len(values),
        mean=float(values.mean()) if some else None,
        deviation=float(values.std(ddof=1)) if len(values) > 1 else None,
        median=float(np.median(values)) if some else None,
        least=float(values.min()) if some else None,
        most=float(values.max()) if some else None,
    )


def write_cases(results: RunResults, path: Path) -> None:
    """``cases.csv``: a line for each case and training; an empty cell is undefined, or not there yet."""
    reference = {(job.job.fold, job.job.seed): job for job in results.of_stage(results.compared[0])}
    head = ["case", "patient", "stage", "fold", "seed", "job", *(measure.key for measure in MEASURES)]
    head += ["reference_volume_ml", "volume_error_ml", "seconds", "dice_minus_reference_stage"]
    lines = []
    for stage in results.compared:
        for job in results.of_stage(stage):
            other = reference[job.job.fold, job.job.seed]
            for case, scores in sorted(job.scores.items(), key=lambda item: natural_order(item[0])):
                line = [case, results.patient(case), stage, job.job.fold + 1, job.job.seed, job.job.name]
                line += [measure.read(scores) for measure in MEASURES]
                line += [scores.get(key) for key in ("reference_volume_ml", "volume_error_ml", "seconds")]
                line.append(_difference(DICE.read(scores), DICE.read(other.scores.get(case, {}))))
                lines.append(line)
    _write(path, head, lines)


def write_summary(results: RunResults, path: Path) -> None:
    """``summary.csv``: a line for each stage and measure."""
    head = ["stage", "measure", "cases", "undefined", "mean", "standard_deviation", "median", "least", "most"]
    lines = [
        [one.stage, one.measure.key, one.cases, one.undefined, one.mean, one.deviation, one.median, one.least, one.most]
        for one in summaries(results)
    ]
    _write(path, head, lines)


def write_comparisons(comparisons: Sequence[Comparison], path: Path) -> None:
    """``comparisons.csv``: a line for each stage and measure, stage minus reference."""
    head = ["stage", "reference", "measure", "cases", "patients", "mean_difference", "median_difference"]
    head += ["cases_higher", "cases_lower", "cases_equal"]
    head += ["over_cases_low", "over_cases_high", "over_cases_method"]
    head += ["trainings", "over_trainings_low", "over_trainings_high", "over_trainings_method"]
    head += ["wilcoxon_patients", "wilcoxon_statistic", "wilcoxon_p", "wilcoxon_method", "adjusted_p"]
    lines = []
    for one in comparisons:
        cases, trainings, test = one.over_cases, one.over_trainings, one.test
        line = [one.stage, one.reference, one.measure.key, one.cases, one.patients, one.mean, one.median]
        line += [one.higher, one.lower, one.equal, cases.low, cases.high, cases.method]
        line += [len(one.trainings), trainings.low, trainings.high, trainings.method]
        line += [test.patients, test.statistic, test.p, test.method, one.adjusted_p]
        lines.append(line)
    _write(path, head, lines)


def _write(path: Path, head: Sequence[str], lines: Sequence[Sequence[Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(head)
        writer.writerows([[_cell(value) for value in line] for line in lines])


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else value


def _difference(value: float | None, reference: float | None) -> float | None:
    return None if value is None or reference is None else value - reference


def _mean(values: Sequence[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None


def natural_order(name: str) -> list[tuple[bool, int | str]]:
    """Sorts ``spleen_2`` before ``spleen_10``."""
    return [(not part.isdigit(), int(part) if part.isdigit() else part) for part in re.split(r"(\d+)", name) if part]

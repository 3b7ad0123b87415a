"""The page's tables of results as text: rounded, with signs, and with a word where a number is undefined."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from agunetr_train.report.collect import RunResults
from agunetr_train.report.conclusion import p_text
from agunetr_train.report.score_measures import COMPARED_MEASURES, DICE, MEASURES, Measure
from agunetr_train.report.statistics import Comparison, Interval
from agunetr_train.report.tables import CaseRow, case_rows, summaries

MISSING = "\N{EN DASH}"


@dataclass(frozen=True)
class Table:
    """A table of the page.

    Attributes:
        title: above it; may be empty.
        head: names of the columns.
        rows: texts; the first of each is the row's name.
        notes: sentences below it.
        strong_last: whether the last row is a total.
        folded: whether it is shown only when asked for.
    """

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()
    strong_last: bool = False
    folded: bool = False

    def is_text(self, column: int) -> bool:
        """Whether a column holds words, which stand to the left; numbers stand to the right."""
        cells = [row[column] for row in self.rows if row[column] not in (MISSING, "undefined")]
        return any(not re.match(r"[+\N{MINUS SIGN}<]?\s?\d", cell) for cell in cells)


def case_table(results: RunResults, measure: Measure, folded: bool = False) -> Table | None:
    """The study's table 1: case, the stages, their differences to the first; None before any case is scored."""
    rows = case_rows(results, measure)
    if not rows:
        return None
    reference, *others = results.compared
    head = ["case", reference]
    for stage in others:
        head += [stage, "difference" if len(others) == 1 else f"{stage} minus {reference}"]
    lines = []
    for row in rows:
        line = [row.case + (" *" if row.uneven else ""), _value(measure, row, reference)]
        for stage in others:
            line += [_value(measure, row, stage), _difference(measure, row.differences[stage])]
        lines.append(line)
    notes = []
    if len(results.experiment.seeds) > 1:
        notes.append(f"Each value is the mean over the case's trainings, {len(results.experiment.seeds)} seeds.")
    if any(row.uneven for row in rows):
        notes.append("* Not every stage has all its trainings yet; the difference takes those that both have.")
    if others:
        notes.append(f"Differences are stage minus {reference}; the last line holds the means over the cases above.")
    return Table(measure.heading, head, lines, notes, strong_last=True, folded=folded)


def _value(measure: Measure, row: CaseRow, stage: str) -> str:
    """A value; "undefined" where the case is scored and has none, a dash where it is not scored."""
    if row.values[stage] is None and not row.trainings.get(stage):
        return MISSING
    return measure.text(row.values[stage])


def _difference(measure: Measure, value: float | None) -> str:
    return MISSING if value is None else measure.text(value, signed=True)


def summary_table(results: RunResults) -> Table | None:
    """Mean, standard deviation and median of every measure and compared stage; None before any case is scored."""
    rows = []
    found = summaries(results)
    if not any(one.cases or one.undefined for one in found):
        return None
    for measure in MEASURES:
        for one in found:
            if one.measure is measure:
                numbers = [one.mean, one.deviation, one.median, one.least, one.most]
                texts = [MISSING if number is None else measure.text(number) for number in numbers]
                rows.append([measure.heading, one.stage, str(one.cases), str(one.undefined), *texts])
    return Table(
        "",
        ["measure", "stage", "cases", "undefined", "mean", "standard deviation", "median", "least", "most"],
        rows,
        [
            "Over cases, each averaged over its trainings first; standard deviation with n \N{MINUS SIGN} 1.",
            "The volume error is (prediction \N{MINUS SIGN} reference) / reference; its size leaves out the sign.",
            "A distance to an empty mask is undefined: it is counted, and no mean contains it.",
        ],
    )


def comparison_table(comparisons: Sequence[Comparison]) -> Table | None:
    """Differences with both intervals and the test; None where nothing is compared yet."""
    if not any(one.cases for one in comparisons):
        return None
    adjusted = any(one.adjusted_p is not None for one in comparisons)
    head = ["measure", "stage", "cases", "mean difference", "95 % over cases", "95 % over trainings", "Wilcoxon p"]
    head += ["adjusted p"] if adjusted else []
    head += ["higher / lower / equal"]
    rows, reasons = [], {}
    for one in comparisons:
        row = [one.measure.heading, f"{one.stage} \N{MINUS SIGN} {one.reference}", str(one.cases)]
        row.append(MISSING if one.mean is None else one.measure.text(one.mean, signed=True))
        row += [_interval(one, one.over_cases), _interval(one, one.over_trainings)]
        row.append(MISSING if one.test.p is None else p_text(one.test.p).removeprefix("= "))
        if adjusted:
            row.append(MISSING if one.adjusted_p is None else p_text(one.adjusted_p).removeprefix("= "))
        rows.append([*row, f"{one.higher} / {one.lower} / {one.equal}"])
        for what, how in (
            ("Over cases", one.over_cases.method),
            ("Over trainings", one.over_trainings.method),
            ("Wilcoxon", one.test.method),
        ):
            reasons.setdefault(f"{what}: {how}", []).append(f"{one.measure.title}, {one.stage}")
    notes = [
        how if len(which) == len(comparisons) else f"{how} ({'; '.join(which)})" for how, which in reasons.items()
    ]
    notes = [f"{note}." for note in sorted(notes)]
    notes.append(
        "Over cases: patients are drawn, with the trainings as they are. Over trainings: each fold and seed is one "
        "value; folds are drawn with all their seeds, or seeds where there is one split. The test is two-sided and "
        "takes one difference a patient."
    )
    return Table("", head, rows, notes)


def training_table(comparisons: Sequence[Comparison]) -> Table | None:
    """The mean difference of Dice of each fold and seed; None with one training or none."""
    dice = [one for one in comparisons if one.measure is DICE and one.trainings]
    trainings = sorted({training for one in dice for training in one.trainings})
    if len(trainings) < 2:
        return None
    rows = [
        [f"fold {fold + 1}, seed {seed}", *(_difference(DICE, one.trainings.get((fold, seed))) for one in dice)]
        for fold, seed in trainings
    ]
    head = ["training", *(f"{one.stage} \N{MINUS SIGN} {one.reference}" for one in dice)]
    return Table("Mean difference of Dice of each training", head, rows, folded=True)


def other_case_tables(results: RunResults) -> list[Table]:
    """Tables like table 1 for the measures beside Dice."""
    tables = [case_table(results, measure, folded=True) for measure in COMPARED_MEASURES if measure is not DICE]
    return [table for table in tables if table is not None]


def _interval(one: Comparison, interval: Interval) -> str:
    if interval.low is None or interval.high is None:
        return MISSING
    return f"{one.measure.text(interval.low, signed=True)} to {one.measure.text(interval.high, signed=True)}"

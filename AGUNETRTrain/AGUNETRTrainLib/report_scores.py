"""The numbers of a run's report, read from its CSV files: scores of every case, their summary and comparison."""

from __future__ import annotations

import csv
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from AGUNETRSegmentLib.errors import SegmentationError
from AGUNETRSegmentLib.translation import _

FILES = ("cases.csv", "summary.csv", "comparisons.csv")
MEASURES = {
    "dice": (lambda: _("Dice"), 4),
    "hausdorff95_mm": (lambda: _("95 % Hausdorff distance (mm)"), 2),
    "surface_dice": (lambda: _("Surface Dice at 2 mm"), 4),
    "volume_ml": (lambda: _("Volume (ml)"), 1),
    "relative_volume_error_percent": (lambda: _("Volume error (%)"), 1),
    "relative_volume_error_size_percent": (lambda: _("Size of the volume error (%)"), 1),
}
"""The keys of the report's columns, with the title and the decimals to show."""

Row = Mapping[str, str]


@dataclass(frozen=True)
class ReportScores:
    """What the report's tables say.

    :ivar cases: rows of ``cases.csv``: one a case, stage, fold and seed.
    :ivar summary: rows of ``summary.csv``: one a stage and measure.
    :ivar comparisons: rows of ``comparisons.csv``: one a stage and measure.
    """

    cases: Sequence[Row]
    summary: Sequence[Row]
    comparisons: Sequence[Row]

    @property
    def stages(self) -> list[str]:
        """The compared stages; the first is what the others are held against."""
        return list(dict.fromkeys(row["stage"] for row in self.summary))

    def heads(self) -> list[str]:
        """The titles of :meth:`rows`."""
        stages = self.stages
        return [_("Case"), *stages, *(
            _("{stage} minus {reference}").format(stage=stage, reference=stages[0]) for stage in stages[1:])]

    def rows(self, measure: str) -> list[list[str]]:
        """A row a case: its name, each stage's mean over its trainings, and the stages' mean paired differences.

        What is undefined is an empty cell.
        """
        names = sorted({row["case"] for row in self.cases}, key=_natural)
        return [[name, *self._cells(name, measure)] for name in names]

    def totals(self, measure: str) -> list[list[str]]:
        """Mean, standard deviation and median, as the report gives them, under the same columns as :meth:`rows`."""
        stages = self.stages
        summary = {row["stage"]: row for row in self.summary if row["measure"] == measure}
        compared = {row["stage"]: row for row in self.comparisons if row["measure"] == measure}
        kinds = (
            (_("Mean"), "mean", "mean_difference"),
            (_("Standard deviation"), "standard_deviation", ""),
            (_("Median"), "median", "median_difference"),
        )
        return [
            [title,
             *(_text(_number(summary.get(stage, {}).get(own)), measure) for stage in stages),
             *(_text(_number(compared.get(stage, {}).get(difference)), measure, signed=True) for stage in stages[1:])]
            for title, own, difference in kinds]

    def sentences(self, measure: str) -> list[str]:
        """What the comparison says of each stage, for example the interval of its mean difference."""
        return [_sentence(row, measure) for row in self.comparisons if row["measure"] == measure]

    def _cells(self, name: str, measure: str) -> list[str]:
        stages = self.stages
        values = {
            (row["stage"], row["fold"], row["seed"]): _number(row.get(measure))
            for row in self.cases if row["case"] == name}
        own = [[value for (other, *_rest), value in values.items() if other == stage] for stage in stages]
        pairs = [
            [_minus(value, values[stages[0], fold, seed]) for (other, fold, seed), value in values.items()
             if other == stage and (stages[0], fold, seed) in values]
            for stage in stages[1:]]
        return [
            *(_text(_mean(found), measure) for found in own),
            *(_text(_mean(found), measure, signed=True) for found in pairs)]


def readScores(report: Path) -> ReportScores | None:
    """The tables in a report's folder; None where there is no report yet.

    :raises SegmentationError: kind ``input``, a table cannot be read.
    """
    if not (report / FILES[0]).is_file():
        return None
    try:
        return ReportScores(*(_read(report / name) for name in FILES))
    except (OSError, ValueError, csv.Error) as error:
        raise SegmentationError(
            "input", _('The report in "{folder}" cannot be read: {reason}.').format(folder=report, reason=error),
            _("Make the report again.")) from error


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _mean(values: Sequence[float | None]) -> float | None:
    """None also where one training's value is undefined: the mean of the others would flatter."""
    return None if not values or None in values else statistics.fmean(values)


def _minus(value: float | None, reference: float | None) -> float | None:
    return None if value is None or reference is None else value - reference


def _text(value: float | None, measure: str, signed: bool = False) -> str:
    if value is None:
        return ""
    decimals = MEASURES[measure][1]
    return f"{round(value, decimals) + 0.0:{'+' if signed else ''}.{decimals}f}"


def _sentence(row: Row, measure: str) -> str:
    mean, low, high = (_number(row.get(key)) for key in ("mean_difference", "over_cases_low", "over_cases_high"))
    if mean is None:
        return _("{stage} cannot be compared with {reference} yet.").format(**row)
    parts = [_("{stage} minus {reference}: {mean} on average over {cases} cases").format(
        mean=_text(mean, measure, signed=True), **{key: row[key] for key in ("stage", "reference", "cases")})]
    if low is not None and high is not None:
        parts.append(_("95 % interval {low} to {high}").format(
            low=_text(low, measure, signed=True), high=_text(high, measure, signed=True)))
    p = _number(row.get("wilcoxon_p"))
    if p is not None:
        parts.append(_("Wilcoxon p = {p} ({patients} patients)").format(
            p=f"{p:.3g}", patients=row.get("wilcoxon_patients", "?")))
    adjusted = _number(row.get("adjusted_p"))
    if adjusted is not None:
        parts.append(_("p = {p} adjusted for the number of comparisons").format(p=f"{adjusted:.3g}"))
    return "; ".join(parts) + "."


def _natural(name: str) -> list[tuple[bool, int, str]]:
    """Sorts ``spleen_2`` before ``spleen_10``."""
    parts, digits = [], ""
    for letter in [*name, ""]:
        if letter.isdigit():
            digits += letter
            continue
        if digits:
            parts.append((False, int(digits), ""))
            digits = ""
        if letter:
            parts.append((True, 0, letter))
    return parts

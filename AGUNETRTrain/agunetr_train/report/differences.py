"""Each case's difference of Dice, with the interval of their mean: what the mean alone hides."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from agunetr_train.report.collect import RunResults
from agunetr_train.report.figure_style import FAINT, INK, StageStyle, figure_to, stage_styles
from agunetr_train.report.pairs import mean_by_case, pairs_of
from agunetr_train.report.score_measures import DICE
from agunetr_train.report.statistics import Comparison
from agunetr_train.report.tables import CaseRow, case_rows

_PANELS_A_ROW = 3
_MOST_NAMED = 60
_ROW_INCHES = 0.24


def draw_differences(results: RunResults, comparisons: Sequence[Comparison], path: Path) -> bool:
    """A panel a compared stage: its Dice minus the reference's, a line a case, and the interval of the mean.

    Where only two stages are compared their Dice stand beside it. False, and no figure, where there is no pair yet.
    """
    shown = [one for one in comparisons if one.measure is DICE and one.cases]
    if not shown:
        return False
    styles = stage_styles([stage.name for stage in results.experiment.stages])
    rows = [row for row in case_rows(results)[:-1] if any(row.differences[one.stage] is not None for one in shown)]
    rows.sort(key=lambda row: row.differences[shown[0].stage] or 0.0)
    with_values = len(shown) == 1
    panels = len(shown) + with_values
    columns = min(panels, _PANELS_A_ROW)
    lines = math.ceil(panels / columns)
    height = lines * (max(4, min(len(rows), _MOST_NAMED)) * _ROW_INCHES + 0.9) + 0.7
    with figure_to(path, max(6.0, 1.4 + 3.6 * columns), height) as figure:
        grid = figure.subplots(lines, columns, sharey=True, squeeze=False).ravel()
        for axes in grid[panels:]:
            axes.set_axis_off()
        if with_values:
            _draw_values(grid[0], rows, (results.compared[0], shown[0].stage), styles)
        for axes, one in zip(grid[with_values:], shown, strict=False):
            _draw_differences(axes, results, rows, one, styles[one.stage])
        _align(grid[with_values:panels])
        for axes in grid[:panels]:
            axes.xaxis.set_major_locator(MaxNLocator(5))
            named = len(rows) <= _MOST_NAMED
            axes.set_yticks(range(len(rows)) if named else [], [row.case for row in rows] if named else [])
            axes.set_ylim(-0.7, len(rows) - 0.3)
            axes.grid(axis="x")
        figure.legend(handles=_legend(shown, results.compared[0], styles), loc="outside lower center", ncols=4)
    return True


def _align(panels: Sequence[Axes]) -> None:
    """One scale for all panels of differences, so that they can be compared by eye."""
    least = min(axes.get_xlim()[0] for axes in panels)
    most = max(axes.get_xlim()[1] for axes in panels)
    for axes in panels:
        axes.set_xlim(least, most)


def _draw_values(
    axes: Axes, rows: Sequence[CaseRow], stages: tuple[str, str], styles: Mapping[str, StageStyle]
) -> None:
    axes.set_title("Dice of each case")
    axes.set_xlabel("Dice")
    for place, row in enumerate(rows):
        values = [row.values[stage] for stage in stages]
        if None not in values:
            axes.plot(values, [place, place], color=FAINT, linewidth=1.2, zorder=1.5)
        for stage, value in zip(stages, values, strict=True):
            if value is not None:
                axes.plot(value, place, "o", markersize=6, color=styles[stage].colour)


def _draw_differences(
    axes: Axes, results: RunResults, rows: Sequence[CaseRow], one: Comparison, style: StageStyle
) -> None:
    axes.set_title(f"{one.stage} minus {one.reference}")
    axes.set_xlabel("difference of Dice")
    pairs = pairs_of(results, one.stage, DICE)
    place = {row.case: number for number, row in enumerate(rows)}
    if one.over_cases.low is not None:
        axes.axvspan(one.over_cases.low, one.over_cases.high, color=style.colour, alpha=0.15, linewidth=0)
    axes.axvline(one.mean, color=style.colour, linewidth=1.6)
    axes.axvline(0, color=INK, linewidth=0.9)
    means = mean_by_case(pairs)
    if len(pairs) > len(means):
        axes.plot(
            [pair.difference for pair in pairs], [place[pair.case] for pair in pairs], "o", markersize=3.2,
            color=style.colour, alpha=0.4, markeredgewidth=0,
        )  # fmt: skip
    axes.plot(list(means.values()), [place[case] for case in means], "o", markersize=6, color=style.colour)


def _legend(shown: Sequence[Comparison], reference: str, styles: Mapping[str, StageStyle]) -> list[Line2D | Patch]:
    stages = [reference, shown[0].stage] if len(shown) == 1 else []
    several = any(one.cases and len(one.trainings) > 1 for one in shown)
    neutral = styles[shown[0].stage].colour if len(shown) == 1 else FAINT
    dot = {"linestyle": "", "marker": "o"}
    handles: list[Line2D | Patch] = [
        Line2D([], [], **dot, markersize=6, color=styles[stage].colour, label=stage) for stage in stages
    ]
    handles.append(Line2D([], [], color=neutral, linewidth=1.6, label="mean difference"))
    if any(one.over_cases.low is not None for one in shown):
        handles.append(Patch(color=neutral, alpha=0.2, linewidth=0, label="its 95 % interval over cases"))
    if several:
        handles.append(Line2D([], [], **dot, markersize=3.2, color=neutral, alpha=0.5, label="one training"))
    return handles

"""The axes of a chart that grows: Slicer's plot views fit a chart once, when it is chosen, and not when points come."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

FITTED = "AGUNETRTrain.fitted"  # attribute of the chart: the ranges that were set last
MARGIN = 0.05


def fitAxes(chart, points: Sequence[tuple[float, float]]) -> None:
    """Let both axes hold all points, as long as the user did not zoom or move the plot.

    :param chart: a ``vtkMRMLPlotChartNode``.
    :param points: epoch and value of every point of its curves.
    """
    fitted = chart.GetAttribute(FITTED)
    if fitted and fitted != _shown(chart):
        return
    values = np.array(points, float).reshape(-1, 2)
    values = values[np.isfinite(values).all(axis=1)]
    if not len(values):
        return
    modifying = chart.StartModify()
    chart.SetXAxisRangeAuto(False)
    chart.SetYAxisRangeAuto(False)
    chart.SetXAxisRange(0.0, float(values[:, 0].max()) * (1 + MARGIN))
    low, high = float(values[:, 1].min()), float(values[:, 1].max())
    around = MARGIN * (high - low or abs(high) or 1.0)
    chart.SetYAxisRange(low - around, high + around)
    chart.SetAttribute(FITTED, _shown(chart))
    chart.EndModify(modifying)


def _shown(chart) -> str:
    """The ranges of both axes, rounded as the view may round them."""
    return " ".join(f"{end:.5g}" for end in (*chart.GetXAxisRange(), *chart.GetYAxisRange()))

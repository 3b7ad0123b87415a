"""What the gates did: their statistics over the epochs, and their attention maps on a slice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from agunetr.inference.volume import Volume
from agunetr_train.report.collect import JobResults, RunResults
from agunetr_train.report.figure_style import FAINT, StageStyle, figure_to, stage_styles
from agunetr_train.report.panels import GROUND_TRUTH_COLOUR, ShownCase

Series = dict[int, float]
"""Epoch to value."""


def draw_gate_statistics(results: RunResults, path: Path) -> bool:
    """Gamma, and the mask's mean inside and outside the spleen, over epochs: a column a gate. False without any.

    A faint line is one training, a strong one the mean of a stage's trainings.
    """
    jobs = [job for job in results.jobs if job.gates]
    gates = sorted({str(row["gate"]) for job in jobs for row in job.gates})
    if not gates:
        return False
    styles = stage_styles([stage.name for stage in results.experiment.stages])
    with_gamma = any(row.get("gamma") is not None for job in jobs for row in job.gates)
    rows = 2 if with_gamma else 1
    width = max(6.4, 0.8 + 3.4 * len(gates))
    with figure_to(path, width, 0.9 + 2.6 * rows) as figure:
        grid = figure.subplots(rows, len(gates), sharex=True, sharey="row", squeeze=False)
        for column, gate in enumerate(gates):
            _draw_lines(grid[-1, column], results, gate, "inside", styles, "-")
            _draw_lines(grid[-1, column], results, gate, "outside", styles, (0, (3, 2)))
            grid[-1, column].set_xlabel("epoch")
            grid[-1, column].xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 5, 10]))
            grid[-1, column].set_ylim(-0.02, 1.02)
            if with_gamma:
                _draw_lines(grid[0, column], results, gate, "gamma", styles, "-")
                grid[0, column].axhline(0, color=FAINT, linewidth=0.8)
            grid[0, column].set_title(f"Gate at {gate}")
        grid[-1, 0].set_ylabel("mean of the mask")
        if with_gamma:
            grid[0, 0].set_ylabel("gamma")
        for stage in dict.fromkeys(job.job.stage.name for job in jobs):
            grid[0, 0].plot([], [], color=styles[stage].colour, linewidth=2, label=stage)
        for name, dashes in (("mask inside the spleen", "-"), ("mask outside", (0, (3, 2)))):
            grid[0, 0].plot([], [], color=FAINT, linewidth=1.6, linestyle=dashes, label=name)
        figure.legend(loc="outside lower center", ncols=4)
    return True


def draw_attention(shown: ShownCase, gate: str, maps: Mapping[str, Volume], results: RunResults, path: Path) -> None:
    """The maps of one gate on the slice that figure 1 shows, a panel a stage.

    Args:
        shown: the case and slice.
        gate: its name.
        maps: stage to the gate's map on the scan's grid, 0 to 1.
        results: of the run, for the stages' colours.
        path: of the PNG.
    """
    styles = stage_styles([stage.name for stage in results.experiment.stages])
    planes = {stage: shown.slice.plane(volume.array) for stage, volume in maps.items()}
    least = min(float(plane.min()) for plane in planes.values())
    most = max(float(plane.max()) for plane in planes.values())
    count = 1 + len(planes)
    with figure_to(path, 3.3 * count + 0.7, 3.3 * shown.slice.proportion + 0.8) as figure:
        axes = figure.subplots(1, count)
        for axis in axes:
            shown.slice.show(axis)
            shown.slice.outline(axis, shown.truth, GROUND_TRUTH_COLOUR, fill=False)
        axes[0].set_title("Scan")
        for axis, (stage, plane) in zip(axes[1:], planes.items(), strict=True):
            image = axis.imshow(
                plane, cmap="inferno", vmin=least, vmax=most, alpha=0.6, extent=shown.slice.extent_mm, zorder=1.5
            )
            axis.set_title(f"{stage}: gate at {gate}", color=styles[stage].colour)
        bar = figure.colorbar(image, ax=axes[-1], shrink=0.8, label="value of the gate's mask")
        bar.solids.set_alpha(1.0)
        bar.outline.set_visible(False)
        figure.supxlabel(
            f"{shown.name}, axial slice {shown.slice.number}{shown.training}. Yellow outline: ground truth. "
            "Colours span the slice's own values.",
            fontsize=8.5,
        )


def _draw_lines(
    axes: Axes, results: RunResults, gate: str, key: str, styles: Mapping[str, StageStyle], dashes: object
) -> None:
    for stage, style in styles.items():
        series = [found for job in results.of_stage(stage) if (found := _series(job, gate, key))]
        several = len(series) > 1
        for one in series:
            line = {"linewidth": 0.8, "alpha": 0.35} if several else {"linewidth": 2}
            marker = "o" if len(one) == 1 else None
            axes.plot(list(one), list(one.values()), color=style.colour, linestyle=dashes, marker=marker, **line)
        if several:
            mean = _mean(series)
            axes.plot(list(mean), list(mean.values()), color=style.colour, linestyle=dashes, linewidth=2)


def _series(job: JobResults, gate: str, key: str) -> Series:
    rows = [row for row in job.gates if row["gate"] == gate and row.get(key) is not None]
    return {int(row["epoch"]): float(row[key]) for row in sorted(rows, key=lambda row: row["epoch"])}


def _mean(series: list[Series]) -> Series:
    """At the epochs that all of them have."""
    gathered = defaultdict(list)
    for one in series:
        for epoch, value in one.items():
            gathered[epoch].append(value)
    return {epoch: float(np.mean(values)) for epoch, values in sorted(gathered.items()) if len(values) == len(series)}

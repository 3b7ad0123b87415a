"""The study's figures 2 and 3: training loss and validation Dice of all trainings in one chart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from agunetr_train.report.collect import JobResults, Row, RunResults
from agunetr_train.report.figure_style import FAINT, StageStyle, figure_to, stage_styles

Curve = tuple[np.ndarray, np.ndarray]
"""Epochs and values."""

_LEGEND_COLUMNS = 3


def draw_loss_curves(results: RunResults, path: Path) -> bool:
    """Figure 2: training loss over epochs. Nothing is drawn, and False returned, where there is no epoch yet."""
    curves = {job.job.name: _curve(results, job, job.epochs, "loss") for job in results.jobs if job.epochs}
    if not curves:
        return False
    with figure_to(path, 8.6, 4.6) as figure:
        axes = figure.subplots()
        axes.set_title("Training loss")
        axes.set_ylabel("loss")
        _draw(axes, results, curves, told="last")
        if axes.dataLim.ymin > 0:
            axes.set_ylim(bottom=0)
        figure.legend(loc="outside lower center", ncols=_LEGEND_COLUMNS)
    return True


def draw_dice_curves(results: RunResults, path: Path) -> bool:
    """Figure 3: mean validation Dice over epochs; a ring marks the best of each training. False without any."""
    curves = {
        job.job.name: _curve(results, job, job.validations, "validation_dice")
        for job in results.jobs
        if job.validations
    }
    if not curves:
        return False
    with figure_to(path, 8.6, 4.6) as figure:
        axes = figure.subplots()
        axes.set_title("Validation Dice")
        axes.set_ylabel("mean Dice of the validation cases")
        _draw(axes, results, curves, told="best")
        _mark_best(axes, results, curves)
        axes.set_ylim(0, 1)
        figure.legend(loc="outside lower center", ncols=_LEGEND_COLUMNS)
    return True


def _curve(results: RunResults, job: JobResults, rows: Sequence[Row], key: str) -> Curve:
    by_epoch = {int(row["epoch"]): np.nan if row[key] is None else float(row[key]) for row in rows}
    epochs = sorted(by_epoch)
    return np.array(epochs) + _epochs_before(results, job), np.array([by_epoch[epoch] for epoch in epochs])


def _draw(axes: Axes, results: RunResults, curves: Mapping[str, Curve], told: Literal["last", "best"]) -> None:
    """A line a training; where a stage has several they are faint, with a strong one through their mean.

    The legend tells each training's last or best value, or the mean of them.
    """
    for stage, style in stage_styles([stage.name for stage in results.experiment.stages]).items():
        jobs = [job for job in results.of_stage(stage) if job.job.name in curves]
        own = [curves[job.job.name] for job in jobs]
        if len(own) == 1:
            _line(axes, own[0], style, faint=False, label=f"{stage}: {told} {_told(own, told):.3f}")
        elif own:
            for curve in own:
                _line(axes, curve, style, faint=True)
            # Of those of full length, as far as there are any: a mean curve ends where its shortest one does.
            whole = [curves[job.job.name] for job in jobs if job.state == "finished"] or own
            label = f"{stage}, mean of {len(whole)}: {told} {_told(whole, told):.3f}"
            _line(axes, _mean_curve(whole), style, faint=False, label=label)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    axes.margins(x=0.02)


def _told(curves: Sequence[Curve], told: Literal["last", "best"]) -> float:
    finite = [values[np.isfinite(values)] for _, values in curves]
    chosen = [values[-1] if told == "last" else values.max() for values in finite if len(values)]
    return float(np.mean(chosen)) if chosen else np.nan


def _line(axes: Axes, curve: Curve, style: StageStyle, faint: bool, label: str = "_") -> None:
    axes.plot(
        *curve,
        color=style.colour,
        linestyle=style.dashes,
        linewidth=0.9 if faint else 2.0,
        alpha=0.35 if faint else 1.0,
        # A single epoch would be no line at all.
        marker="o" if len(curve[0]) == 1 else None,
        label=label,
    )


def _mark_best(axes: Axes, results: RunResults, curves: Mapping[str, Curve]) -> None:
    styles = stage_styles([stage.name for stage in results.experiment.stages])
    many = len(curves) > 6
    for job in results.jobs:
        epochs, values = curves.get(job.job.name, (np.array([]), np.array([])))
        if np.isfinite(values).any():
            best = int(np.nanargmax(values))
            axes.plot(
                epochs[best], values[best], "o", color=styles[job.job.stage.name].colour, markerfacecolor="none",
                markersize=5 if many else 9, markeredgewidth=0.9 if many else 1.6, alpha=0.7 if many else 1.0,
            )  # fmt: skip
    axes.plot([], [], "o", color=FAINT, markerfacecolor="none", markersize=7, label="best of a training")


def _mean_curve(curves: Sequence[Curve]) -> Curve:
    """The mean at the epochs that every training has: a mean over fewer and fewer of them would jump."""
    gathered = defaultdict(list)
    for epochs, values in curves:
        for epoch, value in zip(epochs, values, strict=True):
            gathered[int(epoch)].append(value)
    shared = sorted(epoch for epoch, values in gathered.items() if len(values) == len(curves))
    return np.array(shared), np.array([np.mean(gathered[epoch]) for epoch in shared])


def _epochs_before(results: RunResults, job: JobResults) -> int:
    """The epochs that the job's weights had before it: a stage that continues another is drawn behind it."""
    by_name = {other.job.name: other for other in results.jobs}
    epochs, start = 0, job.job.start
    while start is not None:
        epochs += by_name[start].epochs_done
        start = by_name[start].job.start
    return epochs

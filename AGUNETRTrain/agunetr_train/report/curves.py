"""The study's figures 2 and 3: training loss and validation Dice of all trainings in one chart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from agunetr_train.report.collect import JobResults, Row, RunResults
from agunetr_train.report.figure_style import StageStyle, figure_to, stage_styles

Curve = tuple[np.ndarray, np.ndarray]
"""Epochs and values."""


def draw_loss_curves(results: RunResults, path: Path) -> bool:
    """Figure 2: training loss over epochs. Nothing is drawn, and False returned, where there is no epoch yet."""
    curves = {job.job.name: _curve(job.epochs, "loss") for job in results.jobs if job.epochs}
    if not curves:
        return False
    with figure_to(path, 8.6, 4.6) as figure:
        axes = figure.subplots()
        axes.set_title("Training loss")
        axes.set_ylabel("loss")
        _draw(axes, results, curves, marker=None)
        values = np.concatenate([values for _, values in curves.values()])
        if values.min() > 0:
            axes.set_ylim(bottom=0)
        figure.legend(loc="outside lower center", ncols=_columns(results))
    return True


def draw_dice_curves(results: RunResults, path: Path) -> bool:
    """Figure 3: mean validation Dice over epochs; a ring marks the best of each training. False without any."""
    curves = {job.job.name: _curve(job.validations, "validation_dice") for job in results.jobs if job.validations}
    if not curves:
        return False
    with figure_to(path, 8.6, 4.6) as figure:
        axes = figure.subplots()
        axes.set_title("Validation Dice, ring: best of a training")
        axes.set_ylabel("mean Dice of the validation cases")
        _draw(axes, results, curves, marker="o")
        styles = stage_styles([stage.name for stage in results.experiment.stages])
        for job in results.jobs:
            if job.job.name in curves:
                epochs, values = curves[job.job.name]
                best = int(np.nanargmax(values)) if np.isfinite(values).any() else 0
                axes.plot(
                    epochs[best] + _first_epoch(results, job),
                    values[best],
                    "o",
                    markersize=9,
                    markerfacecolor="none",
                    markeredgewidth=1.4,
                    color=styles[job.job.stage.name].colour,
                )
        axes.set_ylim(0, 1)
        figure.legend(loc="outside lower center", ncols=_columns(results))
    return True


def _curve(rows: Sequence[Row], key: str) -> Curve:
    by_epoch = {int(row["epoch"]): float(np.nan if row[key] is None else row[key]) for row in rows}
    return np.array(sorted(by_epoch)), np.array([by_epoch[epoch] for epoch in sorted(by_epoch)])


def _draw(axes: Axes, results: RunResults, curves: dict[str, Curve], marker: str | None) -> None:
    """A faint line a training, and a strong one through the mean of a stage that has several."""
    styles = stage_styles([stage.name for stage in results.experiment.stages])
    for stage, style in styles.items():
        jobs = [job for job in results.of_stage(stage) if job.job.name in curves]
        shifted = []
        for job in jobs:
            epochs, values = curves[job.job.name]
            shifted.append((epochs + _first_epoch(results, job), values))
        several = len(shifted) > 1
        for epochs, values in shifted:
            _line(axes, epochs, values, style, faint=several, marker=marker)
        if not shifted:
            continue
        epochs, means = _mean_curve(shifted)
        label = f"{stage}, mean of {len(shifted)}" if several else stage
        last = means[np.isfinite(means)]
        label += f": last {last[-1]:.3f}" if len(last) else ""
        if several:
            _line(axes, epochs, means, style, faint=False, marker=None, label=label)
        else:
            axes.lines[-1].set_label(label)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.margins(x=0.02)


def _line(
    axes: Axes, epochs: np.ndarray, values: np.ndarray, style: StageStyle, faint: bool, marker: str | None, label=""
) -> None:
    axes.plot(
        epochs,
        values,
        color=style.colour,
        linestyle=style.dashes,
        linewidth=0.9 if faint else 2.0,
        alpha=0.4 if faint else 1.0,
        marker=marker if len(epochs) < 60 else None,
        markersize=2.5 if faint else 4,
        label=label or "_",
    )


def _mean_curve(curves: Sequence[Curve]) -> Curve:
    """The mean at the epochs that every training has: a mean over fewer and fewer of them would jump."""
    gathered = defaultdict(list)
    for epochs, values in curves:
        for epoch, value in zip(epochs, values, strict=True):
            gathered[int(epoch)].append(value)
    whole = sorted(epoch for epoch, values in gathered.items() if len(values) == len(curves))
    return np.array(whole), np.array([np.mean(gathered[epoch]) for epoch in whole])


def _first_epoch(results: RunResults, job: JobResults) -> int:
    """The epochs that the job's weights had before it: a stage that continues another is drawn behind it."""
    before = {other.job.name: other for other in results.jobs}
    epochs, start = 0, job.job.start
    while start is not None:
        epochs += before[start].epochs_done
        start = before[start].job.start
    return epochs


def _columns(results: RunResults) -> int:
    return min(3, max(1, len(results.experiment.stages)))



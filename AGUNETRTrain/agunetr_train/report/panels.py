"""The study's figure 1: scan, ground truth and each compared stage's mask in one axial slice of one case."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agunetr.errors import InputError
from agunetr.inference.reading import read_volume
from agunetr.inference.reference import read_reference
from agunetr_train.report.axial_slices import WINDOW_HU, AxialSlice, largest_slice
from agunetr_train.report.collect import JobResults, RunResults
from agunetr_train.report.figure_style import figure_to, stage_styles
from agunetr_train.report.pairs import mean_by_case, pairs_of
from agunetr_train.report.score_measures import DICE

GROUND_TRUTH_COLOUR = "#F0E442"
_PANELS_A_ROW = 5
_PANEL_INCHES = 3.1


@dataclass(frozen=True)
class ShownCase:
    """A case as the figures show it.

    Attributes:
        name: of the case.
        slice: of its scan.
        truth: the reference mask on the scan's grid.
        jobs: stage to the job whose mask is shown; one fold and one seed for all of them.
        training: these two, as far as there are several: ``, fold 2, seed 1`` or an empty text.
    """

    name: str
    slice: AxialSlice
    truth: np.ndarray
    jobs: Mapping[str, JobResults]
    training: str


def choose_case(results: RunResults) -> str | None:
    """The case with the median difference of Dice between the first and the last compared stage that has pairs.

    It is neither the best nor the worst that could be shown. Without pairs it is the first case with a mask; None where
    no mask is there yet.
    """
    for stage in reversed(results.compared[1:]):
        differences = mean_by_case(pairs_of(results, stage, DICE))
        drawn = sorted((value, case) for case, value in differences.items() if _jobs_with_masks(results, case))
        if drawn:
            return drawn[(len(drawn) - 1) // 2][1]
    scored = sorted({case for job in results.jobs for case in job.scores})
    return next((case for case in scored if _jobs_with_masks(results, case)), None)


def load_case(results: RunResults, case: str, number: int | None = None) -> ShownCase:
    """Read a case's scan and reference, and pick the trainings whose masks are shown.

    Args:
        results: of the run.
        case: its name.
        number: of the axial slice, from 0; None takes the one with the largest area of spleen.

    Raises:
        InputError: there is no such case, no mask of it, no such slice, or the scan or reference cannot be read.
    """
    jobs = _jobs_with_masks(results, case)
    known = sorted({name for job in results.jobs for name in job.scores})
    if not jobs:
        raise InputError(
            f"The run has no mask of the case {case!r}.",
            f"Choose one of: {', '.join(known)}." if known else "Wait until the first test case is scored.",
        )
    facts = results.data.get(case, {})
    for part in ("image", "label"):
        if not facts.get(part):
            raise InputError(f"data.json does not say where the {part} of the case {case!r} lies.", "Start a new run.")
    scan, _ = read_volume(facts["image"])
    truth = read_reference(facts["label"], scan).mask
    shown = AxialSlice(scan, largest_slice(truth) if number is None else number)
    job, experiment = next(iter(jobs.values())).job, results.experiment
    training = f", fold {job.fold + 1}" if experiment.split.folds else ""
    training += f", seed {job.seed}" if len(experiment.seeds) > 1 else ""
    return ShownCase(case, shown, truth.array, jobs, training)


def mask_path(results: RunResults, job: JobResults, case: str) -> Path:
    """The mask that a job's network made of a test case."""
    return results.run.job(job.job) / "test" / f"{case}.nii.gz"


def draw_panels(results: RunResults, shown: ShownCase, path: Path) -> None:
    """Write the figure.

    Raises:
        InputError: a mask cannot be read.
    """
    styles = stage_styles([stage.name for stage in results.experiment.stages])
    masks = {stage: _mask(results, job, shown) for stage, job in shown.jobs.items()}
    count = 2 + len(masks)
    rows = math.ceil(count / _PANELS_A_ROW)
    columns = math.ceil(count / rows)
    height = rows * (_PANEL_INCHES * shown.slice.proportion + 0.35) + 0.35
    with figure_to(path, columns * _PANEL_INCHES, height) as figure:
        axes = list(np.atleast_1d(figure.subplots(rows, columns)).ravel())
        for axis in axes[count:]:
            axis.set_axis_off()
        for axis in axes[:count]:
            shown.slice.show(axis)
        axes[0].set_title("Scan")
        axes[1].set_title("Ground truth", color="#8a7f00")
        shown.slice.outline(axes[1], shown.truth, GROUND_TRUTH_COLOUR, fill=True)
        for axis, (stage, mask) in zip(axes[2:], masks.items(), strict=False):
            dice = DICE.read(shown.jobs[stage].scores.get(shown.name, {}))
            axis.set_title(f"{stage}: Dice {DICE.text(dice)}", color=styles[stage].colour)
            shown.slice.outline(axis, mask, styles[stage].colour, fill=True)
            shown.slice.outline(axis, shown.truth, GROUND_TRUTH_COLOUR, fill=False)
        figure.supxlabel(
            f"{shown.name}, axial slice {shown.slice.number}{shown.training}. Yellow outline: ground truth. "
            f"Window {WINDOW_HU[0]:.0f} to {WINDOW_HU[1]:.0f} HU. Dice is of the whole volume.",
            fontsize=8.5,
        )


def _mask(results: RunResults, job: JobResults, shown: ShownCase) -> np.ndarray:
    return read_reference(mask_path(results, job, shown.name), shown.slice.scan).mask.array


def _jobs_with_masks(results: RunResults, case: str) -> dict[str, JobResults]:
    """Compared stages to jobs that have a mask of the case: of the fold and seed for which most stages have one."""
    found: dict[tuple[int, int], dict[str, JobResults]] = {}
    for stage in results.compared:
        for job in results.of_stage(stage):
            if case in job.scores and mask_path(results, job, case).is_file():
                found.setdefault((job.job.fold, job.job.seed), {})[stage] = job
    return max((found[key] for key in sorted(found)), key=len, default={})



"""All figures of a report, with their captions; where one cannot be drawn, a sentence says why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from agunetr.errors import AgunetrError, InputError
from agunetr.inference.volume import Volume
from agunetr_train.data.cases import Case
from agunetr_train.evaluation.gate_maps import gate_maps_of
from agunetr_train.report.collect import RunResults
from agunetr_train.report.curves import draw_dice_curves, draw_loss_curves
from agunetr_train.report.differences import draw_differences
from agunetr_train.report.gate_figures import draw_attention, draw_gate_statistics
from agunetr_train.report.panels import ShownCase, choose_case, draw_panels, load_case
from agunetr_train.report.statistics import Comparison

Group = Literal["cases", "training", "masks", "gates"]


@dataclass(frozen=True)
class Figure:
    """A figure of the page.

    Attributes:
        file: its name in the folder of the report.
        group: where on the page it stands.
        title: in a few words. ``caption``: what one sees.
    """

    file: str
    group: Group
    title: str
    caption: str


@dataclass
class Figures:
    """What was drawn.

    Attributes:
        drawn: the figures, in the order of the page.
        missing: where on the page a figure is missing, and the sentence that says why.
    """

    drawn: list[Figure] = field(default_factory=list)
    missing: dict[Group, str] = field(default_factory=dict)


def draw_figures(
    results: RunResults,
    comparisons: Sequence[Comparison],
    folder: Path,
    case: str | None,
    number: int | None,
    say: Callable[[str], None],
) -> Figures:
    """Draw what the run allows into ``folder``.

    Args:
        results: of the run.
        comparisons: for the figure of the differences.
        folder: where the PNGs go.
        case, number: the case and slice that somebody asked for; None chooses.
        say: told what takes long.

    Raises:
        InputError: the case or slice that was asked for does not exist.
    """
    figures = Figures()
    if draw_differences(results, comparisons, folder / "differences.png"):
        figures.drawn.append(
            Figure(
                "differences.png", "cases", "Differences",
                "A row a case. To the right of 0 the stage has the higher Dice. The band is the bootstrap interval of "
                "the mean difference over cases.",
            )
        )  # fmt: skip
    if draw_loss_curves(results, folder / "curves-loss.png"):
        text = "All trainings. A faint line is one training, a strong one the mean of a stage's trainings."
        figures.drawn.append(Figure("curves-loss.png", "training", "Training loss", text))
    if draw_dice_curves(results, folder / "curves-dice.png"):
        text = "Mean over the validation cases; the ring is the checkpoint with the best one of a training."
        figures.drawn.append(Figure("curves-dice.png", "training", "Validation Dice", text))
    elif any(job.epochs for job in results.jobs):
        figures.missing["training"] = "Nothing was validated, so there is no curve of the Dice."
    if draw_gate_statistics(results, folder / "gates.png"):
        figures.drawn.append(
            Figure(
                "gates.png", "gates", "Gates over the epochs",
                "Mean of each gate's mask over voxels inside and outside the spleen, in windows of the validation "
                "cases, and the learned factor gamma where the gate has one. A gate that finds the spleen lets more "
                "pass inside than outside.",
            )
        )  # fmt: skip
    shown = _shown_case(results, case, number, figures)
    if shown is not None:
        _draw_case(results, shown, folder, figures, say)
    return figures


def _shown_case(results: RunResults, case: str | None, number: int | None, figures: Figures) -> ShownCase | None:
    chosen = case if case is not None else choose_case(results)
    if chosen is None:
        figures.missing["masks"] = "There is no mask of a test case yet."
        return None
    try:
        return load_case(results, chosen, number)
    except InputError as error:
        if case is not None or number is not None:
            raise
        # Runs are carried to other machines, where the scans are not: the rest of the report is worth having.
        figures.missing["masks"] = f"The figure of {chosen} is left out. {error.message}"
        return None


def _draw_case(
    results: RunResults, shown: ShownCase, folder: Path, figures: Figures, say: Callable[[str], None]
) -> None:
    file = f"panels-{shown.name}.png"
    try:
        draw_panels(results, shown, folder / file)
    except InputError as error:
        figures.missing["masks"] = f"The figure of {shown.name} is left out. {error.message}"
        return
    figures.drawn.append(
        Figure(
            file, "masks", f"Scan, ground truth and masks of {shown.name}",
            f"Axial slice {shown.slice.number}, seen from the feet{shown.training}. The yellow outline is the "
            "ground truth.",
        )
    )  # fmt: skip
    for gate, maps in _gate_maps(results, shown, figures, say).items():
        file = f"attention-{shown.name}-{gate}.png"
        draw_attention(shown, gate, maps, results, folder / file)
        text = f"Axial slice {shown.slice.number}{shown.training}: how much of the skip the gate lets pass."
        figures.drawn.append(Figure(file, "gates", f"Attention of the gate at {gate}", text))


def _gate_maps(
    results: RunResults, shown: ShownCase, figures: Figures, say: Callable[[str], None]
) -> dict[str, dict[str, Volume]]:
    """Gate to the maps of the stages that have it."""
    facts = results.data[shown.name]
    case = Case(shown.name, Path(facts["image"]), Path(facts["label"]))
    found: dict[str, dict[str, Volume]] = {}
    for stage, job in shown.jobs.items():
        try:
            maps = gate_maps_of(results.run, job.job, case, say=say)
        except AgunetrError as error:
            figures.missing["gates"] = f"The attention maps of {stage} are left out. {error.message}"
            continue
        for gate, volume in maps.items():
            found.setdefault(gate, {})[stage] = volume
    return dict(sorted(found.items()))

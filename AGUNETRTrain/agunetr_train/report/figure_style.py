"""How the report's figures look: one colour a stage in all of them, told apart by colour-blind readers too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

DPI = 150
INK, FAINT, GRID = "#1f2430", "#6b7280", "#e3e6eb"

_PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#7F5539", "#6C6C6C")
"""Okabe and Ito 2008; their yellow is unreadable on white, a brown and a grey stand in its place and in black's."""
_DASHES = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)))

_SETTINGS = {
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.linewidth": 0.8,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 9,
}


@dataclass(frozen=True)
class StageStyle:
    """Colour and dashes of a stage's line."""

    colour: str
    dashes: Any


def stage_styles(stages: Sequence[str]) -> dict[str, StageStyle]:
    """A look for each stage; beyond eight stages the colours come again with other dashes.

    Neighbours differ in their dashes too: drawn in this order, a curve that lies exactly on an earlier one leaves gaps
    through which that one is seen.
    """
    colours, patterns = len(_PALETTE), len(_DASHES)
    return {
        stage: StageStyle(_PALETTE[number % colours], _DASHES[(number + number // colours) % patterns])
        for number, stage in enumerate(stages)
    }


@contextmanager
def figure_to(path: Path, width: float, height: float) -> Iterator[Figure]:
    """A figure to draw on, written as PNG at the end.

    Args:
        path: of the PNG.
        width, height: inches.
    """
    with matplotlib.rc_context(_SETTINGS):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure
        figure.savefig(path, dpi=DPI)

"""The chart of the results: ratios beside their targets, and growth with the number of slices."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from speed.rows import Row

OURS, TARGET, MEMORY = "#2b6f9e", "#c0392b", "#7f8c8d"


def draw(rows: Sequence[Row], file: Path) -> bool:
    """Write a PNG; False, and no file, where no row has anything to draw."""
    ratios = [row for row in rows if row.ratio is not None and row.ratio_of == "reference / ours" and row.target]
    points = next((row.details.get("points", []) for row in rows if row.name == "growth"), [])
    if not ratios and not points:
        return False
    panels = [panel for panel, there in ((_draw_ratios, ratios), (_draw_growth, points)) if there]
    figure = Figure(figsize=(6.4 * len(panels), 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    for number, panel in enumerate(panels, start=1):
        panel(figure.add_subplot(1, len(panels), number), ratios if panel is _draw_ratios else points)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=110)
    return True


def _draw_ratios(axes, rows: Sequence[Row]) -> None:
    places = range(len(rows))
    axes.barh(places, [row.ratio for row in rows], color=OURS, label="measured")
    marked = False
    for place, row in zip(places, rows, strict=True):
        target = next((limit.at_least for limit in row.target if limit.quantity == "ratio"), None)
        if target is not None:
            axes.plot([target, target], [place - 0.4, place + 0.4], color=TARGET, label=None if marked else "target")
            marked = True
        axes.text(row.ratio, place, f" {row.ratio:.2g}", va="center", fontsize=8)
    axes.set_yticks(places, [row.name for row in rows], fontsize=8)
    axes.invert_yaxis()
    # From 1, where nothing is gained, in doublings: a bar's length then says how much.
    limits = [limit.at_least or 0 for row in rows for limit in row.target if limit.quantity == "ratio"]
    largest = max([row.ratio for row in rows] + limits)
    axes.set_xscale("log", base=2)
    axes.set_xlim(1, 1.4 * max(largest, 2))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlabel("times faster than the reference")
    axes.legend(fontsize=8, loc="lower right")


def _draw_growth(axes, points: Sequence[dict]) -> None:
    slices = [point["slices"] for point in points]
    axes.plot(slices, [point["seconds"] for point in points], "o-", color=OURS, label="time")
    axes.set_xlabel("slices")
    axes.set_ylabel("seconds", color=OURS)
    axes.set_ylim(bottom=0)
    if all("peak_memory_mb" in point for point in points):
        memory = axes.twinx()
        memory.plot(slices, [point["peak_memory_mb"] for point in points], "s--", color=MEMORY, label="peak memory")
        memory.set_ylabel("peak memory, MB", color=MEMORY)
        memory.set_ylim(bottom=0)

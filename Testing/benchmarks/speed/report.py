"""The table of the results, for the terminal and for the README."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from speed.definitions import DEFINITIONS, TRIALS
from speed.rows import Row

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
_AGREEMENT = {
    "dice": "Dice {:.4f}",
    "dice_with_exact": "Dice {:.4f} with exact",
    "dice_with_dense": "Dice {:.4f} with dense",
    "dice_between_the_models": "Dice {:.4f} between the two",
    "mask_difference": "{:.1e} of the foreground differs",
    "loss_difference": "losses within {:.1e}",
    "equal_masks": "masks {}",
}


def table(rows: Sequence[Row]) -> str:
    """A Markdown table of the rows, one line each; what was only tried has its own, see :func:`trials_table`."""
    rows = [row for row in rows if not _is_trial(row)]
    head = ["row", "what", "ratio", "target", "ours", "reference", "agreement", "peak memory", "holds"]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(_cells(row))} |" for row in rows]
    return "\n".join(lines)


def trials_table(rows: Sequence[Row]) -> str:
    """A Markdown table of what was tried; empty where nothing was."""
    tried = [row for row in rows if _is_trial(row)]
    if not tried:
        return ""
    lines = ["| tried | against | times faster | foreground that differs | to prepare |", "|---|---|---|---|---|"]
    for row in tried:
        if row.not_measured:
            lines.append(f"| {row.what} | | not measured: {row.not_measured} | | |")
            continue
        preparing = _seconds(row.details["preparing_s"]) if row.details["preparing_s"] else ""
        cells = [row.what, row.details["against"], f"{row.ratio:.2f}", f"{row.agreement['mask_difference']:.1e}"]
        lines.append(f"| {' | '.join([*cells, preparing])} |")
    return "\n".join(lines)


def peak_line(rows: Sequence[Row]) -> str:
    """The measured limit of the machine's arithmetic; empty where no window was measured."""
    rates = {
        row.details["precision"]: statistics.median(row.details["peak_gflops"])
        for row in rows
        if row.details.get("peak_gflops")
    }
    listed = " and ".join(f"{rate:.0f} GFLOP/s ({precision})" for precision, rate in rates.items())
    return f"The best matrix product or convolution of PyTorch reaches {listed} here." if listed else ""


def growth_table(rows: Sequence[Row]) -> str:
    """A Markdown table of time and memory against slices; empty where that was not measured."""
    points = next((row.details.get("points", []) for row in rows if row.name == "growth"), [])
    if not points:
        return ""
    lines = ["| slices | windows | time | peak memory |", "|---|---|---|---|"]
    for point in points:
        memory = _memory(point.get("peak_memory_mb"))
        lines.append(f"| {point['slices']} | {point['windows']} | {_seconds(point['seconds'])} | {memory} |")
    return "\n".join(lines)


def machine_line(heading: dict[str, Any]) -> str:
    """Machine and versions in a sentence each."""
    machine, versions = heading["machine"], heading["versions"]
    listed = ", ".join(f"{name} {number}" for name, number in versions.items() if name != "commit")
    return (
        f"Measured on {machine['cores']} cores of {machine['cpu']} ({', '.join(machine['instructions'])}), "
        f"{machine['memory_gb']} GB, {machine['system']}, GPU: {machine['gpu']}. Versions: {listed}."
    )


def remarks(rows: Sequence[Row]) -> list[str]:
    """One line for each row that was not measured, rests on too few repetitions or took a way that matters."""
    lines = []
    for row in rows:
        if _is_trial(row):
            continue
        if row.not_measured:
            lines.append(f"`{row.name}` was not measured: {row.not_measured}")
            continue
        if row.too_few:
            count = len(row.repetitions["ours"])
            lines.append(f"`{row.name}` rests on too few repetitions ({count}) to say whether its target holds.")
        if row.details.get("search_reason") and row.name == "segment-localised":
            lines.append(f"`{row.name}`: search {row.details['search']}; {row.details['search_reason']}")
    return lines


def report(heading: dict[str, Any], rows: Sequence[Row], chart: str | None) -> str:
    """Everything of the README between the markers.

    Args:
        heading: machine and versions.
        rows: of the table.
        chart: path of the chart as the README links it; None where there is none.
    """
    parts = [" ".join(filter(None, [machine_line(heading), peak_line(rows)])), table(rows)]
    if notes := remarks(rows):
        parts.append("\n".join(f"- {line}" for line in notes))
    if grown := growth_table(rows):
        parts.append(grown)
    if tried := trials_table(rows):
        parts.append(tried)
    if chart is not None:
        parts.append(f"![Ratios against their targets, and growth with the number of slices]({chart})")
    return "\n\n".join(parts)


def put_into(readme: Path, text: str) -> bool:
    """Replace what stands between the markers; False where the file has no such markers."""
    before = readme.read_text(encoding="utf-8")
    if before.count(BEGIN) != 1 or before.count(END) != 1 or before.index(BEGIN) > before.index(END):
        return False
    head, rest = before.split(BEGIN)
    tail = rest.split(END)[1]
    readme.write_text(f"{head}{BEGIN}\n{text}\n{END}{tail}", encoding="utf-8", newline="\n")
    return True


def _is_trial(row: Row) -> bool:
    return row.name in DEFINITIONS and DEFINITIONS[row.name].group == TRIALS


def _cells(row: Row) -> list[str]:
    target = ", ".join(map(str, row.target)) or "none"
    if row.not_measured:
        return [row.name, row.what, "not measured", target, "", "", "", "", ""]
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
    agreement = ", ".join(_agreement(name, value) for name, value in row.agreement.items())
    more = [f"{row.peak_fraction:.2f} of the peak"] if row.peak_fraction is not None else []
    more += [f"{name} {row.details[name]:g}" for name in _limited_details(row)]
    cells = [", ".join(filter(None, [ratio, *more])), target, _seconds(row.ours), _seconds(row.reference), agreement]
    verdict = {True: "yes", False: f"no ({'; '.join(row.missed)})", None: ""}[row.holds]
    return [row.name, row.what, *cells, _memory(row.peak_memory_mb), verdict]


def _limited_details(row: Row) -> list[str]:
    names = [limit.quantity for limit in row.target]
    return [name for name in names if isinstance(row.details.get(name), int | float)]


def _agreement(name: str, value: float) -> str:
    if name == "equal_masks":
        return _AGREEMENT[name].format("equal" if value else "differ")
    return _AGREEMENT.get(name, name + " {:g}").format(value)


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.3g} s"


def _memory(value: float | None) -> str:
    return "" if value is None else f"{value:.0f} MB"

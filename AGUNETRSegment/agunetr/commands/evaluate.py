"""``agunetr evaluate``: predicted masks against reference masks, case by case."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from agunetr.commands.console import Console
from agunetr.commands.exit_codes import OK, UsageError
from agunetr.commands.interruption import interruptible
from agunetr.commands.scores import score_text

SUMMARY = "Scores predicted masks against reference masks."
EXAMPLES = """\
  agunetr evaluate result/compact-gated.nii.gz spleen.nii.gz
  agunetr evaluate results labels --table scores.csv
  agunetr evaluate results totalsegmentator --reference-label 1 --json

Each side is a mask, or a folder with one mask a case: <case>.nii.gz, or <case>/ with one mask in it, or what
`agunetr segment` wrote for several CTs. Cases are matched by name, nnU-Net's _0000 ignored. Measures: Dice, 95 %
Hausdorff distance (mm), surface Dice at 2 mm, volumes (ml) and their relative error. Dice is 1 where both masks are
empty; what is undefined is left out of the means, and their number of cases says so.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument("prediction", metavar="PREDICTION", help="mask file, or folder of masks")
    parser.add_argument("reference", metavar="REFERENCE", help="mask file, or folder of masks")
    parser.add_argument("--prediction-label", type=int, metavar="N", help="the organ's number in label maps")
    parser.add_argument("--reference-label", type=int, metavar="N", help="the organ's number in label maps")
    parser.add_argument("--table", metavar="FILE", help="also write the table: .csv or .json")
    parser.add_argument("--overwrite", action="store_true", help="replace a table that is already there")


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Scores and prints the table."""
    table = Path(arguments.table).expanduser() if arguments.table else None
    if table is not None and table.suffix.lower() not in (".csv", ".json"):
        raise UsageError(f"A table cannot be written as {table.name}.", "Choose a name that ends in .csv or .json.")

    from agunetr.evaluation import evaluate

    with interruptible() as stop, console.progress() as progress:
        evaluation = evaluate(
            Path(arguments.prediction).expanduser(),
            Path(arguments.reference).expanduser(),
            arguments.prediction_label,
            arguments.reference_label,
            progress,
            stop,
        )
    if table is not None:
        evaluation.write(table, arguments.overwrite)
    result = evaluation.to_dict()
    console.event("evaluation", **result)
    console.say(_table(result))
    notices = [*result["warnings"], *(notice for row in result["rows"] for notice in row["warnings"])]
    for notice in notices:
        console.say(f"warning: {notice['message']}")
    if table is not None:
        console.say(f"-> {table}")
    return OK


def _table(result: dict[str, Any]) -> str:
    """Cases, then means, in columns; a mean over fewer cases than the table has says over how many."""
    apart = ("case", "model", "prediction", "reference", "warnings")
    measures = [name for name in result["rows"][0] if name not in apart]
    lines = [["case", "model", *measures]]
    for row in result["rows"]:
        lines.append([row["case"], row["model"], *(score_text(row[measure]) for measure in measures)])
    for means in result["means"]:
        cases = sum(row["model"] == means["model"] for row in result["rows"])
        cells = ["mean", means["model"]]
        for measure in measures:
            summary = means[measure]
            partial = f" ({summary['cases']})" if 0 < summary["cases"] < cases else ""
            cells.append(score_text(summary["mean"]) + partial)
        lines.append(cells)
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )

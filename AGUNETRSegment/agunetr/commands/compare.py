"""``agunetr compare``: two masks of one scan."""

from __future__ import annotations

import argparse
from pathlib import Path

from agunetr.commands.console import Console
from agunetr.commands.exit_codes import OK
from agunetr.commands.scores import score_text

SUMMARY = "Compares two masks of the same scan."
EXAMPLES = """\
  agunetr compare result/compact-base.nii.gz result/compact-gated.nii.gz
  agunetr compare organs.nii.gz other_organs.nii.gz --label 1 --json

Dice, 95 % Hausdorff distance, surface Dice at 2 mm and volumes; the second mask is the reference. What is undefined,
such as a distance to an empty mask, is shown as undefined (null in JSON). Masks on different grids are compared on
the second one's, through their geometry.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument("first", metavar="MASK", help="mask or label map: NIfTI, NRRD or MetaImage")
    parser.add_argument("second", metavar="REFERENCE", help="mask or label map of the same scan")
    parser.add_argument("--label", type=int, metavar="N", help="number of the organ where the files are label maps")


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Compares and prints."""
    from agunetr.evaluation import compare

    row = compare(Path(arguments.first).expanduser(), Path(arguments.second).expanduser(), arguments.label).to_dict()
    console.event("comparison", comparison=row)
    for notice in row["warnings"]:
        console.say(f"warning: {notice['message']}")
    for measure in row:
        if measure not in ("case", "model", "prediction", "reference", "warnings"):
            console.say(f"{measure:<24} {score_text(row[measure])}")
    return OK

"""``agunetr report``: tables, curves, statistics and figures of a run, finished or not."""

from __future__ import annotations

import argparse
from pathlib import Path

from agunetr.commands.console import Console
from agunetr.commands.exit_codes import OK
from agunetr_train.commands.training_packages import training_packages

SUMMARY = "Makes the report of a run: scores, statistics, curves and figures."
EXAMPLES = """\
  agunetr report runs/study-v2
  agunetr report runs/study-v2 --case spleen_8 --slice 42
  agunetr report runs/study-v2 --output report-for-the-group

The folder holds index.html, one page that needs no other file, and the tables and figures on it as CSV and PNG. A run
that is not finished has a report too, which says what is missing. A report that is already there is replaced.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument("run_folder", metavar="RUN", help="folder of the run")
    parser.add_argument("--output", "-o", metavar="FOLDER", help="folder for the report (RUN/report)")
    parser.add_argument("--case", metavar="NAME", help="test case that the figures show (one with a typical score)")
    parser.add_argument(
        "--slice", type=int, metavar="N", help="its axial slice, from 0 (the one with the largest spleen)"
    )


@training_packages()
def run(arguments: argparse.Namespace, console: Console) -> int:
    """Makes the report."""
    from agunetr_train.report.page import make_report
    from agunetr_train.run_folder import RunFolder

    folder = RunFolder(Path(arguments.run_folder).expanduser())
    output = Path(arguments.output).expanduser() if arguments.output else None
    page = make_report(folder, output, case=arguments.case, slice=arguments.slice, say=console.say)
    console.event("report", path=page)
    console.say(f"The report is {page}")
    return OK

"""``agunetr doctor``: what works on this machine and what would help."""

from __future__ import annotations

import argparse

from agunetr.commands.console import Console
from agunetr.commands.exit_codes import OK, UNEXPECTED

SUMMARY = "Checks what works on this machine and says what would help."
EXAMPLES = """\
  agunetr doctor
  agunetr doctor --json

Ends with 0 where segmentation can run, hints or not, else with 1.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command has no arguments of its own."""


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Prints the findings."""
    from agunetr.doctor import BROKEN, GOOD, examine, versions

    findings = examine()
    able = all(finding.state != BROKEN for finding in findings)
    console.event("doctor", able=able, findings=[finding.to_dict() for finding in findings], versions=versions())
    for finding in findings:
        console.say(f"{finding.state:<7} {finding.name}: {finding.found}")
        if finding.state != GOOD and finding.advice:
            console.say(f"{'':<7} {finding.advice}")
    verdict = "can run on this machine" if able else "cannot run until what is broken is mended"
    console.say(f"Segmentation {verdict}.")
    return OK if able else UNEXPECTED

"""``agunetr compare``: two masks of one scan."""

from __future__ import annotations

import argparse

SUMMARY = "Compares two masks of the same scan."
EXAMPLES = """\
  agunetr compare result/compact-base.nii.gz result/compact-gated.nii.gz
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""


def run(arguments, console) -> int:
    return 0

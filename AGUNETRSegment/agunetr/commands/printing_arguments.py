"""The arguments of every command that say what is printed."""

from __future__ import annotations

import argparse
from typing import Any

_FLAGS = {
    "--json": "one JSON object a line on standard output, for programs",
    "--quiet": "no progress and no text, errors only",
}


def printing_arguments() -> argparse.ArgumentParser:
    """A parent parser for a command."""
    parser = argparse.ArgumentParser(add_help=False)
    _add(parser.add_argument_group("what is printed"), default=False)
    return parser


def repeat_printing_arguments(action: argparse.ArgumentParser) -> None:
    """The same flags behind a command's action too: ``agunetr models list --json``."""
    # Without SUPPRESS the default here would undo a flag that stands before the action.
    _add(action, default=argparse.SUPPRESS)


def _add(parser: Any, default: Any) -> None:
    for flag, meaning in _FLAGS.items():
        parser.add_argument(flag, action="store_true", default=default, help=meaning)

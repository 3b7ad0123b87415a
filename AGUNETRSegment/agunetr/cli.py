"""The command line ``agunetr``, also ``python -m agunetr``.

Results go to standard output, errors and progress bars to standard error. With ``--json`` standard output carries one
JSON object a line and nothing else; its events are those of :mod:`agunetr.worker` with ``case`` in place of ``job``,
and those of :mod:`agunetr.commands.segment_many`. Exit codes: :mod:`agunetr.commands.exit_codes`.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import sys
import warnings
from types import ModuleType
from typing import NoReturn

from agunetr import __version__
from agunetr.commands.console import open_console
from agunetr.commands.exit_codes import exit_code, exit_code_table
from agunetr.commands.interruption import handlers_restored
from agunetr.commands.printing_arguments import printing_arguments

COMMANDS = ("segment", "compare", "evaluate", "models", "phantom", "doctor")
BUILT_ON_THIS = ("agunetr_train",)
"""Packages that add commands where they are installed; each has a ``commands`` package with ``COMMANDS`` of its own."""

DESCRIPTION = "Segments the spleen in CT with UNETR and attention-gated UNETR. For research, not for diagnosis."

EXAMPLES = """\
examples:
  agunetr phantom --output phantom
  agunetr segment phantom/ct.nii.gz --model compact-base --model compact-gated --output result
  agunetr compare result/compact-base.nii.gz result/compact-gated.nii.gz
  agunetr evaluate result/compact-gated.nii.gz phantom/spleen.nii.gz
  agunetr doctor
"""


def command_modules() -> dict[str, ModuleType]:
    """The module of each command, by the command's name: the engine's own, then those of packages built on it."""
    names = {name: f"{__package__}.commands.{name}" for name in COMMANDS}
    for package in BUILT_ON_THIS:
        try:
            found = importlib.util.find_spec(f"{package}.commands")
        except ModuleNotFoundError:  # the package itself is not there
            found = None
        if found:
            added = importlib.import_module(f"{package}.commands").COMMANDS
            names |= {name: f"{package}.commands.{name}" for name in added}
    return {name: importlib.import_module(module) for name, module in names.items()}


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands; loads nothing heavy."""
    shared = printing_arguments()
    parser = argparse.ArgumentParser(
        prog="agunetr",
        description=DESCRIPTION,
        epilog=f"{EXAMPLES}\n{exit_code_table()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"agunetr {__version__}")
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND", required=True)
    for name, module in command_modules().items():
        command = commands.add_parser(
            name,
            help=module.SUMMARY[0].lower() + module.SUMMARY[1:].rstrip("."),
            description=module.SUMMARY,
            epilog=f"examples:\n{module.EXAMPLES}\n{exit_code_table()}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            parents=[shared],
        )
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Runs one command and returns its exit code; ``--help`` and wrong usage raise SystemExit as argparse does."""
    with handlers_restored():
        return _run(arguments)


def program() -> NoReturn:
    """Runs the command of this process's arguments and ends the process with its exit code."""
    sys.exit(_run(None))


def _run(arguments: list[str] | None) -> int:
    parsed = build_parser().parse_args(arguments)
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # deprecation notes of libraries are for developers (python -W default)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a console that lacks a letter must not end the run
    try:
        with open_console(parsed.json, parsed.quiet) as console:
            try:
                return parsed.run(parsed, console)
            except BrokenPipeError:
                raise
            except (Exception, KeyboardInterrupt) as error:
                console.error(error)
                return exit_code(error)
    except BrokenPipeError:  # the reader, `head` for example, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


if __name__ == "__main__":
    program()

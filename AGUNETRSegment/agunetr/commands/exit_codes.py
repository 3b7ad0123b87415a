"""Exit codes of the command line, part of its interface."""

from __future__ import annotations

from agunetr.errors import AgunetrError

OK = 0
UNEXPECTED = 1
USAGE = 2
INPUT = 3
MODEL = 4
OUTPUT = 5
DEVICE = 6
SOME_FAILED = 7
DEPENDENCIES = 8
CANCELLED = 130

MEANINGS = {
    OK: "done",
    UNEXPECTED: "a fault in the program; please report it",
    USAGE: "wrong arguments",
    INPUT: "an image, mask, experiment or run cannot be used",
    MODEL: "a model cannot be used",
    OUTPUT: "the results cannot be written",
    DEVICE: "the device does not exist, or its memory ran out",
    SOME_FAILED: "of several cases or jobs, at least one failed; the others were done",
    DEPENDENCIES: "a Python package is missing",
    CANCELLED: "interrupted (Ctrl+C)",
}

_OF_KIND = {
    "usage": USAGE,
    "request": USAGE,
    "input": INPUT,
    "region": INPUT,
    "model": MODEL,
    "output": OUTPUT,
    "device": DEVICE,
    "memory": DEVICE,
    "dependencies": DEPENDENCIES,
    "cancelled": CANCELLED,
}


class MissingPackage(AgunetrError):
    """A Python package that a command needs is not installed."""

    kind = "dependencies"


class UsageError(AgunetrError):
    """Arguments that contradict each other or have a wrong value."""

    kind = "usage"


def exit_code(error: BaseException) -> int:
    """The exit code for what went wrong."""
    if isinstance(error, AgunetrError):
        return _OF_KIND.get(error.kind, UNEXPECTED)
    if isinstance(error, MemoryError):
        return DEVICE
    if isinstance(error, ImportError):
        return DEPENDENCIES
    return CANCELLED if isinstance(error, KeyboardInterrupt) else UNEXPECTED


def exit_code_table() -> str:
    """The codes and their meanings, for ``--help``."""
    return "exit codes:\n" + "\n".join(f"  {code:<5} {meaning}" for code, meaning in MEANINGS.items())

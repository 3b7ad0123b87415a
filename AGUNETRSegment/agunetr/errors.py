"""Errors and notices that reach a user: one sentence on what is wrong, one on what to do.

Every refusal of the engine is an :class:`AgunetrError`. Its ``kind`` is a word for programs (the worker's
``error`` event, the command line's exit code), ``message`` and ``remedy`` are for people.
"""

from __future__ import annotations

from dataclasses import dataclass


class AgunetrError(Exception):
    """A refusal that a user can understand and act on.

    Args:
        message: what is wrong, one sentence.
        remedy: what to do about it, one sentence; may be empty where the message says it already.
    """

    kind = "error"

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message, remedy)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()


class InputError(AgunetrError):
    """The image or mask given cannot be used."""

    kind = "input"


class RegionError(InputError):
    """The region given to search in shows nothing of the patient."""

    kind = "region"


class ModelError(AgunetrError):
    """A model folder, archive or checkpoint cannot be used."""

    kind = "model"


class OutputError(AgunetrError):
    """Results cannot be written where they were asked for."""

    kind = "output"


class DeviceError(AgunetrError):
    """The device or precision asked for does not exist on this machine."""

    kind = "device"


class MemoryExhausted(AgunetrError):
    """The device ran out of memory."""

    kind = "memory"


class BusyError(AgunetrError):
    """A job is already running."""

    kind = "busy"


class Cancelled(AgunetrError):
    """The user cancelled; nothing was written."""

    kind = "cancelled"

    def __init__(self, message: str = "Cancelled; nothing was written.", remedy: str = "") -> None:
        super().__init__(message, remedy)


@dataclass(frozen=True)
class Notice:
    """Something the user should know about a result that was computed all the same.

    Attributes:
        kind: a word for programs, for example ``"not-hu"`` or ``"cut-by-edge"``.
        message: one sentence for people.
    """

    kind: str
    message: str

    def to_dict(self) -> dict[str, str]:
        """The JSON form, ``{"kind": ..., "message": ...}``."""
        return {"kind": self.kind, "message": self.message}

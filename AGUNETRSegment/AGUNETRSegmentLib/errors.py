"""The one error of the Slicer side that carries what a user can read and do."""

from __future__ import annotations


class SegmentationError(Exception):
    """A refusal or failure to be shown to the user.

    :param kind: a word for programs: ``input``, ``result``, ``busy``, ``cancelled``, ``crash``, ``start`` or a kind
      that the worker sent (``model``, ``device``, ``memory``, ``output`` ...).
    :param message: what is wrong, one sentence.
    :param remedy: what to do about it, one sentence; may be empty.
    :param details: longer text for a log view, for example the last lines that the worker printed.
    """

    def __init__(self, kind: str, message: str, remedy: str = "", details: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.remedy = remedy
        self.details = details

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()

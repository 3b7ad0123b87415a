"""A field for a path, and who wants to know of every change of it."""

from __future__ import annotations

from collections.abc import Callable


def followPath(pathLineEdit, chosen: Callable[[str], None]) -> None:
    """Call *chosen* with the path whenever it changes, also when the user empties the field.

    To the widget an empty path is invalid input, and ``currentPathChanged`` tells of valid input alone: without this
    the folder that is no longer shown would still be the one that is used.

    :param pathLineEdit: a ``ctkPathLineEdit``.
    :param chosen: may be called twice with the same path.
    """
    pathLineEdit.connect("currentPathChanged(QString)", chosen)
    pathLineEdit.connect("validInputChanged(bool)", lambda _valid: chosen(pathLineEdit.currentPath))

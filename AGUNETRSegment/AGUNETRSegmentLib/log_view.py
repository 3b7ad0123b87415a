"""The log in the panel: the last lines, and Save."""

from __future__ import annotations

from collections import deque
from datetime import datetime
from pathlib import Path

import qt
import slicer

from .translation import _

MOST_LINES = 5000
MOST_CHARACTERS = 2000


class LogView:
    """Shows lines in a text view and keeps more of them to save.

    :param textEdit: the ``QPlainTextEdit``, which limits what it shows by itself.
    :param saveButton: writes the lines to a file.
    """

    def __init__(self, textEdit, saveButton) -> None:
        self._textEdit = textEdit
        self._saveButton = saveButton
        self._lines: deque[str] = deque(maxlen=MOST_LINES)
        saveButton.connect("clicked(bool)", self._onSave)

    def add(self, level: str, text: str) -> None:
        """Add a line, or the lines of a longer text.

        :param level: ``info``, ``warning`` or ``error``.
        """
        now = datetime.now().strftime("%H:%M:%S")
        mark = "" if level == "info" else f"{level.upper()}: "
        lines = [f"{now} {mark}{line[:MOST_CHARACTERS]}" for line in text.splitlines()]
        if lines:
            self._lines.extend(lines)
            self._textEdit.appendPlainText("\n".join(lines))
            self._saveButton.enabled = True

    def text(self) -> str:
        """All the lines that are kept."""
        return "\n".join(self._lines) + "\n"

    def _onSave(self, _checked: bool = False) -> None:
        path = qt.QFileDialog.getSaveFileName(
            self._textEdit, _("Save the log"), "AGUNETR-log.txt", _("Text files (*.txt)"))
        if not path:
            return
        try:
            Path(path).write_text(self.text(), encoding="utf-8")
        except OSError as error:
            slicer.util.errorDisplay(
                _('The log could not be written to "{path}": {reason}. Choose another folder.').format(
                    path=path, reason=error.strerror or error))

"""A longer text in a window of its own."""

from __future__ import annotations

import json

import qt

from AGUNETRSegmentLib.reading_dialog import showInDialog
from AGUNETRSegmentLib.translation import _


def showText(title: str, content: str | dict, parent) -> None:
    """Show a text, or values as JSON, until the user closes it; it can be selected and copied."""
    text = content if isinstance(content, str) else json.dumps(content, indent=1, ensure_ascii=False)
    edit = qt.QPlainTextEdit()
    edit.objectName = "textDialogEdit"
    edit.toolTip = _("Select and copy what you need.")
    edit.readOnly = True
    edit.setPlainText(text)
    showInDialog(edit, "textDialog", title, parent)

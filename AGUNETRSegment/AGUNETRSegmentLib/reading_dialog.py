"""A window of its own for something to read."""

from __future__ import annotations

import qt


def showInDialog(widget, name: str, title: str, parent) -> None:
    """Show a widget with a Close button until the user closes it; it goes with its window.

    :param name: object name of the window.
    """
    dialog = qt.QDialog(parent)
    dialog.setWindowTitle(title)
    dialog.objectName = name
    layout = qt.QVBoxLayout(dialog)
    layout.addWidget(widget)
    buttons = qt.QDialogButtonBox()
    buttons.setStandardButtons(qt.QDialogButtonBox.Close)
    buttons.connect("rejected()", dialog.reject)
    layout.addWidget(buttons)
    dialog.resize(640, 560)
    dialog.exec_()
    dialog.deleteLater()

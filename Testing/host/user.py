"""What a user does with mouse and keyboard, as events that Qt delivers: nothing calls a slot."""

from __future__ import annotations

from PySide6 import QtCore, QtGui, QtTest, QtWidgets

from . import dialogs
from .manners import unwrap


def answer(*answers) -> None:
    """What the user does in the next dialogs: a button's name ("Yes"), a path, or a function of the dialog."""
    buttons = QtWidgets.QMessageBox.StandardButton.__members__
    dialogs.answers.extend(buttons.get(given, given) if isinstance(given, str) else given for given in answers)


def reach(widget):
    """The Qt widget, on screen and enabled; collapsed sections around it are opened by a click, as a user would."""
    native = unwrap(widget)
    outer = native.parentWidget()
    while outer is not None:
        if outer.property("collapsed") is True:
            click(outer)
        outer = outer.parentWidget()
    QtCore.QCoreApplication.processEvents()
    if not native.isVisible() or not native.isEnabled():
        raise AssertionError(f"{native.objectName()} is hidden or disabled: {native.toolTip()}")
    return native


def press(widget, keys: str) -> None:
    """Press a key combination, for example "Ctrl+Return", while *widget* has the focus."""
    native, combination = unwrap(widget), QtGui.QKeySequence(keys)[0]
    native.window().activateWindow()
    native.setFocus()
    QtCore.QCoreApplication.processEvents()
    QtTest.QTest.keyClick(native, combination.key(), combination.keyboardModifiers())
    QtCore.QCoreApplication.processEvents()


def click(widget) -> None:
    """A click with the left button: on a button's middle, on a tick box's box, on a section's title."""
    native = reach(widget)
    place = native.rect().center()
    if native.property("collapsed") is not None:
        place = QtCore.QPoint(40, 10)
    elif isinstance(native, QtWidgets.QCheckBox):
        place.setX(8)
    QtTest.QTest.mouseClick(native, QtCore.Qt.MouseButton.LeftButton, pos=place)
    QtCore.QCoreApplication.processEvents()


def tick(view, row: int, column: int = 0) -> None:
    """Turn the tick box of an item in a list or table, with the keyboard."""
    native = reach(view)
    native.setCurrentIndex(native.model().index(row, column))
    press(native, "Space")


def choose(widget, text: str) -> None:
    """Choose an entry of a combo box or node selector by its text, with the keyboard."""
    native = reach(widget)
    combo = native if isinstance(native, QtWidgets.QComboBox) else native.findChild(QtWidgets.QComboBox)
    row = combo.findText(text)
    if row < 0:
        raise AssertionError(f"{native.objectName()} offers {[combo.itemText(i) for i in range(combo.count())]}")
    combo.showPopup()
    combo.view().setCurrentIndex(combo.model().index(row, combo.modelColumn()))
    press(combo.view(), "Return")


def type_(widget, text: str) -> None:
    """Type a text in place of the one that is there, and leave the field."""
    native = reach(widget)
    edit = native if isinstance(native, QtWidgets.QLineEdit) else native.findChild(QtWidgets.QLineEdit) or native
    edit.setFocus()
    edit.selectAll()
    QtTest.QTest.keyClicks(edit, text) if text else press(edit, "Delete")
    press(edit, "Tab")

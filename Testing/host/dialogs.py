"""Dialogs that would wait for the user: a test says beforehand what he does; one that nobody expects is a failure."""

from __future__ import annotations

from PySide6 import QtCore, QtGui, QtWidgets

from .manners import failures, inPlaceOfQts, wrap

# What the user will do, in order: the answer, or a function that gets the dialog and returns it (None stands for native
# dialogs). What was shown, as title and text, and which addresses were opened outside: for tests to look at.
answers: list = []
shown: list[tuple[str, str]] = []
opened: list[str] = []


def ask(title: str, text: str, dialog, otherwise):
    """Record a dialog and answer as the test said."""
    shown.append((title, text))
    if not answers:
        failures.append(f"A dialog that no test expected: {title}: {text}")
        return otherwise
    answer = answers.pop(0)
    return answer(dialog) if callable(answer) else answer


def answered(dialog, text: str):
    """What the user does in a dialog of Qt that is shown."""
    dialog.show()
    QtCore.QCoreApplication.processEvents()
    return ask(dialog.windowTitle(), text, wrap(dialog), 0)


@inPlaceOfQts
class QDialog(QtWidgets.QDialog):
    def exec(self):
        answer = answered(self, " ".join(label.text() for label in self.findChildren(QtWidgets.QLabel)))
        self.done(self.result() if answer is None else int(answer))  # None: the function closed it itself
        return self.result()


class ctkMessageBox(QtWidgets.QMessageBox):
    def exec(self):
        answer = answered(self, self.text())
        self.hide()
        return int(answer or QtWidgets.QMessageBox.StandardButton.Cancel)


@inPlaceOfQts
class QFileDialog(QtWidgets.QFileDialog):
    """The native file dialogs: PythonQt gives their path as text, and an empty one when the user cancels."""

    @staticmethod
    def getOpenFileName(_parent=None, title: str = "", folder: str = "", *_others) -> str:
        return str(ask(title, folder, None, ""))

    getSaveFileName = getExistingDirectory = getOpenFileName


@inPlaceOfQts
class QDesktopServices(QtGui.QDesktopServices):
    """Opening a folder or page outside the application: recorded, not done."""

    @staticmethod
    def openUrl(url) -> bool:
        opened.append(url.toString())
        return True

"""Dialogs that would wait for the user: a test says beforehand what he does; one that nobody expects is a failure."""

from __future__ import annotations

from PySide6 import QtCore, QtGui, QtWidgets

from .manners import failures, wrap

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


class QDialog(QtWidgets.QDialog):
    """QDialog whose exec() is answered at once."""

    hostTransparent = hostReplaces = True

    def exec(self):
        self.show()
        QtCore.QCoreApplication.processEvents()
        text = " ".join(label.text() for label in self.findChildren(QtWidgets.QLabel))
        result = ask(self.windowTitle(), text, wrap(self), 0)
        self.done(int(result) if result is not None else self.result())
        return self.result()


class QMessageBox(QtWidgets.QMessageBox):
    """QMessageBox whose exec() is answered at once; the answer is a standard button or a function."""

    hostTransparent = hostReplaces = True

    def exec(self):
        self.show()
        QtCore.QCoreApplication.processEvents()
        answer = ask(self.windowTitle(), self.text(), wrap(self), QtWidgets.QMessageBox.StandardButton.Cancel)
        self.hide()
        return int(answer or 0)

    @staticmethod
    def question(_parent, title: str, text: str, *_others):
        return ask(title, text, None, QtWidgets.QMessageBox.StandardButton.No)

    information = warning = critical = question


class QFileDialog(QtWidgets.QFileDialog):
    """The native file dialogs: PythonQt gives their path as text, and an empty one when the user cancels."""

    hostTransparent = hostReplaces = True

    @staticmethod
    def getOpenFileName(_parent=None, title: str = "", folder: str = "", *_others) -> str:
        return str(ask(title, folder, None, ""))

    getSaveFileName = getExistingDirectory = getOpenFileName

    @staticmethod
    def getOpenFileNames(_parent=None, title: str = "", folder: str = "", *_others) -> list[str]:
        return [str(path) for path in ask(title, folder, None, [])]


class QDesktopServices(QtGui.QDesktopServices):
    """Opening a folder or page outside the application: recorded, not done."""

    hostTransparent = hostReplaces = True

    @staticmethod
    def openUrl(url) -> bool:
        opened.append(url.toString())
        return True

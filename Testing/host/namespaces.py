"""The modules ``qt`` and ``ctk``: PySide6's classes and the host's own, by the names of the application."""

from __future__ import annotations

import types

import shiboken6
from PySide6 import QtCore, QtGui, QtNetwork, QtUiTools, QtWidgets

from . import dialogs, ui_loader
from .manners import classFor

MODULES = (QtCore, QtGui, QtWidgets, QtNetwork, QtUiTools)
for replacing in (dialogs.QDialog, dialogs.QFileDialog, dialogs.QMessageBox, dialogs.QDesktopServices,
                  ui_loader.QUiLoader):
    classFor(replacing)


class QtModule(types.ModuleType):
    """``import qt``: every class of Qt in one module, and nothing else of PySide6."""

    def __getattr__(self, name: str):
        for module in MODULES:
            found = getattr(module, name, None)
            if isinstance(found, type) and name[0] == "Q" and not name.startswith("Qml"):
                return classFor(found) if issubclass(found, shiboken6.Object) else found
        raise AttributeError(f"module 'qt' has no attribute '{name}'")


class WidgetsModule(types.ModuleType):
    """``import ctk``: the host's classes of that prefix."""

    def __init__(self, name: str, classes: dict[str, type]) -> None:
        super().__init__(name)
        vars(self).update({name: classFor(native) for name, native in classes.items()})

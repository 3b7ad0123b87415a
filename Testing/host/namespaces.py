"""The modules ``qt`` and ``ctk``: PySide6's classes and the host's own, by the names that the application gives them."""

from __future__ import annotations

import types

import shiboken6
from PySide6 import QtCore, QtGui, QtNetwork, QtUiTools, QtWidgets

from . import dialogs, ui_loader
from .manners import classFor

MODULES = (QtCore, QtGui, QtWidgets, QtNetwork, QtUiTools)
# Of PySide6's modules what is Qt: neither the ways in which it declares signals nor its helper functions.
NOT_QT = {"Signal", "Slot", "Property", "QtMsgType", "QmlElement", "SIGNAL", "SLOT", "SignalInstance", "ClassInfo"}
for replacing in (dialogs.QDialog, dialogs.QFileDialog, dialogs.QInputDialog, dialogs.QMessageBox,
                  dialogs.QDesktopServices, ui_loader.QUiLoader):
    classFor(replacing)


class QtModule(types.ModuleType):
    """``import qt``: every class of Qt in one module."""

    def __getattr__(self, name: str):
        for module in MODULES:
            found = getattr(module, name, None)
            if isinstance(found, type) and name not in NOT_QT and name[0] == "Q":
                return classFor(found) if issubclass(found, shiboken6.Object) else found
        raise AttributeError(f"module 'qt' has no attribute '{name}'")


class WidgetsModule(types.ModuleType):
    """``import ctk``, and the widget classes of ``slicer``: the host's classes of that prefix."""

    def __init__(self, name: str, classes: dict[str, type]) -> None:
        super().__init__(name)
        self.__dict__.update({name: classFor(native) for name, native in classes.items()})

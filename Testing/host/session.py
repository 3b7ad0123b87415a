"""One run of the application for a test: its modules in place of those that Slicer brings, and all gone at the end."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import time
import types
from pathlib import Path
from unittest import mock

import shiboken6
import slicer
import slicer.util
from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets

from . import dialogs, manners, parameter_node, scripted_module, slicer_application, ui_loader, views, widgets

ROOT = Path(__file__).resolve().parents[2]
MODULES = ("AGUNETRSegment", "AGUNETRTrain")


class HostFailure(AssertionError):
    """Something went wrong in the application where no caller could notice."""


class QtModule(types.ModuleType):
    """``import qt``: every class of Qt in one module, and nothing else of PySide6."""

    def __getattr__(self, name: str):
        for module in (QtCore, QtGui, QtWidgets, QtUiTools):
            found = getattr(module, name, None)
            if isinstance(found, type) and name[0] == "Q":
                return manners.classFor(found) if issubclass(found, shiboken6.Object) else found
        raise AttributeError(f"module 'qt' has no attribute '{name}'")


CLASSES = {name: manners.classFor(cls) for module in (scripted_module, slicer_application, ui_loader, views, widgets)
           for name, cls in vars(module).items() if name.startswith(("ctk", "qMRML", "qSlicer"))}
OFFERED = {"qt": QtModule("qt")}
for _name, _members in (
        ("ctk", {name: cls for name, cls in CLASSES.items() if name.startswith("ctk")}),
        ("slicer.i18n", {"tr": lambda text: text, "translate": lambda _context, text: text}),
        ("slicer.parameterNodeWrapper", {
            name: getattr(parameter_node, name)
            for name in ("Choice", "WithinRange", "parameterNodeWrapper", "parameterPack")}),
        ("slicer.ScriptedLoadableModule", {
            name: cls for name, cls in vars(scripted_module).items() if name.startswith("ScriptedLoadableModule")})):
    OFFERED[_name] = types.ModuleType(_name)
    vars(OFFERED[_name]).update(_members, __all__=list(_members))


class Application:
    """What a test has of the running application."""

    def __init__(self, native) -> None:
        self.native, self.window, self._modules = native, native.window, {}
        self.failures, self.dialogs, self.opened = manners.failures, dialogs.shown, dialogs.opened

    def openModule(self, name: str):
        """Load a module file where that was not done yet, and show the module; its Python widget is returned."""
        if name not in self._modules:
            self._modules[name] = scripted_module.qSlicerScriptedLoadableModule(ROOT / name / f"{name}.py")
            self.native.startupCompleted.emit()
        self.window.show()
        slicer.util.selectModule(name)
        self.processEvents()
        return slicer.util.getModuleWidget(name)

    def leaveModule(self) -> None:
        slicer.util.selectModule("")

    def processEvents(self) -> None:
        QtCore.QCoreApplication.processEvents()
        QtCore.QCoreApplication.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete)

    def wait(self, condition, value=True, seconds: float = 30.0) -> None:
        end = time.monotonic() + seconds
        while condition() != value:
            if time.monotonic() > end:
                raise AssertionError(f"not so after {seconds} s; failures: {self.failures}")
            self.processEvents()
            time.sleep(0.005)

    def close(self) -> None:
        """Close as the application does: the shown module is left, the layout noted, then every module is unloaded."""
        self.leaveModule()
        self.native.userSettings().setValue("MainWindow/layout", self.native.layoutManager().layout)
        for name in self._modules:
            self.native.moduleManager().moduleAboutToBeUnloaded.emit(name)
        self.processEvents()


@contextlib.contextmanager
def application(folder: Path | None = None):
    """Start the application, in a folder of its own; at the end it closes and everything that it put in place goes."""
    offered = {name.removeprefix("slicer."): member for name, member in {**CLASSES, **OFFERED}.items()
               if name.startswith(("slicer.", "qMRML", "qSlicer"))}
    before = dict(sys.modules)
    for leftover in (manners.failures, dialogs.answers, dialogs.shown, dialogs.opened):
        leftover.clear()
    QtCore.qInstallMessageHandler(lambda _kind, _context, text: "does not support" in text or print(text))
    with (
        tempfile.TemporaryDirectory(prefix="host-", dir=folder, ignore_cleanup_errors=True) as temporary,
        mock.patch.dict(vars(slicer), offered),
        mock.patch.dict(os.environ, PATH=f"{temporary}/bin{os.pathsep}{os.environ['PATH']}"),
        mock.patch("sys.path", [*(str(ROOT / name) for name in MODULES), *sys.path]),
        mock.patch("sys.excepthook", manners.record),  # the observers of VTK and what Qt calls end there
    ):
        sys.modules.update(OFFERED)
        python = Path(temporary) / "bin" / "PythonSlicer"  # here it is this Python
        python.parent.mkdir()
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
        python.chmod(0o755)
        native = QtWidgets.QApplication.instance() or slicer_application.qSlicerApplication(["Slicer"])
        native.prepare(temporary)
        slicer.app, app = manners.wrap(native), Application(native)
        try:
            yield app
            app.close()
            if dialogs.answers:
                manners.failures.append(f"Nobody asked for these answers: {dialogs.answers}")
            if manners.failures:
                raise HostFailure("\n".join(manners.failures))
        finally:
            with contextlib.suppress(Exception):
                app.close()
            native.release()
            for name in [name for name in sys.modules if name in OFFERED or name.startswith(MODULES)]:
                del sys.modules[name]
            sys.modules.update({name: before[name] for name in OFFERED if name in before})

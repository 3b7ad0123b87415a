"""One run of the application for a test: its modules in place of those that Slicer would bring, and all gone at the end."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import time
import traceback
import types
from pathlib import Path

import slicer
import slicer.util
from PySide6 import QtCore, QtWidgets

from . import (
    ctk_widgets,
    dialogs,
    layouts,
    manners,
    mrml_widgets,
    namespaces,
    parameter_node,
    scripted_module,
    slicer_application,
    views,
)

ROOT = Path(__file__).resolve().parents[2]


class HostFailure(AssertionError):
    """Something went wrong in the application where no caller could notice."""


def _module(name: str, source, names) -> types.ModuleType:
    made = types.ModuleType(name)
    made.__dict__.update({name: getattr(source, name) for name in names})
    made.__all__ = list(names)
    return made


def _modules() -> dict[str, types.ModuleType]:
    i18n = types.ModuleType("slicer.i18n")
    i18n.tr, i18n.translate = lambda text: text, lambda _context, text: text
    return {
        "qt": namespaces.QtModule("qt"),
        "ctk": namespaces.WidgetsModule("ctk", ctk_widgets.CLASSES),
        "slicer.i18n": i18n,
        "slicer.parameterNodeWrapper": _module("slicer.parameterNodeWrapper", parameter_node, (
            "Choice", "Decimals", "Default", "Maximum", "Minimum", "SingleStep", "Validator", "WithinRange",
            "isParameterNodeWrapper", "isParameterPack", "parameterNodeWrapper", "parameterPack")),
        "slicer.ScriptedLoadableModule": _module("slicer.ScriptedLoadableModule", scripted_module, (
            "ScriptedLoadableModule", "ScriptedLoadableModuleLogic", "ScriptedLoadableModuleTest",
            "ScriptedLoadableModuleWidget")),
    }


MODULES = _modules()


class Application:
    """What a test has of the running application."""

    def __init__(self, native, folder: Path) -> None:
        self.native, self.folder = native, folder
        self.failures, self.dialogs, self.opened = manners.failures, dialogs.shown, dialogs.opened
        self.window = native.window

    def openModule(self, name: str):
        """Load a module file where that was not done yet, and show the module; its Python widget is returned."""
        if not hasattr(slicer.modules, name.lower()):
            module = scripted_module.loadModule(ROOT / name / f"{name}.py")
            self.native.moduleManager().moduleLoaded.emit(name)
            self.native.startupCompleted.emit()
            module.setParent(self.native.moduleManager())
        self.window.show()
        slicer.util.selectModule(name)
        self.processEvents()
        return slicer.util.getModuleWidget(name)

    def leaveModule(self) -> None:
        """Show no module, as when the user goes to another one."""
        slicer.util.selectModule("")

    def processEvents(self) -> None:
        QtCore.QCoreApplication.processEvents()
        QtCore.QCoreApplication.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete)

    def wait(self, condition, value=True, seconds: float = 30.0) -> None:
        """Let the event loop run until *condition()* is *value*."""
        end = time.monotonic() + seconds
        while condition() != value:
            if time.monotonic() > end:
                raise AssertionError(f"not so after {seconds} s; failures: {self.failures}")
            self.processEvents()
            time.sleep(0.005)

    def render(self) -> None:
        """Draw the views as they are now; before this they stay black."""
        views.rendering = True
        self.processEvents()
        self.native.layoutManager().render()

    def grab(self, path: Path, widget=None) -> Path:
        """Save a picture of a widget, or of the window."""
        self.processEvents()
        native = manners.unwrap(widget) if widget is not None else self.window
        if not native.grab().save(str(path)):
            raise OSError(f"{path} could not be written")
        return path


@contextlib.contextmanager
def application(folder: Path | None = None):
    """Start the application, in a folder of its own; at the end it closes and everything that it put in place goes."""
    before = {name: sys.modules.get(name) for name in MODULES}
    missing = object()
    attributes = {**mrml_widgets.CLASSES, **slicer_application.CLASSES, **scripted_module.CLASSES, **layouts.CLASSES}
    names = [*attributes, "app", "mrmlScene", "modules", "selfTests", *[n.partition(".")[2] for n in MODULES if "." in n]]
    kept = {name: vars(slicer).get(name, missing) for name in names}
    path, libraries = list(sys.path), set(sys.modules)
    sys.path[:0] = [str(ROOT / name) for name in ("AGUNETRSegment", "AGUNETRTrain") if str(ROOT / name) not in sys.path]
    sys.modules.update(MODULES)
    for name, module in MODULES.items():
        if "." in name:
            setattr(slicer, name.partition(".")[2], module)
    for name, cls in attributes.items():
        setattr(slicer, name, manners.classFor(cls))
    views.rendering, hook = False, sys.excepthook
    sys.excepthook = _record  # observers of VTK and Qt's own calls end here
    native = QtWidgets.QApplication.instance() or slicer_application.qSlicerApplication(["Slicer"])
    QtCore.qInstallMessageHandler(_quiet)
    for leftover in (manners.failures, dialogs.answers, dialogs.shown, dialogs.opened):
        leftover.clear()
    with tempfile.TemporaryDirectory(prefix="host-", dir=folder, ignore_cleanup_errors=True) as temporary:
        search = os.environ["PATH"]
        os.environ["PATH"] = f"{_bin(Path(temporary))}{os.pathsep}{search}"
        native.prepare(temporary)
        slicer.app = manners.wrap(native)
        running = Application(native, Path(temporary))
        try:
            yield running
            _close(native)
            if dialogs.answers:
                manners.failures.append(f"Nobody asked for these answers: {dialogs.answers}")
            if manners.failures:
                raise HostFailure("\n".join(manners.failures))
        finally:
            with contextlib.suppress(Exception):
                _close(native)
            native.release()
            os.environ["PATH"] = search
            sys.path[:], sys.excepthook = path, hook
            for name in set(sys.modules) - libraries:
                if name.partition(".")[0] in ("AGUNETRSegment", "AGUNETRTrain"):
                    del sys.modules[name]
            for name, value in kept.items():
                if value is missing:
                    vars(slicer).pop(name, None)
                else:
                    setattr(slicer, name, value)
            for name, value in before.items():
                sys.modules.pop(name)
                if value is not None:
                    sys.modules[name] = value


def _bin(folder: Path) -> Path:
    """A bin folder with PythonSlicer in it: here it is this Python."""
    program = folder / "bin" / "PythonSlicer"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    return program.parent


def _quiet(_kind, _context, message: str) -> None:
    if not message.startswith("This plugin does not support"):
        print(message, file=sys.stderr)


def _record(kind, value, trace) -> None:
    manners.failures.append("".join(traceback.format_exception(kind, value, trace)))
    print(manners.failures[-1], file=sys.stderr)


def _close(native) -> None:
    """What the application does when it closes: the shown module is left, then every module is unloaded."""
    native.window.moduleSelector().selectModule("")
    for name in native.moduleManager().modulesNames():
        native.moduleManager().moduleAboutToBeUnloaded.emit(name)
    native.processEvents()



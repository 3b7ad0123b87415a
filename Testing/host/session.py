"""One run of the application for a test: its modules in place of those that Slicer brings, and all gone at the end."""

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
MODULES = ("AGUNETRSegment", "AGUNETRTrain")


class HostFailure(AssertionError):
    """Something went wrong in the application where no caller could notice."""


def _module(name: str, source, names) -> types.ModuleType:
    made = types.ModuleType(name)
    vars(made).update({name: getattr(source, name) for name in names}, __all__=list(names))
    return made


PARAMETERS, SCRIPTED = "slicer.parameterNodeWrapper", "slicer.ScriptedLoadableModule"
OFFERED = {
    "qt": namespaces.QtModule("qt"),
    "ctk": namespaces.WidgetsModule("ctk", ctk_widgets.CLASSES),
    "slicer.i18n": types.ModuleType("slicer.i18n"),
    PARAMETERS: _module(PARAMETERS, parameter_node, (
        *(cls.__name__ for cls in parameter_node.OFFERED), "isParameterNodeWrapper", "isParameterPack",
        "parameterNodeWrapper", "parameterPack")),
    SCRIPTED: _module(SCRIPTED, scripted_module, [
        f"ScriptedLoadableModule{part}" for part in ("", "Logic", "Test", "Widget")]),
}
OFFERED["slicer.i18n"].tr, OFFERED["slicer.i18n"].translate = lambda text: text, lambda _context, text: text


class Application:
    """What a test has of the running application."""

    def __init__(self, native) -> None:
        self.native, self.window = native, native.window
        self.failures, self.dialogs, self.opened = manners.failures, dialogs.shown, dialogs.opened

    def openModule(self, name: str):
        """Load a module file where that was not done yet, and show the module; its Python widget is returned."""
        if not hasattr(slicer.modules, name.lower()):
            module = scripted_module.loadModule(ROOT / name / f"{name}.py")
            module.setParent(self.native.moduleManager())
            self.native.moduleManager().loaded.emit(name)
            self.native.completed.emit()
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
        if not (manners.unwrap(widget) if widget is not None else self.window).grab().save(str(path)):
            raise OSError(f"{path} could not be written")
        return path


@contextlib.contextmanager
def application(folder: Path | None = None):
    """Start the application, in a folder of its own; at the end it closes and everything that it put in place goes."""
    classes = {**mrml_widgets.CLASSES, **slicer_application.CLASSES, **scripted_module.CLASSES, **layouts.CLASSES}
    before = {name: sys.modules.get(name) for name in OFFERED}
    kept, path, libraries = dict(vars(slicer)), list(sys.path), set(sys.modules)
    hook, search = sys.excepthook, os.environ["PATH"]
    with tempfile.TemporaryDirectory(prefix="host-", dir=folder, ignore_cleanup_errors=True) as temporary:
        sys.path[:0] = [str(ROOT / name) for name in MODULES if str(ROOT / name) not in sys.path]
        sys.modules.update(OFFERED)
        for name, module in [(name.partition(".")[2], module) for name, module in OFFERED.items() if "." in name]:
            setattr(slicer, name, module)
        for name, cls in classes.items():
            setattr(slicer, name, manners.classFor(cls))
        views.rendering, sys.excepthook = False, _record  # the observers of VTK and what Qt calls end there
        os.environ["PATH"] = f"{_bin(Path(temporary))}{os.pathsep}{search}"
        for leftover in (manners.failures, dialogs.answers, dialogs.shown, dialogs.opened):
            leftover.clear()
        QtCore.qInstallMessageHandler(_quiet)
        native = QtWidgets.QApplication.instance() or slicer_application.qSlicerApplication(["Slicer"])
        native.prepare(temporary)
        slicer.app = manners.wrap(native)
        try:
            yield Application(native)
            _close(native)
            if dialogs.answers:
                manners.failures.append(f"Nobody asked for these answers: {dialogs.answers}")
            if manners.failures:
                raise HostFailure("\n".join(manners.failures))
        finally:
            with contextlib.suppress(Exception):
                _close(native)
            native.release()
            os.environ["PATH"], sys.path[:], sys.excepthook = search, path, hook
            for name in [name for name in set(sys.modules) - libraries if name.partition(".")[0] in MODULES]:
                del sys.modules[name]
            for name in set(vars(slicer)) - set(kept):
                delattr(slicer, name)
            vars(slicer).update(kept)
            for name, value in before.items():
                sys.modules.pop(name)
                if value is not None:
                    sys.modules[name] = value


def _close(native) -> None:
    """What the application does when it closes: the shown module is left, then every module is unloaded."""
    native.window.moduleSelector().selectModule("")
    for name in native.moduleManager().modulesNames():
        native.moduleManager().unloading.emit(name)
    native.processEvents()


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

"""``slicer.app``: the application object with its managers, and the main window with the module panel and the views."""

from __future__ import annotations

import sys
from pathlib import Path

import bare_slicer
import slicer
from PySide6 import QtCore, QtWidgets
from PySide6.QtCore import Property, Signal

from .manners import BoundSignal, wrap
from .views import qSlicerLayoutManager
from .widgets import gives, observations

# The logics of the core's modules that only a view or a playing sequence needs.
MORE_LOGICS = {"Markups": "vtkSlicerMarkupsLogic", "Sequences": "vtkSlicerSequencesLogic",
               "Models": "vtkSlicerModelsLogic", "Cameras": "vtkSlicerCamerasModuleLogic"}


class qSlicerModuleManager(QtCore.QObject):
    moduleAboutToBeUnloaded = Signal(str)
    hostSignals, hostMethods = ("moduleAboutToBeUnloaded(QString)",), ("module",)

    def module(self, name: str):
        return getattr(slicer.modules, name.lower(), None)


class qSlicerCoreIOManager(QtCore.QObject):
    hostMethods = ("loadNodes",)

    def loadNodes(self, kind: str, properties: dict, loaded, _messages=None) -> bool:
        path = properties["fileName"]
        name = properties.get("name") or Path(path).name.partition(".")[0]
        node = slicer.modules.volumes.logic().AddArchetypeVolume(path, name, 0) if kind == "VolumeFile" else None
        if node:
            loaded.AddItem(node)
        return node is not None


class qSlicerModuleSelectorToolBar(QtWidgets.QScrollArea):
    hostMethods = ("selectModule",)
    selected = ""

    def selectModule(self, name: str) -> None:
        """Leave the module that is shown and enter another; an empty name only leaves."""
        for chosen, call in ((self.selected, "exit"), (name, "enter")):
            module = getattr(slicer.modules, chosen.lower(), None)
            if module is not None:
                widget = module.widgetRepresentation().hostNative
                if self.widget() is not widget:
                    self.takeWidget()
                    self.setWidget(widget)
                    self.parentWidget().setWindowTitle(module.title)
                # the panel is never narrower than the module needs
                self.setMinimumWidth(max(460, widget.minimumSizeHint().width() + self.verticalScrollBar().width()))
                getattr(widget, call)()
        self.selected = name


class qSlicerMainWindow(QtWidgets.QMainWindow):
    hostMethods, moduleSelector = ("moduleSelector",), gives("_selector")

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("qSlicerMainWindow")
        self.setCentralWidget(QtWidgets.QWidget())
        dock, self._selector = QtWidgets.QDockWidget(self), qSlicerModuleSelectorToolBar(widgetResizable=True)
        dock.setWidget(self._selector)
        self.addDockWidget(QtCore.Qt.DockWidgetArea.LeftDockWidgetArea, dock)
        self.resize(1400, 900)


class qSlicerApplication(QtWidgets.QApplication):
    """The application object; one a process, prepared anew for each test."""

    startupCompleted = Signal()
    hostSignals = ("startupCompleted()",)
    hostMethods = ("applicationLogic", "coreIOManager", "layoutManager", "moduleManager", "processEvents",
                   "testingEnabled", "userSettings")

    def prepare(self, folder: str) -> None:
        """A new scene with the core's logics, and managers that know nothing yet."""
        ini = QtCore.QSettings.Format.IniFormat
        QtCore.QSettings.setDefaultFormat(ini)
        QtCore.QSettings.setPath(ini, QtCore.QSettings.Scope.UserScope, folder)
        self._settings, self._folder, self._scene = QtCore.QSettings(), folder, bare_slicer.newScene(MORE_LOGICS)
        self._manager, self._io, self.window = qSlicerModuleManager(), qSlicerCoreIOManager(), qSlicerMainWindow()
        self._logic = self._scene.keptAlive[0]
        self._layouts = qSlicerLayoutManager(self._scene, self._logic, self.window.centralWidget())

    def release(self) -> None:
        """Close what a test left: the window, the views and the scene."""
        self._layouts.release()
        self.window.close()
        self.window.deleteLater()
        BoundSignal(wrap(self), "startupCompleted()").disconnect()
        # Nobody follows the scene's objects into their end: neither the host, nor the logics, nor a module.
        while observations:
            caller, tag = observations.pop()
            caller.RemoveObserver(tag)
        for logic in self._scene.keptAlive:
            logic.SetMRMLScene(None)
        self._scene.RemoveAllObservers()
        self._scene.Clear(1)
        QtCore.QCoreApplication.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete)
        self.processEvents()

    applicationLogic, userSettings, moduleManager = gives("_logic"), gives("_settings"), gives("_manager")
    testingEnabled, _testing = gives("_testing"), False
    coreIOManager, layoutManager, temporaryPath = gives("_io"), gives("_layouts"), Property(str, gives("_folder"))
    slicerHome, revision, arch, os = (
        Property(str, lambda self, value=value: value) for value in (sys.prefix, "0", "amd64", sys.platform))

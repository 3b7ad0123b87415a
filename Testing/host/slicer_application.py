"""``slicer.app``: the application object with its managers, and the main window with the module panel and the views."""

from __future__ import annotations

import sys
import tempfile
import types
from pathlib import Path

import slicer
from PySide6 import QtCore, QtWidgets
from PySide6.QtCore import Property, Signal

from .ctk_widgets import stored
from .layouts import qSlicerLayoutManager
from .mrml_widgets import endObservations

# Module logics of the core, by the module's name; the application makes them when it loads the modules.
LOGICS = {
    "Volumes": "vtkSlicerVolumesLogic", "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic", "Tables": "vtkSlicerTablesLogic",
    "Markups": "vtkSlicerMarkupsLogic", "Sequences": "vtkSlicerSequencesLogic", "Models": "vtkSlicerModelsLogic",
    "Transforms": "vtkSlicerTransformLogic", "Texts": "vtkSlicerTextsLogic", "Cameras": "vtkSlicerCamerasModuleLogic",
}


class qSlicerModuleManager(QtCore.QObject):
    """The loaded modules."""

    loaded, unloading = Signal(str), Signal(str)
    hostSignals = {"moduleLoaded(QString)": "loaded", "moduleAboutToBeUnloaded(QString)": "unloading"}
    hostMethods = ("module", "modulesNames")

    def module(self, name: str):
        return getattr(slicer.modules, name.lower(), None)

    def modulesNames(self) -> list[str]:
        return [name.removesuffix("Instance") for name in vars(slicer.modules) if name.endswith("Instance")]


class qSlicerCoreIOManager(QtCore.QObject):
    """Reading and writing files, of the kinds that the core can."""

    hostMethods = ("fileType", "loadNodes", "fileWriterFileType", "saveNodes")

    def fileType(self, path: str) -> str:
        return "SegmentationFile" if path.endswith((".seg.nrrd", ".seg.nhdr")) else "VolumeFile"

    def fileWriterFileType(self, node) -> str:
        return node.GetClassName()

    def loadNodes(self, kind: str, properties: dict, loaded, _messages=None) -> bool:
        path, node = Path(str(properties["fileName"])), None
        if kind == "VolumeFile" and path.is_file():
            name = properties.get("name") or path.name.partition(".")[0]
            labelmap = int(properties.get("labelmap", False))
            node = slicer.modules.volumes.logic().AddArchetypeVolume(str(path), name, labelmap)
        elif kind == "SegmentationFile":
            node = slicer.modules.segmentations.logic().LoadSegmentationFromFile(str(path), True)
        if node:
            loaded.AddItem(node)
        return node is not None

    def saveNodes(self, _kind: str, properties: dict, _messages=None) -> bool:
        path, scene = Path(str(properties["fileName"])), slicer.mrmlScene
        if "nodeID" in properties:
            node = scene.GetNodeByID(properties["nodeID"])
            if not node.GetStorageNode():
                node.AddDefaultStorageNode()
            node.GetStorageNode().SetFileName(str(path))
            return bool(node.GetStorageNode().WriteData(node))
        scene.SetRootDirectory(str(path.parent))
        scene.SetURL(str(path))
        return bool(scene.WriteToMRB(str(path), None) if path.suffix == ".mrb" else scene.Commit(str(path)))


class qSlicerModuleSelectorToolBar(QtWidgets.QToolBar):
    """The list of modules above the views."""

    hostMethods = ("selectModule",)
    _selected = ""

    def selectModule(self, name: str) -> None:
        """Leave the module that is shown and enter another; an empty name only leaves."""
        for chosen, call in ((self._selected, "exit"), (name, "enter")):
            module = getattr(slicer.modules, chosen.lower(), None)
            if hasattr(module, "widgetRepresentation"):
                widget = module.widgetRepresentation().hostNative
                if call == "enter":
                    self.parent().showModule(widget, module.title)
                getattr(widget, call)()
        self._selected = name

    selectedModule = Property(str, lambda self: self._selected)


class qSlicerMainWindow(QtWidgets.QMainWindow):
    """The module panel on the left, the views on the right."""

    hostMethods = ("moduleSelector",)

    def __init__(self, layoutManager) -> None:
        super().__init__()
        self.setObjectName("qSlicerMainWindow")
        self._selector, self._scroll = qSlicerModuleSelectorToolBar(self), QtWidgets.QScrollArea()
        self._scroll.setWidgetResizable(True)
        self._scroll.setHorizontalScrollBarPolicy(QtCore.Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._title, viewport, panel = QtWidgets.QLabel(), QtWidgets.QWidget(), QtWidgets.QWidget()
        layoutManager.setViewport(viewport)
        column, splitter = QtWidgets.QVBoxLayout(panel), QtWidgets.QSplitter()
        column.addWidget(self._title)
        column.addWidget(self._scroll)
        splitter.addWidget(panel)
        splitter.addWidget(viewport)
        splitter.setSizes([460, 940])
        self.setCentralWidget(splitter)
        self.resize(1400, 900)

    def showModule(self, widget, title: str) -> None:
        if self._scroll.widget() is not widget:
            self._scroll.takeWidget()
            self._scroll.setWidget(widget)
        widget.show()
        # the panel is never narrower than the module needs
        self._scroll.setMinimumWidth(widget.minimumSizeHint().width() + self._scroll.verticalScrollBar().width())
        self._title.setText(title)

    def moduleSelector(self):
        return self._selector


class qSlicerApplication(QtWidgets.QApplication):
    """The application object; one a process, prepared anew for each test."""

    completed = Signal()
    hostSignals = {"startupCompleted()": "completed"}
    hostMethods = (
        "applicationLogic", "coreIOManager", "ioManager", "layoutManager", "moduleManager", "moduleLogic", "mrmlScene",
        "pauseRender", "processEvents", "resumeRender", "revisionUserSettings", "settings", "userSettings",
        "startupEnvironment", "testingEnabled", "translate", "moduleDocumentationUrl", "setRenderPaused",
    )

    def prepare(self, folder: str) -> None:
        """A new scene with the core's logics, and managers that know nothing yet."""
        ini = QtCore.QSettings.Format.IniFormat
        QtCore.QSettings.setDefaultFormat(ini)
        QtCore.QSettings.setPath(ini, QtCore.QSettings.Scope.UserScope, folder)
        self._scene, self._settings = slicer.vtkMRMLScene(), QtCore.QSettings(f"{folder}/settings.ini", ini)
        self._logic, self._manager = slicer.vtkSlicerApplicationLogic(), qSlicerModuleManager()
        self._io = qSlicerCoreIOManager()
        self._logic.SetMRMLScene(self._scene)
        self.temporaryPath = folder
        slicer.mrmlScene, slicer.selfTests, slicer.modules = self._scene, {}, types.SimpleNamespace()
        self._logics = {"Colors": self._logic.GetColorLogic()}
        self._logics.update({name: getattr(slicer, className)() for name, className in LOGICS.items()})
        for name, logic in self._logics.items():
            logic.SetMRMLApplicationLogic(self._logic)
            logic.SetMRMLScene(self._scene)
            self._logic.SetModuleLogic(name, logic)
            setattr(slicer.modules, name.lower(), types.SimpleNamespace(name=name, logic=lambda logic=logic: logic))
        self._logics["Colors"].AddDefaultColorNodes()
        self._layouts = qSlicerLayoutManager(self._scene, self._logic)
        self.window = qSlicerMainWindow(self._layouts)

    def release(self) -> None:
        """Close what a test left: the window, the views and the scene."""
        self._layouts.close()
        self.window.close()
        self.window.deleteLater()
        endObservations()
        # The logics let go of the scene first: they would follow its nodes into their end.
        for logic in (*self._logics.values(), self._logic):
            logic.SetMRMLScene(None)
        self._scene.Clear(1)
        QtCore.QCoreApplication.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete)
        self.processEvents()

    def applicationLogic(self):
        return self._logic

    def moduleLogic(self, name: str):
        return self._logics[name]

    def mrmlScene(self):
        return self._scene

    def moduleManager(self):
        return self._manager

    def coreIOManager(self):
        return self._io

    def layoutManager(self):
        return self._layouts

    def settings(self):
        return self._settings

    def startupEnvironment(self):
        return QtCore.QProcessEnvironment.systemEnvironment()

    def testingEnabled(self) -> bool:
        return False

    def setRenderPaused(self, paused: bool = True) -> None:
        """Nothing renders by itself here."""

    def moduleDocumentationUrl(self, _name: str) -> str:
        return ""

    ioManager, userSettings, revisionUserSettings = coreIOManager, settings, settings
    pauseRender = resumeRender = setRenderPaused
    temporaryPath = stored(str, "temporaryPath", tempfile.gettempdir())
    slicerHome = Property(str, lambda self: sys.prefix)
    majorVersion, minorVersion = Property(int, lambda self: 5), Property(int, lambda self: 13)
    revision, repositoryRevision = Property(str, lambda self: "0"), Property(str, lambda self: "0")
    mainApplicationName = Property(str, lambda self: "Slicer")
    os = Property(str, lambda self: {"darwin": "macosx", "win32": "win"}.get(sys.platform, "linux"))
    arch, platform = Property(str, lambda self: "amd64"), Property(str, lambda self: f"{sys.platform}-amd64")


CLASSES = {cls.__name__: cls for cls in (
    qSlicerApplication, qSlicerMainWindow, qSlicerModuleManager, qSlicerCoreIOManager)}

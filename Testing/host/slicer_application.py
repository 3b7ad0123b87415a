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
    "Transforms": "vtkSlicerTransformLogic",
    "Texts": "vtkSlicerTextsLogic", "Units": "vtkSlicerUnitsLogic", "Cameras": "vtkSlicerCamerasModuleLogic",
    "VolumeRendering": "vtkSlicerVolumeRenderingLogic", "CropVolume": "vtkSlicerCropVolumeLogic",
}


class qSlicerModuleManager(QtCore.QObject):
    """The loaded modules."""

    moduleLoaded = Signal(str)
    moduleAboutToBeUnloaded = Signal(str)
    hostSignals = {"moduleLoaded(QString)": "moduleLoaded", "moduleAboutToBeUnloaded(QString)": "moduleAboutToBeUnloaded"}
    hostMethods = ("module", "modulesNames")

    def module(self, name: str):
        return getattr(slicer.modules, name.lower(), None)

    def modulesNames(self) -> list[str]:
        return [name.removesuffix("Instance") for name in vars(slicer.modules) if name.endswith("Instance")]


class qSlicerCoreIOManager(QtCore.QObject):
    """Reading and writing files, of the kinds that the core can."""

    newFileLoaded = Signal(object)
    hostSignals = {"newFileLoaded(qSlicerIO::IOProperties)": "newFileLoaded"}
    hostMethods = ("fileType", "loadNodes", "fileWriterFileType", "saveNodes")

    def fileType(self, path: str) -> str:
        return "SegmentationFile" if path.endswith((".seg.nrrd", ".seg.nhdr")) else "VolumeFile"

    def fileWriterFileType(self, node) -> str:
        return node.GetClassName()

    def loadNodes(self, kind: str, properties: dict, loaded, _messages=None) -> bool:
        path, logics = str(properties["fileName"]), slicer.modules
        node = None
        if kind == "VolumeFile" and Path(path).is_file():
            name = properties.get("name") or Path(path).name.partition(".")[0]
            node = logics.volumes.logic().AddArchetypeVolume(path, name, int(properties.get("labelmap", False)))
        elif kind == "SegmentationFile":
            node = logics.segmentations.logic().LoadSegmentationFromFile(path, True)
        if node:
            loaded.AddItem(node)
        return node is not None

    def saveNodes(self, _kind: str, properties: dict, _messages=None) -> bool:
        path = Path(str(properties["fileName"]))
        scene = slicer.mrmlScene
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

    moduleSelected = Signal(str)
    hostSignals = {"moduleSelected(QString)": "moduleSelected"}
    hostMethods = ("selectModule",)

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self._selected = ""

    def selectModule(self, name: str) -> None:
        """Leave the module that is shown and enter another."""
        window = self.parent()
        for chosen, call in ((self._selected, "exit"), (name, "enter")):
            module = getattr(slicer.modules, chosen.lower(), None)
            if module is not None and hasattr(module, "widgetRepresentation"):
                widget = module.widgetRepresentation().hostNative
                if call == "enter":
                    window.showModule(widget, module.title)
                getattr(widget, call)()
        self._selected = name
        self.moduleSelected.emit(name)

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
        self._title = QtWidgets.QLabel()
        self._viewport = QtWidgets.QWidget()
        layoutManager.setViewport(self._viewport)
        panel = QtWidgets.QWidget()
        column = QtWidgets.QVBoxLayout(panel)
        column.addWidget(self._title)
        column.addWidget(self._scroll)
        splitter = QtWidgets.QSplitter()
        splitter.addWidget(panel)
        splitter.addWidget(self._viewport)
        splitter.setStretchFactor(1, 1)
        splitter.setSizes([460, 940])
        self.setCentralWidget(splitter)

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

    startupCompleted = Signal()
    mrmlSceneChanged = Signal(object)
    hostSignals = {"startupCompleted()": "startupCompleted", "mrmlSceneChanged(vtkMRMLScene*)": "mrmlSceneChanged"}
    hostMethods = (
        "applicationLogic", "coreIOManager", "ioManager", "layoutManager", "moduleManager", "moduleLogic", "mrmlScene",
        "pauseRender", "processEvents", "restart", "resumeRender", "revisionUserSettings", "settings", "userSettings",
        "startupEnvironment", "testingEnabled", "translate", "moduleDocumentationUrl", "setRenderPaused",
    )

    def prepare(self, folder: str) -> None:
        """A new scene with the core's logics, and managers that know nothing yet."""
        self._scene, self._settings = slicer.vtkMRMLScene(), QtCore.QSettings(
            f"{folder}/settings.ini", QtCore.QSettings.Format.IniFormat)
        QtCore.QSettings.setDefaultFormat(QtCore.QSettings.Format.IniFormat)
        QtCore.QSettings.setPath(QtCore.QSettings.Format.IniFormat, QtCore.QSettings.Scope.UserScope, folder)
        self._logic = slicer.vtkSlicerApplicationLogic()
        self._logic.SetMRMLScene(self._scene)
        self._manager, self._io = qSlicerModuleManager(), qSlicerCoreIOManager()
        self.temporaryPath = folder
        slicer.mrmlScene, slicer.selfTests, slicer.modules = self._scene, {}, types.SimpleNamespace()
        colours = self._logic.GetColorLogic()
        colours.SetMRMLScene(self._scene)
        colours.AddDefaultColorNodes()
        logics = {"Colors": colours}
        for name, className in LOGICS.items():
            if hasattr(slicer, className):
                logics[name] = getattr(slicer, className)()
                logics[name].SetMRMLApplicationLogic(self._logic)
                logics[name].SetMRMLScene(self._scene)
        for name, logic in logics.items():
            self._logic.SetModuleLogic(name, logic)
            setattr(slicer.modules, name.lower(), types.SimpleNamespace(name=name, logic=lambda logic=logic: logic))
        self._kept = [*logics.values(), self._logic]
        self._layouts = qSlicerLayoutManager(self._scene, self._logic)
        self.window = qSlicerMainWindow(self._layouts)
        self.window.resize(1400, 900)

    def release(self) -> None:
        """Close what a test left: the window, the views and the scene."""
        self._layouts.close()
        self.window.close()
        self.window.deleteLater()
        endObservations()
        # The logics let go of the scene first: they would follow its nodes into their end.
        for logic in self._kept:
            logic.SetMRMLScene(None)
        self._scene.Clear(1)
        QtCore.QCoreApplication.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete)
        self.processEvents()

    def applicationLogic(self):
        return self._logic

    def moduleLogic(self, name: str):
        return getattr(slicer.modules, name.lower()).logic()

    def mrmlScene(self):
        return self._scene

    def moduleManager(self):
        return self._manager

    def coreIOManager(self):
        return self._io

    ioManager = coreIOManager

    def layoutManager(self):
        return self._layouts

    def settings(self):
        return self._settings

    userSettings = revisionUserSettings = settings

    def startupEnvironment(self):
        return QtCore.QProcessEnvironment.systemEnvironment()

    def testingEnabled(self) -> bool:
        return False

    def pauseRender(self) -> None:
        self._layouts.setRenderPaused(True)

    def resumeRender(self) -> None:
        self._layouts.setRenderPaused(False)

    def setRenderPaused(self, paused: bool) -> None:
        self._layouts.setRenderPaused(paused)

    def restart(self) -> None:
        raise RuntimeError("the application would restart")

    def moduleDocumentationUrl(self, _name: str) -> str:
        return ""

    temporaryPath = stored(str, "temporaryPath", tempfile.gettempdir())
    slicerHome = Property(str, lambda self: sys.prefix)
    majorVersion = Property(int, lambda self: 5)
    minorVersion = Property(int, lambda self: 13)
    revision = Property(str, lambda self: "0")
    repositoryRevision = Property(str, lambda self: "0")
    mainApplicationName = Property(str, lambda self: "Slicer")
    os = Property(str, lambda self: {"linux": "linux", "darwin": "macosx", "win32": "win"}.get(sys.platform, "linux"))
    arch = Property(str, lambda self: "amd64")


CLASSES = {cls.__name__: cls for cls in (qSlicerApplication, qSlicerMainWindow, qSlicerModuleManager, qSlicerCoreIOManager)}

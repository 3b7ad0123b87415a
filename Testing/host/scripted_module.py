"""``slicer.ScriptedLoadableModule``: the base classes of a scripted module, and what loads and reloads it."""

from __future__ import annotations

import importlib.util
import sys
import unittest
from pathlib import Path

import slicer.util
from PySide6 import QtCore, QtWidgets
from PySide6.QtCore import Property

from .manners import wrap
from .widgets import gives, qMRMLWidget, stored


class qSlicerScriptedLoadableModule(QtCore.QObject):
    """A module as the application lists it: its file is run, and describes itself."""

    hostMethods = ("widgetRepresentation",)
    _widget = None

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.setObjectName(path.stem)
        self._path, specification = str(path), importlib.util.spec_from_file_location(path.stem, path)
        python = sys.modules[path.stem] = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(python)
        self._python = getattr(python, path.stem)(wrap(self))
        setattr(slicer.modules, path.stem.lower(), wrap(self))

    def widgetRepresentation(self):
        if self._widget is None:
            self._widget = qSlicerScriptedLoadableModuleWidget(self.objectName())
            self._widget.reload()
        return self._widget

    title, helpText, acknowledgementText = stored(str, ""), stored(str, ""), stored(str, "")
    categories, dependencies, contributors = (stored("QStringList", []) for _number in range(3))
    path = Property(str, gives("_path"))


class qSlicerScriptedLoadableModuleWidget(qMRMLWidget):
    """The place in the module panel where a module's Python widget puts its own."""

    hostMethods = ("enter", "exit", "reload", "self")

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name, self._python, self._entered = name, None, False
        QtWidgets.QVBoxLayout(self)
        self.setMRMLScene(slicer.mrmlScene)

    def reload(self) -> None:
        self._python = getattr(sys.modules[self._name], f"{self._name}Widget")(wrap(self))
        setattr(slicer.modules, f"{self._name}Widget", self._python)
        self._python.setup()  # the application does not enter it again, even where it is shown

    def enter(self) -> None:
        self._entered = True
        self._python.enter()

    def exit(self) -> None:
        self._entered = False
        self._python.exit()

    self, isEntered = gives("_python"), Property(bool, gives("_entered"))


class ScriptedLoadableModule:
    def __init__(self, parent) -> None:
        self.parent = parent


class ScriptedLoadableModuleWidget:
    def __init__(self, parent=None) -> None:
        super().__init__()
        self.moduleName, self.parent, self.layout = type(self).__name__.removesuffix("Widget"), parent, parent.layout()
        slicer.app.moduleManager().connect("moduleAboutToBeUnloaded(QString)", self._onModuleAboutToBeUnloaded)

    def resourcePath(self, name: str) -> str:
        return str(Path(slicer.util.modulePath(self.moduleName)).parent / "Resources" / name)

    def setup(self) -> None:
        """The application's own adds the developer's buttons here; the modules bring the other methods."""

    def _onModuleAboutToBeUnloaded(self, name: str) -> None:
        if name == self.moduleName:
            self.cleanup()
            slicer.app.moduleManager().disconnect("moduleAboutToBeUnloaded(QString)", self._onModuleAboutToBeUnloaded)

    def onReload(self) -> None:
        slicer.util.reloadScriptedModule(self.moduleName)


class ScriptedLoadableModuleLogic:
    def __init__(self, parent=None) -> None:
        super().__init__()
        self.moduleName = type(self).__name__.removesuffix("Logic")

    def getParameterNode(self):
        node = slicer.mrmlScene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
        if node is None:
            node = slicer.vtkMRMLScriptedModuleNode()
            node.SetSingletonTag(self.moduleName)
            node.SetName(slicer.mrmlScene.GenerateUniqueName(self.moduleName))
            node.SetAttribute("ModuleName", self.moduleName)
            node = slicer.mrmlScene.AddNode(node)
        return node


class ScriptedLoadableModuleTest(unittest.TestCase):
    def delayDisplay(self, message: str) -> None:
        slicer.util.delayDisplay(message, 0)

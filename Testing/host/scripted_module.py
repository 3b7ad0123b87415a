"""``slicer.ScriptedLoadableModule``: the base classes of a scripted module, and what loads and reloads it."""

from __future__ import annotations

import importlib.util
import sys
import unittest
from pathlib import Path

import slicer
import slicer.util
from PySide6 import QtCore, QtGui, QtWidgets
from PySide6.QtCore import Property

from .ctk_widgets import stored
from .manners import classFor, failures, wrap
from .mrml_widgets import qMRMLWidget


class qSlicerScriptedLoadableModule(QtCore.QObject):
    """A module as the application lists it."""

    hostMethods = ("widgetRepresentation",)

    def __init__(self, name: str, path: str) -> None:
        super().__init__()
        self._name, self._path, self._widget = name, path, None

    def widgetRepresentation(self):
        if self._widget is None:
            self._widget = qSlicerScriptedLoadableModuleWidget(self)
            self._widget.reload()
        return self._widget

    title, helpText, acknowledgementText = (
        stored(str, name, "") for name in ("title", "helpText", "acknowledgementText"))
    categories, dependencies, contributors, associatedNodeTypes = (
        stored("QStringList", name, [])
        for name in ("categories", "dependencies", "contributors", "associatedNodeTypes"))
    icon, hidden, index = stored(QtGui.QIcon, "icon", None), stored(bool, "hidden", False), stored(int, "index", 0)
    name, path = Property(str, lambda self: self._name), Property(str, lambda self: self._path)


class qSlicerScriptedLoadableModuleWidget(qMRMLWidget):
    """The place in the module panel where a module's Python widget puts its own."""

    hostMethods = ("setMRMLScene", "reload", "self", "enter", "exit", "module")

    def __init__(self, module=None) -> None:
        super().__init__()
        self._module, self._python, self._entered = module, None, False
        QtWidgets.QVBoxLayout(self)
        self.setMRMLScene(slicer.mrmlScene)

    def reload(self) -> None:
        name = self._module.property("name")
        self._python = getattr(sys.modules[name], f"{name}Widget")(wrap(self))
        setattr(slicer.modules, f"{name}Widget", self._python)
        self._python.setup()
        if self._entered:
            self._python.enter()

    def self(self):
        return self._python

    def module(self):
        return self._module

    def enter(self) -> None:
        self._entered = True
        getattr(self._python, "enter", lambda: None)()

    def exit(self) -> None:
        self._entered = False
        getattr(self._python, "exit", lambda: None)()

    isEntered = Property(bool, lambda self: self._entered)
    moduleName = Property(str, lambda self: self._module.property("name"))


class ScriptedLoadableModule:
    """A module's description."""

    def __init__(self, parent) -> None:
        self.parent, self.moduleName = parent, type(self).__name__
        icons = [Path(self.resourcePath(f"Icons/{self.moduleName}{ending}")) for ending in (".svg", ".png")]
        for icon in [icon for icon in icons if icon.is_file()][:1]:
            parent.icon = classFor(QtGui.QIcon)(str(icon))
        slicer.selfTests[self.moduleName] = self.runTest

    def resourcePath(self, name: str) -> str:
        return str(Path(self.parent.path).parent / "Resources" / name)

    def getDefaultModuleDocumentationLink(self, docPage=None) -> str:
        return ""

    def runTest(self, msec: int = 100, **options) -> None:
        getattr(sys.modules[self.__module__], f"{self.moduleName}Test")().runTest(**options)


class ScriptedLoadableModuleWidget:
    """A module's panel."""

    def __init__(self, parent=None) -> None:
        super().__init__()
        self.moduleName, self.developerMode = type(self).__name__.removesuffix("Widget"), False
        self.parent, self.layout = parent, parent.layout()
        slicer.app.moduleManager().connect("moduleAboutToBeUnloaded(QString)", self._onModuleAboutToBeUnloaded)

    def resourcePath(self, name: str) -> str:
        return str(Path(slicer.util.modulePath(self.moduleName)).parent / "Resources" / name)

    def setup(self) -> None:
        """The application's own adds the developer's buttons here."""

    def cleanup(self) -> None:
        """For the module's own."""

    def _onModuleAboutToBeUnloaded(self, name: str) -> None:
        if name == self.moduleName:
            self.cleanup()
            slicer.app.moduleManager().disconnect("moduleAboutToBeUnloaded(QString)", self._onModuleAboutToBeUnloaded)

    def onReload(self) -> None:
        slicer.util.reloadScriptedModule(self.moduleName)


class ScriptedLoadableModuleLogic:
    """A module's logic, with one parameter node in the scene."""

    def __init__(self, parent=None) -> None:
        super().__init__()
        self.moduleName, self.isSingletonParameterNode = type(self).__name__.removesuffix("Logic"), True

    def getParameterNode(self):
        node = slicer.mrmlScene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
        if node is None:
            node = slicer.vtkMRMLScriptedModuleNode()
            node.SetSingletonTag(self.moduleName)
            node.SetName(slicer.mrmlScene.GenerateUniqueName(self.moduleName))
            node = slicer.mrmlScene.AddNode(node)
        if node.GetAttribute("ModuleName") != self.moduleName:
            node.SetAttribute("ModuleName", self.moduleName)
        return node


class ScriptedLoadableModuleTest(unittest.TestCase):
    """A module's self test, run inside the application."""

    def delayDisplay(self, message: str, requestedDelay=None, msec=None) -> None:
        slicer.util.delayDisplay(message, 0)

    def runTest(self) -> None:
        for name in [name for name in dir(self) if name.startswith("test")]:
            self.setUp()
            getattr(self, name)()
            self.tearDown()


CLASSES = {cls.__name__: cls for cls in (qSlicerScriptedLoadableModule, qSlicerScriptedLoadableModuleWidget)}


def loadModule(path: Path) -> qSlicerScriptedLoadableModule:
    """Load a module file and let it describe itself."""
    name = path.stem
    specification = importlib.util.spec_from_file_location(name, path)
    sys.modules[name] = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(sys.modules[name])
    module = qSlicerScriptedLoadableModule(name, str(path))
    module.python = getattr(sys.modules[name], name)(wrap(module))
    if not module.property("title"):
        failures.append(f"{name} has no title")
    setattr(slicer.modules, name.lower(), wrap(module))
    setattr(slicer.modules, f"{name}Instance", module.python)
    return module

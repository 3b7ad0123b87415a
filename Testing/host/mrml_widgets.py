"""The qMRML widgets that the modules use: they show the scene's nodes and follow it."""

from __future__ import annotations

import weakref

import shiboken6
import vtk
from PySide6 import QtWidgets
from PySide6.QtCore import Property, Signal

from .ctk_widgets import row, stored
from .ui_loader import widgetClasses

observations: list[tuple] = []


def observe(caller, event: int, widget, method: str) -> int:
    """Let *widget* follow a VTK object without keeping it alive; a widget that Qt deleted is left alone."""
    reference = weakref.ref(widget)

    def called(_caller, _event, data=None) -> None:
        found = reference()
        if found is not None and shiboken6.isValid(found):
            getattr(found, method)(data)

    called.CallDataType = vtk.VTK_OBJECT
    observations.append((caller, caller.AddObserver(event, called)))
    return observations[-1][1]


def endObservations() -> None:
    """The application closes: no VTK object calls a widget any more, not even at its own end."""
    for caller, tag in observations:
        caller.RemoveObserver(tag)
    observations.clear()


class qMRMLWidget(QtWidgets.QWidget):
    """A module's panel: it is told the scene."""

    sceneChanged = Signal(object)
    hostSignals = {"mrmlSceneChanged(vtkMRMLScene*)": "sceneChanged"}
    hostMethods = ("setMRMLScene", "mrmlScene")
    _scene = None

    def mrmlScene(self):
        return self._scene

    def setMRMLScene(self, scene) -> None:
        if scene is not self._scene:
            self._scene = scene
            self.followScene()
            self.sceneChanged.emit(scene)

    def followScene(self) -> None:
        """For those that show something of the scene."""


class qMRMLNodeComboBox(qMRMLWidget):
    """The nodes of some classes, by name, with one chosen."""

    nodeChanged, nodeIdChanged, activated = Signal(object), Signal(str), Signal(object)
    hostSignals = {"currentNodeChanged(vtkMRMLNode*)": "nodeChanged", "currentNodeIDChanged(QString)": "nodeIdChanged",
                   "nodeActivated(vtkMRMLNode*)": "activated"}
    hostMethods = ("setCurrentNode", "setCurrentNodeID", "setMRMLScene", "addAttribute", "currentNode", "mrmlScene",
                   "nodeCount", "removeAttribute")

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self._combo, self._current, self._attributes, self._followed = QtWidgets.QComboBox(self), None, [], []
        row(self, self._combo)
        self._combo.setEnabled(False)
        self._combo.activated.connect(self._choose)

    def followScene(self) -> None:
        if self._scene:
            for event in (self._scene.NodeAddedEvent, self._scene.NodeRemovedEvent, self._scene.EndBatchProcessEvent):
                observe(self._scene, event, self, "update_")
        self._combo.setEnabled(self._scene is not None)
        self.update_()

    def nodes(self) -> list:
        """The nodes that may be chosen, in the scene's order."""
        found = [self._scene.GetNthNode(index) for index in range(self._scene.GetNumberOfNodes() if self._scene else 0)]
        return [node for node in found
                if any(node.GetClassName() == kind or (self.showChildNodeTypes and node.IsA(kind))
                       for kind in self.nodeTypes)
                and not any(node.IsA(kind) for kind in self.hideChildNodeTypes)
                and (self.showHidden or not node.GetHideFromEditors())
                and all(node.GetAttribute(name) is not None and value in (None, node.GetAttribute(name))
                        for kind, name, value in self._attributes if node.IsA(kind))]

    def update_(self, _data=None) -> None:
        """Show the nodes that there are now; a chosen one that went gives way to the first, or to none."""
        if self._scene and self._scene.IsBatchProcessing():
            return
        nodes = self.nodes()
        for node in nodes:
            if node not in self._followed:
                self._followed.append(node)
                observe(node, vtk.vtkCommand.ModifiedEvent, self, "_rename")
        self._combo.clear()
        for name, nodeId in [("None", "")] * self.noneEnabled + [(node.GetName(), node.GetID()) for node in nodes]:
            self._combo.addItem(name, nodeId)
        if self._current not in nodes:
            self._take(None if self.noneEnabled or not nodes else nodes[0])
        self._combo.setCurrentIndex(self._combo.findData(self._current.GetID() if self._current else ""))

    def _rename(self, _data) -> None:
        shown = [self._combo.itemText(index) for index in range(self._combo.count()) if self._combo.itemData(index)]
        if shown != [node.GetName() for node in self.nodes()]:
            self.update_()

    def _take(self, node) -> None:
        changed, self._current = node is not self._current, node
        self._combo.setCurrentIndex(self._combo.findData(node.GetID() if node else ""))
        if changed:
            self.nodeChanged.emit(node)
            self.nodeIdChanged.emit(node.GetID() if node else "")

    def _choose(self, index: int) -> None:
        self._take(self._scene.GetNodeByID(self._combo.itemData(index)) if self._combo.itemData(index) else None)
        self.activated.emit(self._current)

    def currentNode(self):
        return self._current

    def setCurrentNode(self, node) -> None:
        if isinstance(node, str):
            node = self._scene.GetNodeByID(node) if self._scene else None
        self._take(node if node in self.nodes() else None)

    setCurrentNodeID = setCurrentNode

    def nodeCount(self) -> int:
        return len(self.nodes())

    def addAttribute(self, kind: str, name: str, value=None) -> None:
        self._attributes.append((kind, name, value))
        self.update_()

    def removeAttribute(self, kind: str, name: str) -> None:
        self._attributes = [entry for entry in self._attributes if entry[:2] != (kind, name)]
        self.update_()

    nodeTypes = stored("QStringList", "nodeTypes", [], "update_")
    hideChildNodeTypes = stored("QStringList", "hideChildNodeTypes", [], "update_")
    showChildNodeTypes, showHidden, noneEnabled = (
        stored(bool, name, default, "update_")
        for name, default in (("showChildNodeTypes", True), ("showHidden", False), ("noneEnabled", False)))
    # Offered as entries of the list, which the modules here switch off.
    addEnabled, removeEnabled, renameEnabled, editEnabled = (
        stored(bool, name, False) for name in ("addEnabled", "removeEnabled", "renameEnabled", "editEnabled"))
    baseName, noneDisplay = stored(str, "baseName", ""), stored(str, "noneDisplay", "None")
    selectNodeUponCreation = stored(bool, "selectNodeUponCreation", True)
    currentNodeID = Property(str, lambda self: self._current.GetID() if self._current else "", setCurrentNode)


CLASSES = {name: value for name, value in list(globals().items()) if name.startswith("qMRML")}
widgetClasses.update(CLASSES)

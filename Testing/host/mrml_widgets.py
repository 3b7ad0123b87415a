"""The qMRML widgets that the modules use: they show the scene's nodes and follow it."""

from __future__ import annotations

import weakref

import shiboken6
import vtk
from PySide6 import QtGui, QtWidgets
from PySide6.QtCore import Property, Signal

from .ctk_widgets import ctkDoubleSpinBox, ctkSliderWidget, stored
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


class SceneWidget(QtWidgets.QWidget):
    """What the scene's widgets share: they are told the scene."""

    sceneChanged = Signal(object)
    _scene = None

    def mrmlScene(self):
        return self._scene

    def setMRMLScene(self, scene) -> None:
        if scene is not self._scene:
            self._scene = scene
            self.followScene()
            self.sceneChanged.emit(scene)

    def followScene(self) -> None:
        pass


class qMRMLWidget(SceneWidget):
    """A module's panel."""

    hostSignals = {"mrmlSceneChanged(vtkMRMLScene*)": "sceneChanged"}
    hostMethods = ("setMRMLScene", "mrmlScene", "pixmapFromIcon")


class qMRMLNodeComboBox(SceneWidget):
    """The nodes of some classes, by name, with one chosen."""

    nodeChanged = Signal(object)
    nodeIdChanged = Signal(str)
    added = Signal(object)
    activated = Signal(object)
    hostSignals = {
        "currentNodeChanged(vtkMRMLNode*)": "nodeChanged", "currentNodeIDChanged(QString)": "nodeIdChanged",
        "nodeAddedByUser(vtkMRMLNode*)": "added", "nodeActivated(vtkMRMLNode*)": "activated",
    }
    hostMethods = (
        "addNode", "editCurrentNode", "removeCurrentNode", "renameCurrentNode", "setCurrentNode", "setCurrentNodeID",
        "setCurrentNodeIndex", "setMRMLScene", "addAttribute", "currentNode", "mrmlScene", "nodeCount", "nodeFromIndex",
        "removeAttribute", "nodeTypeLabel", "setNodeTypeLabel",
    )

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self._combo, self._current, self._attributes, self._tags = QtWidgets.QComboBox(self), None, [], {}
        QtWidgets.QHBoxLayout(self).addWidget(self._combo)
        self.layout().setContentsMargins(0, 0, 0, 0)
        self.setFocusProxy(self._combo)
        self._combo.setSizePolicy(QtWidgets.QSizePolicy.Policy.Expanding, QtWidgets.QSizePolicy.Policy.Fixed)
        self._combo.setEnabled(False)
        self._combo.activated.connect(self._choose)

    def followScene(self) -> None:
        for scene, tags in self._tags.items():
            for tag in tags:
                scene.RemoveObserver(tag)
        self._tags = {}
        if self._scene:
            events = (self._scene.NodeAddedEvent, self._scene.NodeRemovedEvent, self._scene.EndBatchProcessEvent)
            self._tags[self._scene] = [observe(self._scene, event, self, "update_") for event in events]
        self._combo.setEnabled(self._scene is not None)
        self.update_()

    def nodes(self) -> list:
        """The nodes that may be chosen, in the scene's order."""
        found = []
        for index in range(self._scene.GetNumberOfNodes() if self._scene else 0):
            node = self._scene.GetNthNode(index)
            exact = not self.showChildNodeTypes
            fits = any(node.GetClassName() == kind if exact else node.IsA(kind) for kind in self.nodeTypes)
            fits = fits and not any(node.IsA(kind) for kind in self.hideChildNodeTypes)
            fits = fits and (self.showHidden or not node.GetHideFromEditors())
            fits = fits and all(node.GetAttribute(name) is not None and value in (None, node.GetAttribute(name))
                                for kind, name, value in self._attributes if node.IsA(kind))
            if fits:
                found.append(node)
        return found

    def update_(self, _data=None) -> None:
        """Show the nodes that there are now."""
        if self._scene and self._scene.IsBatchProcessing():
            return
        nodes = self.nodes()
        for node in nodes:
            if node not in self._tags:
                self._tags[node] = [observe(node, vtk.vtkCommand.ModifiedEvent, self, "_rename")]
        self._fill(nodes)
        if self._current not in nodes:
            self._take(None if self.noneEnabled or not nodes else nodes[0])

    def _fill(self, nodes: list) -> None:
        self._combo.clear()
        if self.noneEnabled:
            self._combo.addItem(self.noneDisplay, "")
        for node in nodes:
            self._combo.addItem(node.GetName(), node.GetID())
        for text, enabled in (("Create new node", self.addEnabled), ("Rename current node", self.renameEnabled),
                              ("Delete current node", self.removeEnabled)):
            if enabled:
                self._combo.addItem(text, None)
        self._combo.setCurrentIndex(self._combo.findData(self._current.GetID() if self._current in nodes else ""))

    def _rename(self, _data) -> None:
        if self._scene and [self._combo.itemText(row) for row in range(self._combo.count())
                            if self._combo.itemData(row)] != [node.GetName() for node in self.nodes()]:
            self.update_()

    def _take(self, node) -> None:
        changed, self._current = node is not self._current, node
        self._combo.setCurrentIndex(self._combo.findData(node.GetID() if node else ""))
        if changed:
            self.nodeChanged.emit(node)
            self.nodeIdChanged.emit(node.GetID() if node else "")

    def _choose(self, row: int) -> None:
        if self._combo.itemData(row) is None:
            self._combo.setCurrentIndex(self._combo.findData(self._current.GetID() if self._current else ""))
        else:
            self._take(self._scene.GetNodeByID(self._combo.itemData(row)) if self._combo.itemData(row) else None)
            self.activated.emit(self._current)

    def currentNode(self):
        return self._current

    def setCurrentNode(self, node) -> None:
        if isinstance(node, str):
            node = self._scene.GetNodeByID(node) if self._scene else None
        self._take(node if node in self.nodes() else None)

    setCurrentNodeID = setCurrentNode

    def setCurrentNodeIndex(self, index: int) -> None:
        self._take(self.nodeFromIndex(index))

    def nodeFromIndex(self, index: int):
        nodes = self.nodes()
        return nodes[index] if 0 <= index < len(nodes) else None

    def nodeCount(self) -> int:
        return len(self.nodes())

    def addAttribute(self, kind: str, name: str, value=None) -> None:
        self._attributes.append((kind, name, value))
        self.update_()

    def removeAttribute(self, kind: str, name: str) -> None:
        self._attributes = [entry for entry in self._attributes if entry[:2] != (kind, name)]
        self.update_()

    def addNode(self, kind: str = ""):
        node = self._scene.AddNewNodeByClass(kind or self.nodeTypes[0], self.baseName)
        if self.selectNodeUponCreation:
            self._take(node)
        self.added.emit(node)
        return node

    def removeCurrentNode(self) -> None:
        if self._current:
            self._scene.RemoveNode(self._current)

    nodeTypes = stored("QStringList", "nodeTypes", [], "update_")
    hideChildNodeTypes = stored("QStringList", "hideChildNodeTypes", [], "update_")
    showChildNodeTypes = stored(bool, "showChildNodeTypes", True, "update_")
    showHidden = stored(bool, "showHidden", False, "update_")
    noneEnabled = stored(bool, "noneEnabled", False, "update_")
    noneDisplay = stored(str, "noneDisplay", "None", "update_")
    addEnabled = stored(bool, "addEnabled", True, "update_")
    removeEnabled = stored(bool, "removeEnabled", True, "update_")
    renameEnabled = stored(bool, "renameEnabled", False, "update_")
    editEnabled = stored(bool, "editEnabled", False)
    baseName = stored(str, "baseName", "")
    selectNodeUponCreation = stored(bool, "selectNodeUponCreation", True)
    interactionNodeSingletonTag = stored(str, "interactionNodeSingletonTag", "")
    currentNodeID = Property(str, lambda self: self._current.GetID() if self._current else "", setCurrentNode)
    currentNodeId = currentNodeID


class qMRMLColorTableComboBox(qMRMLNodeComboBox):
    """The colour tables."""

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self.nodeTypes = ["vtkMRMLColorNode"]
        self.addEnabled = self.removeEnabled = False
        self.showHidden = True


class qMRMLTableView(QtWidgets.QTableView):
    """A table node's cells."""

    sceneChanged = Signal(object)
    selectedChanged = Signal()
    hostSignals = {"mrmlSceneChanged(vtkMRMLScene*)": "sceneChanged", "selectionChanged()": "selectedChanged"}
    hostMethods = ("setMRMLScene", "setMRMLTableNode", "mrmlScene", "mrmlTableNode", "copySelection", "tableModel",
                   "setFirstRowLocked", "setFirstColumnLocked", "setTransposed")

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self._scene = self._table = self._tag = None
        self.setModel(QtGui.QStandardItemModel(self))
        self.selectionModel().selectionChanged.connect(lambda *_: self.selectedChanged.emit())

    def mrmlScene(self):
        return self._scene

    def setMRMLScene(self, scene) -> None:
        self._scene = scene
        self.sceneChanged.emit(scene)

    def mrmlTableNode(self):
        return self._table

    def tableModel(self):
        return self.model()

    def setMRMLTableNode(self, node) -> None:
        if self._table and self._tag:
            self._table.RemoveObserver(self._tag)
        self._table = node
        self._tag = observe(node, vtk.vtkCommand.ModifiedEvent, self, "fill") if node else None
        self.fill()

    def fill(self, _data=None) -> None:
        """Show what the table node holds now."""
        model, table = self.model(), self._table.GetTable() if self._table else vtk.vtkTable()
        model.clear()
        columns = range(table.GetNumberOfColumns())
        model.setHorizontalHeaderLabels([table.GetColumnName(column) or "" for column in columns])
        for row in range(table.GetNumberOfRows()):
            model.appendRow([QtGui.QStandardItem(table.GetValue(row, column).ToString()) for column in columns])

    def copySelection(self) -> None:
        rows: dict[int, list[str]] = {}
        for index in sorted(self.selectionModel().selectedIndexes(), key=lambda index: (index.row(), index.column())):
            rows.setdefault(index.row(), []).append(str(index.data()))
        QtGui.QGuiApplication.clipboard().setText("\n".join("\t".join(row) for row in rows.values()))

    def setFirstRowLocked(self, value: bool) -> None:
        self.firstRowLocked = value

    def setFirstColumnLocked(self, value: bool) -> None:
        self.firstColumnLocked = value

    def setTransposed(self, value: bool) -> None:
        self.transposed = value

    firstRowLocked = stored(bool, "firstRowLocked", False)
    firstColumnLocked = stored(bool, "firstColumnLocked", False)
    transposed = stored(bool, "transposed", False)


class qMRMLSliderWidget(ctkSliderWidget):
    """ctkSliderWidget that may take its unit from the scene."""

    hostMethods = (*ctkSliderWidget.hostMethods, "setMRMLScene", "mrmlScene")

    def setMRMLScene(self, scene) -> None:
        self._scene = scene

    def mrmlScene(self):
        return self._scene

    quantity = stored(str, "quantity", "")


class qMRMLSpinBox(ctkDoubleSpinBox):
    """ctkDoubleSpinBox that may take its unit from the scene."""

    hostMethods = (*ctkDoubleSpinBox.hostMethods, "setMRMLScene", "mrmlScene")

    def setMRMLScene(self, scene) -> None:
        self._scene = scene

    def mrmlScene(self):
        return self._scene

    quantity = stored(str, "quantity", "")


CLASSES = {name: value for name, value in list(globals().items()) if name.startswith("qMRML")}
widgetClasses.update(CLASSES)

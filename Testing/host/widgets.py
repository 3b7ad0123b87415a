"""The CTK and qMRML widgets that the modules use, with the properties, signals and slots of the application's."""

from __future__ import annotations

import operator
import weakref

import shiboken6
import vtk
from PySide6 import QtCore, QtWidgets
from PySide6.QtCore import Property, Signal

from .dialogs import ctkMessageBox

observations: list[tuple] = []


def observe(caller, event: int, widget, method: str) -> None:
    """Let *widget* follow a VTK object without keeping it alive; a widget that Qt deleted is left alone."""
    reference = weakref.ref(widget)

    def called(_caller, _event, data=None) -> None:
        found = reference()
        if found is not None and shiboken6.isValid(found):
            getattr(found, method)(data)

    called.CallDataType = vtk.VTK_OBJECT
    observations.append((caller, caller.AddObserver(event, called)))


def stored(kind, default, after: str = ""):
    """A property that is only remembered; *after* names a method to call when it was written."""

    def write(self, value) -> None:
        vars(self).setdefault("hostStored", {})[write] = value
        if after:
            operator.attrgetter(after)(self)()

    return Property(kind, lambda self: vars(self).get("hostStored", {}).get(write, default), write)


def passedOn(kind, part: str, name: str, setter: str):
    """A property that is one of a part of the widget."""
    return Property(kind, lambda self: getattr(getattr(self, part), name)(),
                    lambda self, value: getattr(getattr(self, part), setter)(value))


def gives(name: str):
    """A method that returns what lies at this attribute of the object."""
    return lambda self: getattr(self, name)


def row(widget, *parts) -> None:
    """Put the parts of a widget side by side, without margins; the first takes the focus and the room."""
    layout = QtWidgets.QHBoxLayout(widget)
    layout.setContentsMargins(0, 0, 0, 0)
    for part in parts:
        layout.addWidget(part)
    layout.setStretch(0, 1)
    widget.setFocusProxy(parts[0])


class ctkCollapsibleButton(QtWidgets.QAbstractButton):
    """A titled section whose contents are hidden while it is collapsed."""

    contentsCollapsed = Signal(bool)
    hostSignals = ("contentsCollapsed(bool)",)
    HEIGHT = 24

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self.setCheckable(True)
        self.setChecked(True)
        self.setContentsMargins(0, self.HEIGHT, 0, 0)
        self.setFocusPolicy(QtCore.Qt.FocusPolicy.StrongFocus)
        self.toggled.connect(self._showContents)

    def _showContents(self, shown: bool) -> None:
        for child in self.findChildren(QtWidgets.QWidget, options=QtCore.Qt.FindChildOption.FindDirectChildrenOnly):
            if not shown:  # what the module hides itself stays hidden when the section opens
                child.setProperty("hostHidden", child.isHidden())
            child.setVisible(shown and not child.property("hostHidden"))
        self.setMaximumHeight(2**24 - 1 if shown else self.HEIGHT)
        self.contentsCollapsed.emit(not shown)

    def childEvent(self, event) -> None:
        polished = event.type() == QtCore.QEvent.Type.ChildPolished
        if polished and not self.isChecked() and isinstance(event.child(), QtWidgets.QWidget):
            event.child().setVisible(False)

    def hitButton(self, position) -> bool:
        return position.y() < self.HEIGHT

    def paintEvent(self, _event) -> None:
        option = QtWidgets.QStyleOptionButton()
        option.initFrom(self)
        option.rect.setHeight(self.HEIGHT)
        option.text = ("\u25be " if self.isChecked() else "\u25b8 ") + self.text()
        QtWidgets.QStylePainter(self).drawControl(QtWidgets.QStyle.ControlElement.CE_PushButton, option)

    collapsed = Property(bool, lambda self: not self.isChecked(), lambda self, value: self.setChecked(not value))


class ctkPathLineEdit(QtWidgets.QWidget):
    currentPathChanged, validInputChanged = Signal(str), Signal(bool)
    hostSignals = ("currentPathChanged(QString)", "validInputChanged(bool)")
    hostMethods = ("addCurrentPathToHistory",)

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self._combo = QtWidgets.QComboBox(self)
        self._combo.setEditable(True)
        row(self, self._combo)
        self._wasValid = False
        self._combo.editTextChanged.connect(self._tell)

    def _tell(self, path: str) -> None:
        if path:  # an empty path is no valid input
            self.currentPathChanged.emit(path)
        if bool(path) != self._wasValid:
            self._wasValid = bool(path)
            self.validInputChanged.emit(self._wasValid)

    def addCurrentPathToHistory(self) -> None:
        self._combo.insertItem(0, self.currentPath)

    currentPath = passedOn(str, "_combo", "currentText", "setEditText")
    filters, nameFilters = stored(int, 1), stored("QStringList", [])
    settingKey, showHistoryButton = stored(str, ""), stored(bool, True)


class ctkSliderWidget(QtWidgets.QWidget):
    valueChanged = Signal(float)
    hostSignals = ("valueChanged(double)",)
    STEPS = 1000

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self._spin, self._slider = QtWidgets.QDoubleSpinBox(self), QtWidgets.QSlider(QtCore.Qt.Orientation.Horizontal)
        self._slider.setRange(0, self.STEPS)
        row(self, self._slider, self._spin)
        self._slider.sliderMoved.connect(
            lambda place: self._spin.setValue(self.minimum + place / self.STEPS * (self.maximum - self.minimum)))
        self._spin.valueChanged.connect(self._follow)

    def _follow(self, value: float) -> None:
        if not self._slider.isSliderDown() and self.maximum > self.minimum:
            self._slider.setValue(round((value - self.minimum) / (self.maximum - self.minimum) * self.STEPS))
        self.valueChanged.emit(value)

    value, minimum, maximum = (
        passedOn(float, "_spin", name, f"set{name.title()}") for name in ("value", "minimum", "maximum"))
    singleStep, pageStep = stored(float, 1.0), stored(float, 1.0)


class qMRMLWidget(QtWidgets.QWidget):
    mrmlSceneChanged = Signal(object)
    hostSignals, hostMethods = ("mrmlSceneChanged(vtkMRMLScene*)",), ("setMRMLScene", "mrmlScene")
    scene, mrmlScene = None, gives("scene")

    def setMRMLScene(self, scene) -> None:
        if scene is not self.scene:
            self.scene = scene
            self.mrmlSceneChanged.emit(scene)


class qMRMLSortFilterProxyModel(QtCore.QObject):
    changed = Signal()
    hiddenNodeIDs = stored("QStringList", [], after="changed.emit")


class qMRMLNodeComboBox(qMRMLWidget):
    """The nodes of some classes, by name, with one chosen."""

    currentNodeChanged = Signal(object)
    hostSignals = ("currentNodeChanged(vtkMRMLNode*)",)
    hostMethods = ("addAttribute", "currentNode", "nodeCount", "setCurrentNode", "sortFilterProxyModel")

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self._combo, self._proxy = QtWidgets.QComboBox(self), qMRMLSortFilterProxyModel(self)
        self._current, self._entries, self._attributes, self._followed = None, [], {}, []
        row(self, self._combo)
        self._combo.setEnabled(False)
        self._combo.activated.connect(
            lambda index: self.setCurrentNode(self.scene.GetNodeByID(self._combo.itemData(index))))
        self._proxy.changed.connect(self._update)
        self.mrmlSceneChanged.connect(self._followScene)

    def _followScene(self, scene) -> None:
        for event in (scene.NodeAddedEvent, scene.NodeRemovedEvent, scene.EndBatchProcessEvent) if scene else ():
            observe(scene, event, self, "_update")
        self._combo.setEnabled(scene is not None)
        self._update()

    def _nodes(self) -> list:
        return [node for node in (self.scene.GetNodes() if self.scene else ()) if self._accepts(node)]

    def _accepts(self, node) -> bool:
        """The rules of the application's filter: of a node's types, the first that fits decides."""
        fitting = [kind for kind in self.nodeTypes if node.IsA(kind)
                   and (self.showChildNodeTypes or node.GetClassName() == kind)]
        if not fitting or node.GetHideFromEditors() or node.GetID() in self._proxy.hiddenNodeIDs:
            return False
        name, value = self._attributes.get(fitting[0], (None, None))
        return not name or node.GetAttribute(name) is not None and value in (None, node.GetAttribute(name))

    def _update(self, _data=None) -> None:
        """Show the nodes that there are now; a chosen one that went gives way to the first, or to none."""
        if self.scene and self.scene.IsBatchProcessing():
            return
        nodes = self._nodes()
        for node in [node for node in nodes if node not in self._followed]:
            self._followed.append(node)
            observe(node, vtk.vtkCommand.ModifiedEvent, self, "_update")
        entries = [("None", "")] * self.noneEnabled + [(node.GetName(), node.GetID()) for node in nodes]
        if entries != self._entries:
            self._entries = entries
            self._combo.clear()
            for entry in entries:
                self._combo.addItem(*entry)
        kept = self._current in nodes or self.noneEnabled or not nodes
        self.setCurrentNode(self._current if kept else nodes[0])

    def setCurrentNode(self, node) -> None:
        before, self._current = self._current, node if node in self._nodes() else None
        self._combo.setCurrentIndex(self._combo.findData(self.currentNodeID))
        if self._current is not before:
            self.currentNodeChanged.emit(self._current)

    def addAttribute(self, kind: str, name: str, value=None) -> None:
        if kind not in self.nodeTypes:
            raise ValueError(f"{kind} is none of {self.nodeTypes}")  # the application does nothing, and says nothing
        self._attributes[kind] = name, value
        self._update()

    currentNode, sortFilterProxyModel, nodeCount = gives("_current"), gives("_proxy"), lambda self: len(self._nodes())
    currentNodeID = Property(str, lambda self: self._current.GetID() if self._current else "")
    nodeTypes = stored("QStringList", [], "_update")
    showChildNodeTypes, noneEnabled = stored(bool, True, "_update"), stored(bool, False, "_update")
    # Offered as entries of the list, which the modules here switch off.
    addEnabled, removeEnabled = stored(bool, False), stored(bool, False)


CLASSES = {cls.__name__: cls for cls in (
    ctkCollapsibleButton, ctkMessageBox, ctkPathLineEdit, ctkSliderWidget, qMRMLWidget, qMRMLNodeComboBox)}

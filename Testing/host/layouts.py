"""``slicer.app.layoutManager()``: the scene's layout node says which views are shown, and how they are arranged."""

from __future__ import annotations

import slicer
import vtk
from PySide6 import QtCore, QtWidgets
from PySide6.QtCore import Property, Signal

from . import views
from .mrml_widgets import observe


class qSlicerLayoutManager(QtCore.QObject):
    """Makes a widget a view node and puts those of the layout into the window."""

    changed = Signal(int)
    hostSignals = {"layoutChanged(int)": "changed"}
    hostMethods = ("layoutLogic", "mrmlSliceLogics", "resetSliceViews", "resetThreeDViews", "setLayout",
                   "sliceViewNames", "sliceWidget", "threeDWidget", "viewWidget")

    def __init__(self, scene, applicationLogic) -> None:
        super().__init__()
        self._scene, self._application, self._widgets, self._shown = scene, applicationLogic, {}, []
        self._viewport, self._content, self._arrangement = None, None, None
        self._logics = {views.qMRMLSliceWidget: vtk.vtkCollection(), views.qMRMLThreeDWidget: vtk.vtkCollection()}
        applicationLogic.SetSliceLogics(self._logics[views.qMRMLSliceWidget])
        applicationLogic.SetViewLogics(self._logics[views.qMRMLThreeDWidget])
        slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene)
        self._logic = slicer.vtkMRMLLayoutLogic()
        self._logic.SetMRMLScene(scene)

    def setViewport(self, widget) -> None:
        """Where the views go; the first layout is the four-up."""
        self._viewport = widget
        QtWidgets.QVBoxLayout(widget).setContentsMargins(0, 0, 0, 0)
        observe(self._logic.GetLayoutNode(), vtk.vtkCommand.ModifiedEvent, self, "follow")
        observe(self._scene, self._scene.NodeRemovedEvent, self, "drop")
        observe(self._scene, self._scene.EndCloseEvent, self, "follow")
        self.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
        self.follow()

    def follow(self, _data=None) -> None:
        """Show the layout that the layout node says now."""
        if self._viewport is None or self._scene.IsClosing():
            return
        node = self._logic.GetLayoutNode()
        state, root = (node.GetViewArrangement(), node.GetCurrentLayoutDescription()), node.GetLayoutRootElement()
        missing = any(shown not in self._widgets for shown in self._shown)
        if root is None or (state == self._arrangement and not missing):
            return
        self._arrangement, self._shown = state, []
        for widget in self._widgets.values():
            widget.setParent(None)
        if self._content is not None:
            self._content.deleteLater()
        self._content = self._build(root)
        self._viewport.layout().addWidget(self._content)
        self.changed.emit(node.GetViewArrangement())

    def _build(self, element):
        if element.GetName() == "view":
            return self._widgetOf(self._logic.GetViewFromElement(element))
        box = QtWidgets.QSplitter(QtCore.Qt.Orientation.Horizontal if element.GetAttribute("type") == "horizontal"
                                  else QtCore.Qt.Orientation.Vertical)
        for index in range(element.GetNumberOfNestedElements()):
            part = self._build(element.GetNestedElement(index).GetNestedElement(0))
            if part is not None:
                box.addWidget(part)
                part.show()
        box.setSizes([1000] * box.count())
        return box

    def _widgetOf(self, node):
        kind = views.WIDGETS.get(node.GetClassName()) if node else None
        if kind is None:
            return None  # tables and plots are not drawn
        if node not in self._widgets:
            self._widgets[node] = kind(node, self._application)
            self._logics[kind].AddItem(self._widgets[node].logic)
        self._shown.append(node)
        return self._widgets[node]

    def drop(self, node) -> None:
        """A view node was removed: its widget goes."""
        widget = self._widgets.pop(node, None)
        if widget is not None:
            self._logics[type(widget)].RemoveItem(widget.logic)
            widget.view.close_()
            widget.logic.SetMRMLScene(None)
            widget.setParent(None)
            widget.deleteLater()

    def render(self) -> None:
        """Draw every view that is shown."""
        for node in self._shown:
            self._widgets[node].view.forceRender()

    def close(self) -> None:
        self._viewport = None
        for node in list(self._widgets):
            self.drop(node)
        self._logic.SetMRMLScene(None)

    def layoutLogic(self):
        return self._logic

    def mrmlSliceLogics(self):
        return self._logics[views.qMRMLSliceWidget]

    def _named(self, kind: type) -> dict:
        return {node.GetLayoutName(): self._widgets[node] for node in self._shown
                if type(self._widgets.get(node)) is kind}

    def sliceViewNames(self) -> list[str]:
        return list(self._named(views.qMRMLSliceWidget))

    def sliceWidget(self, name: str):
        return self._named(views.qMRMLSliceWidget).get(name)

    def threeDWidget(self, which):
        found = self._named(views.qMRMLThreeDWidget)
        return found.get(which) if isinstance(which, str) else list(found.values())[which]

    def viewWidget(self, node):
        return self._widgets.get(node)

    def setLayout(self, number: int) -> None:
        self._logic.GetLayoutNode().SetViewArrangement(number)

    def resetSliceViews(self) -> None:
        for widget in self._named(views.qMRMLSliceWidget).values():
            widget.fitSliceToBackground()

    def resetThreeDViews(self) -> None:
        for widget in self._named(views.qMRMLThreeDWidget).values():
            widget.view.resetFocalPoint()

    layout = Property(int, lambda self: self._logic.GetLayoutNode().GetViewArrangement(), setLayout)
    threeDViewCount = Property(int, lambda self: len(self._named(views.qMRMLThreeDWidget)))


CLASSES = {"qSlicerLayoutManager": qSlicerLayoutManager, **views.CLASSES}

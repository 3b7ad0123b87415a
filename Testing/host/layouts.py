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
    hostMethods = (
        "layoutLogic", "mrmlSliceLogics", "pauseRender", "resetSliceViews", "resetThreeDViews", "resumeRender",
        "setLayout", "setRenderPaused", "sliceViewNames", "sliceWidget", "tableWidget", "threeDWidget", "viewWidget",
        "viewport",
    )

    def __init__(self, scene, applicationLogic) -> None:
        super().__init__()
        self._scene, self._application, self._widgets, self._shown = scene, applicationLogic, {}, []
        self._viewport, self._content, self._arrangement = None, None, None
        self._sliceLogics, self._viewLogics = vtk.vtkCollection(), vtk.vtkCollection()
        applicationLogic.SetSliceLogics(self._sliceLogics)
        applicationLogic.SetViewLogics(self._viewLogics)
        slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene)
        self._logic = slicer.vtkMRMLLayoutLogic()
        self._logic.SetMRMLScene(scene)

    def setViewport(self, widget) -> None:
        """Where the views go; the first layout is the four-up."""
        self._viewport = widget
        QtWidgets.QVBoxLayout(widget).setContentsMargins(0, 0, 0, 0)
        node = self._logic.GetLayoutNode()
        observe(node, vtk.vtkCommand.ModifiedEvent, self, "follow")
        observe(self._scene, self._scene.NodeRemovedEvent, self, "drop")
        observe(self._scene, self._scene.EndCloseEvent, self, "follow")
        node.SetViewArrangement(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
        self.follow()

    def follow(self, _data=None) -> None:
        """Show the layout that the layout node says now."""
        if self._viewport is None:
            return  # closed
        node = self._logic.GetLayoutNode()
        root = node.GetLayoutRootElement() if node else None
        state = (node.GetViewArrangement(), node.GetCurrentLayoutDescription()) if root is not None else None
        missing = any(self._scene.GetNodeByID(shown.GetID() or "") is None for shown in self._shown)
        if root is None or self._scene.IsClosing() or (state == self._arrangement and not missing):
            return
        self._arrangement, self._shown = state, []
        for widget in self._widgets.values():
            widget.setParent(None)
        if self._content is not None:
            self._content.deleteLater()
        self._content = self._build(root) or QtWidgets.QWidget()
        self._viewport.layout().addWidget(self._content)
        self.changed.emit(node.GetViewArrangement())

    def _build(self, element):
        if element.GetName() == "view":
            node = self._logic.GetViewFromElement(element)
            return self._widgetOf(node) if node else None
        parts = [self._build(element.GetNestedElement(index).GetNestedElement(0))
                 for index in range(element.GetNumberOfNestedElements())]
        kind = element.GetAttribute("type")
        box = QtWidgets.QTabWidget() if kind == "tab" else QtWidgets.QSplitter(
            QtCore.Qt.Orientation.Horizontal if kind == "horizontal" else QtCore.Qt.Orientation.Vertical)
        for part in filter(None, parts):
            box.addTab(part, part.objectName()) if kind == "tab" else box.addWidget(part)
            part.show()
        if kind != "tab":
            box.setSizes([1000] * box.count())
        return box

    def _widgetOf(self, node):
        if node not in self._widgets:
            kind = views.WIDGETS.get(node.GetClassName())
            if kind is None:
                return None
            widget = self._widgets[node] = kind(node, self._application)
            if kind is views.qMRMLSliceWidget:
                self._sliceLogics.AddItem(widget.sliceLogic())
            elif kind is views.qMRMLThreeDWidget:
                self._viewLogics.AddItem(widget.viewLogic())
        self._shown.append(node)
        return self._widgets[node]

    def drop(self, node) -> None:
        """A view node was removed: its widget goes."""
        widget = self._widgets.pop(node, None)
        if widget is not None:
            if isinstance(widget, views.qMRMLSliceWidget):
                self._sliceLogics.RemoveItem(widget.sliceLogic())
            elif isinstance(widget, views.qMRMLThreeDWidget):
                self._viewLogics.RemoveItem(widget.viewLogic())
            widget._view.close_()
            if hasattr(widget, "_logic"):
                widget._logic.SetMRMLScene(None)
            widget.setParent(None)
            widget.deleteLater()

    def render(self) -> None:
        """Draw every view that is shown."""
        for node in self._shown:
            if hasattr(self._widgets[node]._view, "forceRender"):
                self._widgets[node]._view.forceRender()

    def close(self) -> None:
        self._viewport = None
        for node in list(self._widgets):
            self.drop(node)
        self._logic.SetMRMLScene(None)

    def viewport(self):
        return self._viewport

    def layoutLogic(self):
        return self._logic

    def mrmlSliceLogics(self):
        return self._sliceLogics

    def _named(self, kind: type) -> dict:
        return {node.GetLayoutName(): widget for node, widget in self._widgets.items()
                if isinstance(widget, kind) and node in self._shown}

    def sliceViewNames(self) -> list[str]:
        return list(self._named(views.qMRMLSliceWidget))

    def sliceWidget(self, name: str):
        return self._named(views.qMRMLSliceWidget).get(name)

    def threeDWidget(self, which):
        found = self._named(views.qMRMLThreeDWidget)
        return found.get(which) if isinstance(which, str) else list(found.values())[which]

    def tableWidget(self, index: int):
        return list(self._named(views.qMRMLTableWidget).values())[index]

    def viewWidget(self, node):
        return self._widgets.get(node)

    def setLayout(self, number: int) -> None:
        self._logic.GetLayoutNode().SetViewArrangement(number)

    def resetSliceViews(self) -> None:
        for widget in self._named(views.qMRMLSliceWidget).values():
            widget.sliceLogic().FitSliceToBackground()

    def resetThreeDViews(self) -> None:
        for widget in self._named(views.qMRMLThreeDWidget).values():
            widget.threeDView().resetFocalPoint()

    def setRenderPaused(self, paused: bool) -> None:
        pass

    def pauseRender(self) -> None:
        pass

    resumeRender = pauseRender
    layout = Property(int, lambda self: self._logic.GetLayoutNode().GetViewArrangement(), setLayout)
    threeDViewCount = Property(int, lambda self: len(self._named(views.qMRMLThreeDWidget)))
    tableViewCount = Property(int, lambda self: len(self._named(views.qMRMLTableWidget)))


CLASSES = {"qSlicerLayoutManager": qSlicerLayoutManager, **views.CLASSES}

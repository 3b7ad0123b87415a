"""Slice and 3D views with the core's own nodes and logics, in the layouts of the scene.

Views are black: tests look at nodes, and drawing takes time. Who wants pictures gives a view one, see ``drawn``.
"""

from __future__ import annotations

import slicer
import vtk
from PySide6 import QtCore, QtGui, QtWidgets
from PySide6.QtCore import Property

from .widgets import gives, observe

TITLE = 20  # height of the coloured bar above a view


class View(QtWidgets.QWidget):
    """A slice, 3D or plot view; a plot view has no logic.

    :ivar picture: a QImage of what the view shows, None where nobody drew it.
    :ivar drawn: who draws it; closed when the view goes.
    """

    picture = drawn = None

    def __init__(self, node, applicationLogic) -> None:
        super().__init__()
        self.node, self.isSlice = node, node.IsA("vtkMRMLSliceNode")
        self.setMinimumSize(60, 60 + TITLE)
        if node.IsA("vtkMRMLPlotViewNode"):
            self.logic = None
            return
        self.logic = slicer.vtkMRMLSliceLogic() if self.isSlice else slicer.vtkMRMLViewLogic()
        self.logic.SetMRMLApplicationLogic(applicationLogic)
        if self.isSlice:
            self.logic.SetSliceNode(node)
        self.logic.SetMRMLScene(node.GetScene())
        if not self.isSlice:
            self.logic.AddViewNode(node.GetLayoutName())

    def pictureSize(self) -> tuple[int, int]:
        return self.width(), self.height() - TITLE

    def resizeEvent(self, _event) -> None:
        if self.isSlice:
            self.logic.ResizeSliceNode(*self.pictureSize())

    def paintEvent(self, _event) -> None:
        painter, title = QtGui.QPainter(self), QtCore.QRect(0, 0, self.width(), TITLE)
        painter.fillRect(self.rect(), QtCore.Qt.GlobalColor.black)
        painter.fillRect(title, QtGui.QColor.fromRgbF(*self.node.GetLayoutColor()))
        painter.drawText(title, f" {self.node.GetLayoutLabel() or self.node.GetLayoutName()}")
        if self.picture is not None:
            painter.drawImage(self.rect().adjusted(0, TITLE, 0, 0), self.picture)

    def release(self) -> None:
        """The view node goes, or the application: nothing of this follows the scene any more."""
        if self.drawn:
            self.drawn.close()
        if self.logic:
            self.logic.SetMRMLScene(None)
        self.setParent(None)
        self.deleteLater()


class qSlicerLayoutManager(QtCore.QObject):
    """Makes a widget a view node and puts those of the layout into *viewport*; the first layout is the four-up."""

    hostMethods = ("mrmlSliceLogics", "resetThreeDViews", "setLayout")
    mrmlSliceLogics, resetIsDue = gives("_sliceLogics"), False

    def __init__(self, scene, applicationLogic, viewport) -> None:
        super().__init__()
        self._scene, self._application = scene, applicationLogic
        self._widgets, self._content, self._arrangement = {}, None, None
        self._sliceLogics, self._logic = vtk.vtkCollection(), slicer.vtkMRMLLayoutLogic()
        applicationLogic.SetSliceLogics(self._sliceLogics)
        slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene)
        self._logic.SetMRMLScene(scene)
        self._place = QtWidgets.QVBoxLayout(viewport)
        self._place.setContentsMargins(0, 0, 0, 0)
        observe(self._logic.GetLayoutNode(), vtk.vtkCommand.ModifiedEvent, self, "_follow")
        observe(scene, scene.NodeRemovedEvent, self, "_drop")
        observe(scene, scene.EndCloseEvent, self, "_follow")
        self.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
        self._follow()

    def _follow(self, _data=None) -> None:
        """Show the layout that the layout node says now."""
        node = self._logic.GetLayoutNode()
        if self._scene.IsClosing() or not node or not node.GetLayoutRootElement():
            return
        state = node.GetViewArrangement(), node.GetCurrentLayoutDescription()
        if state == self._arrangement:
            return
        self._arrangement = state
        for widget in self._widgets.values():
            widget.setParent(None)
        if self._content is not None:
            self._content.deleteLater()
        self._content = self._build(node.GetLayoutRootElement())
        self._place.addWidget(self._content)

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
        if not node or node.GetClassName() not in ("vtkMRMLSliceNode", "vtkMRMLViewNode", "vtkMRMLPlotViewNode"):
            return None  # tables are not shown
        if node not in self._widgets:
            self._widgets[node] = View(node, self._application)
            if node.IsA("vtkMRMLSliceNode"):
                self._sliceLogics.AddItem(self._widgets[node].logic)
        return self._widgets[node]

    def _drop(self, node) -> None:
        if node in self._widgets:
            self._sliceLogics.RemoveItem(self._widgets[node].logic)
            self._widgets.pop(node).release()
            self._arrangement = None  # another view takes its place

    def release(self) -> None:
        for node in list(self._widgets):
            self._drop(node)
        self._logic.SetMRMLScene(None)

    def setLayout(self, number: int) -> None:
        self._logic.GetLayoutNode().SetViewArrangement(number)

    def resetThreeDViews(self) -> None:
        self.resetIsDue = True  # where the views are drawn

    layout = Property(int, lambda self: self._logic.GetLayoutNode().GetViewArrangement(), setLayout)

"""Slice and 3D views: the core's own displayable managers, rendered off-screen and shown as an image in a Qt widget.

Nothing is rendered before :data:`rendering` is true: most tests look at nodes, and software rendering takes time.
"""

from __future__ import annotations

import slicer
import vtk
from PySide6 import QtCore, QtGui, QtWidgets
from PySide6.QtCore import Property

from .widgets import gives, observe

rendering = False
TITLE = 20  # height of the coloured bar above a view


class RenderedView(QtWidgets.QWidget):
    """A render window's picture below its title; :meth:`render` draws it anew."""

    def __init__(self, node, logic, applicationLogic) -> None:
        super().__init__()
        self.node, self.logic, self._applicationLogic = node, logic, applicationLogic
        self._window = self._group = self._image = None
        self.setMinimumSize(60, 60 + TITLE)

    def open(self) -> None:
        """Make the render window with its displayable managers, when it is needed first."""
        self._window, self._renderer = vtk.vtkRenderWindow(), vtk.vtkRenderer()
        self._window.SetOffScreenRendering(1)
        self._window.SetMultiSamples(0)
        self._window.AddRenderer(self._renderer)
        self._renderer.SetBackground(self.node.GetBackgroundColor())
        self._window.SetSize(self.width(), self.height() - TITLE)
        vtk.vtkGenericRenderWindowInteractor().SetRenderWindow(self._window)
        factory = self.factory.GetInstance()
        factory.SetMRMLApplicationLogic(self._applicationLogic)
        for name in (*self.managers, "ColorLegendDisplayableManager", "MarkupsDisplayableManager"):
            if not factory.IsDisplayableManagerRegistered(f"vtkMRML{name}"):
                factory.RegisterDisplayableManager(f"vtkMRML{name}")
        self._group = factory.InstantiateDisplayableManagers(self._renderer)
        self._group.SetMRMLDisplayableNode(self.node)

    def render(self) -> None:
        if self._window is None:
            self.open()
        self._window.SetSize(self.width(), self.height() - TITLE)
        self._window.Render()
        grab = vtk.vtkWindowToImageFilter()
        grab.SetInput(self._window)
        grab.ReadFrontBufferOff()
        grab.Update()
        width, height, _ = grab.GetOutput().GetDimensions()
        data = bytes(memoryview(grab.GetOutput().GetPointData().GetScalars()))
        self._image = QtGui.QImage(data, width, height, 3 * width, QtGui.QImage.Format.Format_RGB888).mirrored()
        self.update()

    def resetFocalPoint(self) -> None:
        if rendering and self.node.IsA("vtkMRMLViewNode"):
            self.render()
            self._renderer.ResetCamera()

    def paintEvent(self, _event) -> None:
        painter, title = QtGui.QPainter(self), QtCore.QRect(0, 0, self.width(), TITLE)
        painter.fillRect(self.rect(), QtCore.Qt.GlobalColor.black)
        painter.fillRect(title, QtGui.QColor.fromRgbF(*self.node.GetLayoutColor()))
        painter.drawText(title, f" {self.node.GetLayoutLabel() or self.node.GetLayoutName()}")
        if rendering and self._image is not None:
            painter.drawImage(self.rect().adjusted(0, TITLE, 0, 0), self._image)

    def release(self) -> None:
        """The view node goes, or the application: nothing of this follows the scene any more."""
        if self._group:
            self._group.SetMRMLDisplayableNode(None)
            self._window.Finalize()
        self.logic.SetMRMLScene(None)
        self.setParent(None)
        self.deleteLater()


class qMRMLSliceWidget(RenderedView):
    """A slice view: its layers in the background, what is drawn over them in front."""

    factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory
    managers = ("ModelSliceDisplayableManager", "SegmentationsDisplayableManager2D")

    def __init__(self, node, applicationLogic) -> None:
        logic = slicer.vtkMRMLSliceLogic()
        logic.SetMRMLApplicationLogic(applicationLogic)
        logic.SetSliceNode(node)
        logic.SetMRMLScene(node.GetScene())
        super().__init__(node, logic, applicationLogic)
        self._layers = vtk.vtkActor2D()
        self._layers.SetMapper(vtk.vtkImageMapper())
        self._layers.GetMapper().SetColorWindow(255)
        self._layers.GetMapper().SetColorLevel(127.5)
        self._layers.GetProperty().SetDisplayLocationToBackground()

    def render(self) -> None:
        if self._window is None:
            self.open()
            self._renderer.AddViewProp(self._layers)
        self._layers.SetVisibility(self.logic.GetImageDataConnection() is not None)
        self._layers.GetMapper().SetInputConnection(self.logic.GetImageDataConnection())
        super().render()

    def resizeEvent(self, _event) -> None:
        self.logic.ResizeSliceNode(self.width(), self.height() - TITLE)


class qMRMLThreeDWidget(RenderedView):
    """A 3D view."""

    factory = slicer.vtkMRMLThreeDViewDisplayableManagerFactory
    managers = ("CameraDisplayableManager", "ViewDisplayableManager", "ModelDisplayableManager",
                "SegmentationsDisplayableManager3D")

    def __init__(self, node, applicationLogic) -> None:
        logic = slicer.vtkMRMLViewLogic()
        logic.SetMRMLScene(node.GetScene())
        logic.AddViewNode(node.GetLayoutName())
        super().__init__(node, logic, applicationLogic)


class qSlicerLayoutManager(QtCore.QObject):
    """Makes a widget a view node and puts those of the layout into *viewport*; the first layout is the four-up."""

    hostMethods = ("mrmlSliceLogics", "resetThreeDViews", "setLayout")
    mrmlSliceLogics = gives("_sliceLogics")

    def __init__(self, scene, applicationLogic, viewport) -> None:
        super().__init__()
        self._scene, self._application, self._viewport = scene, applicationLogic, viewport
        self._widgets, self._shown, self._content, self._arrangement = {}, [], None, None
        self._sliceLogics, self._logic = vtk.vtkCollection(), slicer.vtkMRMLLayoutLogic()
        applicationLogic.SetSliceLogics(self._sliceLogics)
        slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene)
        self._logic.SetMRMLScene(scene)
        QtWidgets.QVBoxLayout(viewport).setContentsMargins(0, 0, 0, 0)
        observe(self._logic.GetLayoutNode(), vtk.vtkCommand.ModifiedEvent, self, "follow")
        observe(scene, scene.NodeRemovedEvent, self, "drop")
        observe(scene, scene.EndCloseEvent, self, "follow")
        self.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
        self.follow()

    def follow(self, _data=None) -> None:
        """Show the layout that the layout node says now."""
        node = self._logic.GetLayoutNode()
        if self._scene.IsClosing() or not node or not node.GetLayoutRootElement():
            return
        state = node.GetViewArrangement(), node.GetCurrentLayoutDescription()
        if state == self._arrangement and all(shown in self._widgets for shown in self._shown):
            return
        self._arrangement, self._shown = state, []
        for widget in self._widgets.values():
            widget.setParent(None)
        if self._content is not None:
            self._content.deleteLater()
        self._content = self._build(node.GetLayoutRootElement())
        self._viewport.layout().addWidget(self._content)

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
        kinds = {"vtkMRMLSliceNode": qMRMLSliceWidget, "vtkMRMLViewNode": qMRMLThreeDWidget}
        if not node or node.GetClassName() not in kinds:
            return None  # tables and plots are not drawn
        if node not in self._widgets:
            self._widgets[node] = kinds[node.GetClassName()](node, self._application)
            if node.IsA("vtkMRMLSliceNode"):
                self._sliceLogics.AddItem(self._widgets[node].logic)
        self._shown.append(node)
        return self._widgets[node]

    def drop(self, node) -> None:
        """A view node was removed: its widget goes."""
        if node in self._widgets:
            self._sliceLogics.RemoveItem(self._widgets[node].logic)
            self._widgets.pop(node).release()

    def shown(self) -> list:
        """The widgets that the layout shows."""
        return [self._widgets[node] for node in self._shown if node in self._widgets]

    def release(self) -> None:
        for node in list(self._widgets):
            self.drop(node)
        self._logic.SetMRMLScene(None)

    def setLayout(self, number: int) -> None:
        self._logic.GetLayoutNode().SetViewArrangement(number)

    def resetThreeDViews(self) -> None:
        for widget in self.shown():
            widget.resetFocalPoint()

    layout = Property(int, lambda self: self._logic.GetLayoutNode().GetViewArrangement(), setLayout)

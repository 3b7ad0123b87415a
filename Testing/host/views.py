"""Slice and 3D views: the core's own displayable managers, rendered off-screen and shown as an image in a Qt widget.

Nothing is rendered before :data:`rendering` is true: most tests look at nodes, and software rendering takes time.
"""

from __future__ import annotations

import slicer
import vtk
from PySide6 import QtCore, QtGui, QtWidgets

from .mrml_widgets import observe, qMRMLWidget

rendering = False
SHARED = ("vtkMRMLColorLegendDisplayableManager", "vtkMRMLMarkupsDisplayableManager")
MANAGERS = {
    "vtkMRMLSliceViewDisplayableManagerFactory": (
        "vtkMRMLModelSliceDisplayableManager", "vtkMRMLSegmentationsDisplayableManager2D", *SHARED),
    "vtkMRMLThreeDViewDisplayableManagerFactory": (
        "vtkMRMLCameraDisplayableManager", "vtkMRMLViewDisplayableManager", "vtkMRMLModelDisplayableManager",
        "vtkMRMLSegmentationsDisplayableManager3D", *SHARED),
}


class RenderedView(QtWidgets.QWidget):
    """A render window's picture as a widget; :meth:`forceRender` draws it anew."""

    hostMethods = ("forceRender", "scheduleRender", "renderWindow")
    factory = ""

    def __init__(self, node, logic, applicationLogic) -> None:
        super().__init__()
        self._node, self._logic, self._applicationLogic = node, logic, applicationLogic
        self._window = self._group = self._image = None
        self.setMinimumSize(60, 60)

    def renderWindow(self):
        """The window; made, with its displayable managers, when it is first asked for."""
        if self._window is None:
            self._window, self._renderer = vtk.vtkRenderWindow(), vtk.vtkRenderer()
            self._window.SetOffScreenRendering(1)
            self._window.SetMultiSamples(0)
            self._window.AddRenderer(self._renderer)
            vtk.vtkGenericRenderWindowInteractor().SetRenderWindow(self._window)
            factory = getattr(slicer, self.factory).GetInstance()
            factory.SetMRMLApplicationLogic(self._applicationLogic)
            for name in MANAGERS[self.factory]:
                if not factory.IsDisplayableManagerRegistered(name):
                    factory.RegisterDisplayableManager(name)
            self._window.SetSize(self.width(), self.height())
            self._group = factory.InstantiateDisplayableManagers(self._renderer)
            self._group.SetMRMLDisplayableNode(self._node)
            self.prepare()
        return self._window

    def forceRender(self) -> None:
        window = self.renderWindow()
        window.SetSize(self.width(), self.height())
        window.Render()
        grab = vtk.vtkWindowToImageFilter()
        grab.SetInput(window)
        grab.ReadFrontBufferOff()
        grab.Update()
        width, height, _ = grab.GetOutput().GetDimensions()
        data = bytes(memoryview(grab.GetOutput().GetPointData().GetScalars()))
        self._image = QtGui.QImage(data, width, height, 3 * width, QtGui.QImage.Format.Format_RGB888).mirrored()
        self.update()

    def scheduleRender(self) -> None:
        self.update()

    def paintEvent(self, _event) -> None:
        painter = QtGui.QPainter(self)
        painter.fillRect(self.rect(), QtCore.Qt.GlobalColor.black)
        if rendering and self._image is not None:
            painter.drawImage(self.rect(), self._image)

    def close_(self) -> None:
        if self._group:
            self._group.SetMRMLDisplayableNode(None)
            self._window.Finalize()
        self._window = self._group = self._node = None


class qMRMLSliceView(RenderedView):
    """The picture of a slice: its layers in the background, what is drawn over them in front."""

    hostMethods = (*RenderedView.hostMethods, "mrmlSliceNode")
    factory = "vtkMRMLSliceViewDisplayableManagerFactory"

    def mrmlSliceNode(self):
        return self._node

    def prepare(self) -> None:
        mapper, self._actor = vtk.vtkImageMapper(), vtk.vtkActor2D()
        mapper.SetColorWindow(255)
        mapper.SetColorLevel(127.5)
        self._actor.SetMapper(mapper)
        self._actor.GetProperty().SetDisplayLocationToBackground()
        self._renderer.AddViewProp(self._actor)

    def forceRender(self) -> None:
        self.renderWindow()
        self._actor.SetVisibility(self._logic.GetImageDataConnection() is not None)
        self._actor.GetMapper().SetInputConnection(self._logic.GetImageDataConnection())
        super().forceRender()

    def resizeEvent(self, event) -> None:
        if self._node:
            self._logic.ResizeSliceNode(self.width(), self.height())
        super().resizeEvent(event)


class qMRMLThreeDView(RenderedView):
    """The picture of a 3D view."""

    hostMethods = (*RenderedView.hostMethods, "mrmlViewNode", "resetFocalPoint", "cameraNode")
    factory = "vtkMRMLThreeDViewDisplayableManagerFactory"

    def mrmlViewNode(self):
        return self._node

    def cameraNode(self):
        return slicer.modules.cameras.logic().GetViewActiveCameraNode(self._node)

    def prepare(self) -> None:
        self._renderer.SetBackground(self._node.GetBackgroundColor())
        self._renderer.SetBackground2(self._node.GetBackgroundColor2())
        self._renderer.SetGradientBackground(True)

    def resetFocalPoint(self) -> None:
        if rendering:
            self.renderWindow()
            self._renderer.ResetCamera()


class ViewWidget(qMRMLWidget):
    """A view below its coloured title."""

    def __init__(self, node, logic, view) -> None:
        super().__init__()
        self._node, self.logic, self.view, self._title = node, logic, view, QtWidgets.QLabel()
        self._title.setAutoFillBackground(True)
        self._bar, layout = QtWidgets.QHBoxLayout(), QtWidgets.QVBoxLayout(self)
        self._bar.addWidget(self._title)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(self._bar)
        layout.addWidget(view, 1)
        observe(node, vtk.vtkCommand.ModifiedEvent, self, "follow")

    def follow(self, _data=None) -> None:
        palette = self._title.palette()
        palette.setColor(QtGui.QPalette.ColorRole.Window, QtGui.QColor.fromRgbF(*self._node.GetLayoutColor()))
        palette.setColor(QtGui.QPalette.ColorRole.WindowText, QtGui.QColor(0, 0, 0))
        self._title.setPalette(palette)
        self._title.setText(f" {self._node.GetLayoutLabel() or self._node.GetLayoutName()} ")


class qMRMLSliceWidget(ViewWidget):
    """A slice view with the slider of its offset."""

    hostMethods = ("sliceLogic", "mrmlSliceNode", "mrmlSliceCompositeNode", "sliceView", "fitSliceToBackground")

    def __init__(self, node, applicationLogic) -> None:
        logic, self._slider = slicer.vtkMRMLSliceLogic(), QtWidgets.QSlider(QtCore.Qt.Orientation.Horizontal)
        logic.SetMRMLApplicationLogic(applicationLogic)
        logic.SetSliceNode(node)
        logic.SetMRMLScene(node.GetScene())
        super().__init__(node, logic, qMRMLSliceView(node, logic, applicationLogic))
        self._bar.addWidget(self._slider, 1)
        self._slider.sliderMoved.connect(self._moveSlice)
        self.follow()

    def follow(self, _data=None) -> None:
        super().follow()
        if not self._slider.isSliderDown():
            bounds = [0.0] * 6
            self.logic.GetLowestVolumeSliceBounds(bounds)
            self._slider.setRange(round(10 * bounds[4]), round(10 * max(bounds[4:])))
            self._slider.setValue(round(10 * self.logic.GetSliceOffset()))

    def _moveSlice(self, value: int) -> None:
        self.logic.StartSliceOffsetInteraction()
        self.logic.SetSliceOffset(value / 10)
        self.logic.EndSliceOffsetInteraction()

    def sliceLogic(self):
        return self.logic

    def mrmlSliceNode(self):
        return self._node

    def mrmlSliceCompositeNode(self):
        return self.logic.GetSliceCompositeNode()

    def sliceView(self):
        return self.view

    def fitSliceToBackground(self) -> None:
        self.logic.FitSliceToBackground()


class qMRMLThreeDWidget(ViewWidget):
    """A 3D view."""

    hostMethods = ("threeDView", "mrmlViewNode", "viewLogic")

    def __init__(self, node, applicationLogic) -> None:
        logic = slicer.vtkMRMLViewLogic()
        logic.SetMRMLScene(node.GetScene())
        logic.AddViewNode(node.GetLayoutName())
        super().__init__(node, logic, qMRMLThreeDView(node, logic, applicationLogic))
        self.follow()

    def threeDView(self):
        return self.view

    def mrmlViewNode(self):
        return self._node

    def viewLogic(self):
        return self.logic


WIDGETS = {"vtkMRMLSliceNode": qMRMLSliceWidget, "vtkMRMLViewNode": qMRMLThreeDWidget}
CLASSES = {cls.__name__: cls for cls in (*WIDGETS.values(), qMRMLSliceView, qMRMLThreeDView)}

"""Slice and 3D views: the core's own displayable managers, rendered off-screen and shown as an image in a Qt widget.

Nothing is rendered before :data:`rendering` is true: most tests look at nodes, and software rendering takes time.
"""

from __future__ import annotations

import slicer
import vtk
from PySide6 import QtCore, QtGui, QtWidgets

from .mrml_widgets import SceneWidget, observe, qMRMLTableView

rendering = False

MANAGERS = {
    "vtkMRMLSliceViewDisplayableManagerFactory": (
        "vtkMRMLModelSliceDisplayableManager", "vtkMRMLSegmentationsDisplayableManager2D",
        "vtkMRMLColorLegendDisplayableManager", "vtkMRMLOrientationMarkerDisplayableManager",
        "vtkMRMLRulerDisplayableManager", "vtkMRMLMarkupsDisplayableManager",
    ),
    "vtkMRMLThreeDViewDisplayableManagerFactory": (
        "vtkMRMLCameraDisplayableManager", "vtkMRMLViewDisplayableManager", "vtkMRMLModelDisplayableManager",
        "vtkMRMLSegmentationsDisplayableManager3D", "vtkMRMLColorLegendDisplayableManager",
        "vtkMRMLMarkupsDisplayableManager",
    ),
}


class RenderedView(QtWidgets.QWidget):
    """A render window's picture as a widget; it is drawn anew when Qt paints and something changed."""

    hostMethods = ("forceRender", "scheduleRender", "renderWindow", "pauseRender", "resumeRender", "setRenderPaused")

    def __init__(self, factory: str, applicationLogic) -> None:
        super().__init__()
        self._factory, self._applicationLogic, self._window, self._group = factory, applicationLogic, None, None
        self._node, self._image = None, None
        self.setMinimumSize(60, 60)

    def show_(self, node) -> None:
        self._node = node

    def renderWindow(self):
        """The window; made, with its displayable managers, when it is first asked for."""
        if self._window is None:
            self._window, self._renderer = vtk.vtkRenderWindow(), vtk.vtkRenderer()
            self._window.SetOffScreenRendering(1)
            self._window.SetMultiSamples(0)
            self._window.AddRenderer(self._renderer)
            interactor = vtk.vtkGenericRenderWindowInteractor()
            interactor.SetRenderWindow(self._window)
            factory = getattr(slicer, self._factory).GetInstance()
            factory.SetMRMLApplicationLogic(self._applicationLogic)
            for name in MANAGERS[self._factory]:
                if hasattr(slicer, name) and not factory.IsDisplayableManagerRegistered(name):
                    factory.RegisterDisplayableManager(name)
            self._window.SetSize(max(self.width(), 60), max(self.height(), 60))
            self._group = factory.InstantiateDisplayableManagers(self._renderer)
            self._group.SetMRMLDisplayableNode(self._node)
            self.prepare()
        return self._window

    def prepare(self) -> None:
        pass

    def forceRender(self) -> None:
        window = self.renderWindow()
        window.SetSize(max(self.width(), 60), max(self.height(), 60))
        window.Render()
        grab = vtk.vtkWindowToImageFilter()
        grab.SetInput(window)
        grab.ReadFrontBufferOff()
        grab.Update()
        image = grab.GetOutput()
        width, height, _ = image.GetDimensions()
        data = bytes(memoryview(image.GetPointData().GetScalars()))
        self._image = QtGui.QImage(data, width, height, 3 * width, QtGui.QImage.Format.Format_RGB888).mirrored().copy()
        self.update()

    def scheduleRender(self) -> None:
        self.update()

    def paintEvent(self, _event) -> None:
        painter = QtGui.QPainter(self)
        painter.fillRect(self.rect(), QtCore.Qt.GlobalColor.black)
        if rendering and self._image is not None:
            painter.drawImage(self.rect(), self._image)

    def setRenderPaused(self, paused: bool) -> None:
        pass

    def pauseRender(self) -> None:
        pass

    resumeRender = pauseRender

    def close_(self) -> None:
        if self._group:
            self._group.SetMRMLDisplayableNode(None)
            self._window.Finalize()
        self._window = self._group = self._node = None


class qMRMLSliceView(RenderedView):
    """The picture of a slice: its layers in the background, what is drawn over them in front."""

    hostMethods = (*RenderedView.hostMethods, "mrmlSliceNode")
    logic = None

    def mrmlSliceNode(self):
        return self._node

    def prepare(self) -> None:
        mapper = vtk.vtkImageMapper()
        mapper.SetColorWindow(255)
        mapper.SetColorLevel(127.5)
        mapper.SetInputConnection(self.logic.GetImageDataConnection())
        self._actor = vtk.vtkActor2D()
        self._actor.SetMapper(mapper)
        self._actor.GetProperty().SetDisplayLocationToBackground()
        self._renderer.AddViewProp(self._actor)

    def forceRender(self) -> None:
        self.renderWindow()
        self._actor.SetVisibility(self.logic.GetImageDataConnection() is not None)
        self._actor.GetMapper().SetInputConnection(self.logic.GetImageDataConnection())
        super().forceRender()

    def resizeEvent(self, event) -> None:
        if self._node:
            self.logic.ResizeSliceNode(self.width(), self.height())
        super().resizeEvent(event)


class qMRMLThreeDView(RenderedView):
    """The picture of a 3D view."""

    hostMethods = (*RenderedView.hostMethods, "mrmlViewNode", "resetFocalPoint", "resetCamera", "cameraNode")

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

    resetCamera = resetFocalPoint


class ViewWidget(SceneWidget):
    """A view below its coloured title."""

    def __init__(self, node, view) -> None:
        super().__init__()
        self._node, self._view, self._title = node, view, QtWidgets.QLabel()
        self.setObjectName(f"{type(self).__name__}{node.GetLayoutName()}")
        self._bar = QtWidgets.QHBoxLayout()
        self._bar.addWidget(self._title)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(self._bar)
        layout.addWidget(view, 1)
        observe(node, vtk.vtkCommand.ModifiedEvent, self, "follow")
        self.follow()

    def follow(self, _data=None) -> None:
        red, green, blue = [round(255 * part) for part in self._node.GetLayoutColor()]
        palette = self._title.palette()
        palette.setColor(QtGui.QPalette.ColorRole.Window, QtGui.QColor(red, green, blue))
        palette.setColor(QtGui.QPalette.ColorRole.WindowText, QtGui.QColor(0, 0, 0))
        self._title.setAutoFillBackground(True)
        self._title.setPalette(palette)
        self._title.setText(f" {self._node.GetLayoutLabel() or self._node.GetLayoutName()} ")
        self._view.update()


class qMRMLSliceWidget(ViewWidget):
    """A slice view with the slider of its offset."""

    hostMethods = ("sliceLogic", "mrmlSliceNode", "mrmlSliceCompositeNode", "sliceView", "fitSliceToBackground",
                   "mrmlScene", "setMRMLScene")

    def __init__(self, node, applicationLogic) -> None:
        self._logic = slicer.vtkMRMLSliceLogic()
        self._logic.SetMRMLApplicationLogic(applicationLogic)
        self._logic.SetSliceNode(node)
        self._logic.SetMRMLScene(node.GetScene())
        view = qMRMLSliceView("vtkMRMLSliceViewDisplayableManagerFactory", applicationLogic)
        view.logic = self._logic
        self._slider = QtWidgets.QSlider(QtCore.Qt.Orientation.Horizontal)
        super().__init__(node, view)
        view.show_(node)
        self._bar.addWidget(self._slider, 1)
        self._slider.sliderMoved.connect(self._moveSlice)

    def follow(self, _data=None) -> None:
        super().follow()
        if not self._slider.isSliderDown():
            bounds = [0.0] * 6
            self._logic.GetLowestVolumeSliceBounds(bounds)
            self._slider.setRange(round(10 * bounds[4]), max(round(10 * bounds[5]), round(10 * bounds[4])))
            self._slider.setValue(round(10 * self._logic.GetSliceOffset()))

    def _moveSlice(self, value: int) -> None:
        self._logic.StartSliceOffsetInteraction()
        self._logic.SetSliceOffset(value / 10)
        self._logic.EndSliceOffsetInteraction()

    def sliceLogic(self):
        return self._logic

    def mrmlSliceNode(self):
        return self._node

    def mrmlSliceCompositeNode(self):
        return self._logic.GetSliceCompositeNode()

    def sliceView(self):
        return self._view

    def fitSliceToBackground(self) -> None:
        self._logic.FitSliceToBackground()


class qMRMLThreeDWidget(ViewWidget):
    """A 3D view."""

    hostMethods = ("threeDView", "mrmlViewNode", "viewLogic", "mrmlScene", "setMRMLScene")

    def __init__(self, node, applicationLogic) -> None:
        self._logic = slicer.vtkMRMLViewLogic()
        self._logic.SetMRMLScene(node.GetScene())
        self._logic.AddViewNode(node.GetLayoutName())
        view = qMRMLThreeDView("vtkMRMLThreeDViewDisplayableManagerFactory", applicationLogic)
        super().__init__(node, view)
        view.show_(node)

    def threeDView(self):
        return self._view

    def mrmlViewNode(self):
        return self._node

    def viewLogic(self):
        return self._logic


class qMRMLTableWidget(ViewWidget):
    """A table view in the layout."""

    hostMethods = ("tableView", "mrmlScene", "setMRMLScene")

    def __init__(self, node, _applicationLogic) -> None:
        super().__init__(node, qMRMLTableView())
        self._view.close_ = lambda: None

    def follow(self, _data=None) -> None:
        super().follow()
        if self._view.mrmlTableNode() is not self._node.GetTableNode():
            self._view.setMRMLTableNode(self._node.GetTableNode())

    def tableView(self):
        return self._view


WIDGETS = {"vtkMRMLSliceNode": qMRMLSliceWidget, "vtkMRMLViewNode": qMRMLThreeDWidget,
           "vtkMRMLTableViewNode": qMRMLTableWidget}
CLASSES = {cls.__name__: cls for cls in (*WIDGETS.values(), qMRMLSliceView, qMRMLThreeDView)}

"""What the host's slice and 3D views show, drawn off-screen by the core's own displayable managers; plots by VTK."""

from __future__ import annotations

import slicer
import vtk
from drawn_plot import DrawnPlot
from host.views import View
from PySide6.QtGui import QImage

MANAGERS = {
    "vtkMRMLSliceNode": ("ModelSliceDisplayableManager", "SegmentationsDisplayableManager2D"),
    "vtkMRMLViewNode": ("CameraDisplayableManager", "ViewDisplayableManager", "ModelDisplayableManager",
                        "SegmentationsDisplayableManager3D"),
}


def drawViews(app) -> None:
    """Draw the views of the layout as they are now; before this they stay black.

    :param app: the running application, see the package ``host``.
    """
    app.processEvents()
    layoutManager = app.native.layoutManager()
    for view in app.window.findChildren(View):
        if view.drawn is None:
            isPlot = view.node.IsA("vtkMRMLPlotViewNode")
            view.drawn = DrawnPlot(view) if isPlot else DrawnView(view, app.native.applicationLogic())
        view.drawn.draw()
        if layoutManager.resetIsDue and view.node.IsA("vtkMRMLViewNode"):
            view.drawn.renderer.ResetCamera()
            view.drawn.draw()
    layoutManager.resetIsDue = False
    app.processEvents()


class DrawnView:
    """The render window of a view, with the displayable managers that it has in the application.

    :param view: a view of the host.
    :param applicationLogic: what the managers ask for other logics.
    """

    def __init__(self, view, applicationLogic) -> None:
        self._view, self.renderer, self._window = view, vtk.vtkRenderer(), vtk.vtkRenderWindow()
        self._window.SetOffScreenRendering(1)
        self._window.SetMultiSamples(0)
        self._window.AddRenderer(self.renderer)
        self.renderer.SetBackground(view.node.GetBackgroundColor())
        self._window.SetSize(*view.pictureSize())
        vtk.vtkGenericRenderWindowInteractor().SetRenderWindow(self._window)
        isSlice = view.node.IsA("vtkMRMLSliceNode")
        kind = slicer.vtkMRMLSliceViewDisplayableManagerFactory if isSlice else (
            slicer.vtkMRMLThreeDViewDisplayableManagerFactory)
        factory = kind.GetInstance()
        factory.SetMRMLApplicationLogic(applicationLogic)
        managers = MANAGERS[view.node.GetClassName()]
        for name in (*managers, "ColorLegendDisplayableManager", "MarkupsDisplayableManager"):
            if not factory.IsDisplayableManagerRegistered(f"vtkMRML{name}"):
                factory.RegisterDisplayableManager(f"vtkMRML{name}")
        self._group = factory.InstantiateDisplayableManagers(self.renderer)
        self._group.SetMRMLDisplayableNode(view.node)
        self._layers = self._addLayers() if isSlice else None

    def _addLayers(self):
        """A slice view's layers in the background; what is drawn over them is the managers'."""
        layers = vtk.vtkActor2D()
        layers.SetMapper(vtk.vtkImageMapper())
        layers.GetMapper().SetColorWindow(255)
        layers.GetMapper().SetColorLevel(127.5)
        layers.GetProperty().SetDisplayLocationToBackground()
        self.renderer.AddViewProp(layers)
        return layers

    def draw(self) -> None:
        """Give the view a new picture."""
        if self._layers:
            connection = self._view.logic.GetImageDataConnection()
            self._layers.SetVisibility(connection is not None)
            self._layers.GetMapper().SetInputConnection(connection)
        self._window.SetSize(*self._view.pictureSize())
        self._window.Render()
        grab = vtk.vtkWindowToImageFilter()
        grab.SetInput(self._window)
        grab.ReadFrontBufferOff()
        grab.Update()
        width, height, _ = grab.GetOutput().GetDimensions()
        data = bytes(memoryview(grab.GetOutput().GetPointData().GetScalars()))
        self._view.picture = QImage(data, width, height, 3 * width, QImage.Format.Format_RGB888).mirrored()
        self._view.update()

    def close(self) -> None:
        """The view goes."""
        self._group.SetMRMLDisplayableNode(None)
        self._window.Finalize()

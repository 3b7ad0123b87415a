"""What the host's plot views show, drawn off-screen with VTK's charts from the nodes of the scene."""

from __future__ import annotations

import vtk
from host.views import View
from PySide6.QtGui import QImage


class DrawnPlot:
    """The chart that a plot view node refers to, as Slicer's plot view draws it with the same classes.

    :param view: a plot view of the host.
    """

    renderer = None

    def __init__(self, view: View) -> None:
        self._view, self._context, self._chart = view, vtk.vtkContextView(), vtk.vtkChartXY()
        self._context.GetRenderWindow().SetOffScreenRendering(1)
        self._context.GetRenderer().SetBackground(1, 1, 1)
        self._context.GetScene().AddItem(self._chart)

    def draw(self) -> None:
        """Give the view a new picture."""
        self._chart.ClearPlots()
        node = self._view.node.GetPlotChartNode()
        for index in range(node.GetNumberOfPlotSeriesNodes() if node else 0):
            self._addPlot(node.GetNthPlotSeriesNode(index))
        if node:
            self._chart.SetTitle(node.GetTitle())
            self._chart.SetShowLegend(bool(node.GetLegendVisibility()))
            self._chart.GetAxis(vtk.vtkAxis.BOTTOM).SetTitle(node.GetXAxisTitle())
            self._chart.GetAxis(vtk.vtkAxis.LEFT).SetTitle(node.GetYAxisTitle())
        window = self._context.GetRenderWindow()
        window.SetSize(*self._view.pictureSize())
        self._chart.RecalculateBounds()
        self._context.Render()
        grab = vtk.vtkWindowToImageFilter()
        grab.SetInput(window)
        grab.ReadFrontBufferOff()
        grab.Update()
        width, height, _ = grab.GetOutput().GetDimensions()
        data = bytes(memoryview(grab.GetOutput().GetPointData().GetScalars()))
        self._view.picture = QImage(data, width, height, 3 * width, QImage.Format.Format_RGB888).mirrored()
        self._view.update()

    def _addPlot(self, series) -> None:
        plot = self._chart.AddPlot(vtk.vtkChart.LINE)
        plot.SetInputData(series.GetTableNode().GetTable(), series.GetXColumnName(), series.GetYColumnName())
        plot.SetLabel(series.GetName())
        plot.SetColorF(*series.GetColor())
        plot.SetWidth(series.GetLineWidth())
        plot.GetPen().SetLineType(series.GetLineStyle())
        if series.GetMarkerStyle():
            plot.SetMarkerStyle(vtk.vtkPlotPoints.CIRCLE)

    def close(self) -> None:
        """The view goes."""
        self._context.GetRenderWindow().Finalize()

"""The curves of a run as Slicer's own tables, plot series and charts: made once, and updated as the run goes on.

They are what the run's folder says and are made anew from it at any time, so they are not saved with the scene.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import slicer
import slicer.util
import vtk
from vtk.util import numpy_support

from AGUNETRSegmentLib.translation import _

from .curve_axes import fitAxes
from .run_reading import JobRecord, RunRecord

MARK = "AGUNETRTrain.curve"
LOSS, DICE = "loss", "dice"
EPOCH_COLUMN = "Epoch"
# Told apart with any colour vision (Okabe and Ito 2008), and on white.
STAGE_COLOURS = (
    (0.0, 114 / 255, 178 / 255), (213 / 255, 94 / 255, 0.0), (0.0, 158 / 255, 115 / 255),
    (204 / 255, 121 / 255, 167 / 255), (230 / 255, 159 / 255, 0.0), (86 / 255, 180 / 255, 233 / 255),
)


class CurveNodes:
    """The nodes of one run's curves in a scene; another run takes them over.

    :param scene: the MRML scene.
    """

    def __init__(self, scene) -> None:
        self._scene = scene

    @property
    def shown(self) -> bool:
        """Whether the scene has curves."""
        return self._node("vtkMRMLPlotChartNode", LOSS) is not None

    def chart(self, kind: str):
        """The chart of ``loss`` or ``dice``; None where there is none."""
        return self._node("vtkMRMLPlotChartNode", kind)

    def show(self, record: RunRecord, chosen: Sequence[str] = ()) -> None:
        """Make the nodes, or let them show what the run is now.

        :param chosen: names of the jobs to show; all where none is named.
        """
        jobs = [job for job in record.jobs if not chosen or job.plan.name in chosen]
        for kind, title, axis in (
            (LOSS, _("Training loss"), _("Loss")),
            (DICE, _("Validation Dice"), _("Dice")),
        ):
            series = [self._series(kind, axis, job, record) for job in jobs]
            chart = self._showInChart(
                kind, f"{title}: {record.experiment.name}", axis, [node for node in series if node])
            fitAxes(chart, [point for job in jobs for point in _points(kind, job)])
        self._removeOthers({f"{kind} {job.plan.name}" for kind in (LOSS, DICE) for job in jobs})
        self._group(record)

    def remove(self) -> None:
        """Take all of them out of the scene, with their group."""
        for node in self._all():
            self._scene.RemoveNode(node)
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(self._scene)
        item = self._groupItem(hierarchy)
        if item:
            hierarchy.RemoveItem(item)

    def _series(self, kind: str, axis: str, job: JobRecord, record: RunRecord):
        points = _points(kind, job)
        mark = f"{kind} {job.plan.name}"
        if not points:
            return None
        table = self._made("vtkMRMLTableNode", mark, f"{job.plan.name} {axis}")
        _fill(table, axis, points)
        series = self._made("vtkMRMLPlotSeriesNode", mark, job.plan.name)
        modifying = series.StartModify()
        series.SetName(job.plan.name)
        series.SetAndObserveTableNodeID(table.GetID())
        series.SetPlotType(slicer.vtkMRMLPlotSeriesNode.PlotTypeScatter)
        series.SetXColumnName(EPOCH_COLUMN)
        series.SetYColumnName(axis)
        stages = record.experiment.stages
        series.SetColor(*STAGE_COLOURS[stages.index(job.plan.stage) % len(STAGE_COLOURS)])
        repeats = [other.plan.name for other in record.jobs if other.plan.stage == job.plan.stage]
        styles = (
            series.LineStyleSolid, series.LineStyleDash, series.LineStyleDot, series.LineStyleDashDot,
            series.LineStyleDashDotDot)
        isLine = len(points) > 1  # a single point is drawn as one
        style = styles[repeats.index(job.plan.name) % len(styles)]
        series.SetLineStyle(style if isLine else series.LineStyleNone)
        series.SetMarkerStyle(series.MarkerStyleNone if isLine else series.MarkerStyleCircle)
        series.EndModify(modifying)
        return series

    def _showInChart(self, kind: str, title: str, axis: str, series: list):
        chart = self._made("vtkMRMLPlotChartNode", kind, title)
        chart.SetName(title)
        ids = [chart.GetNthPlotSeriesNodeID(index) for index in range(chart.GetNumberOfPlotSeriesNodes())]
        wanted = [node.GetID() for node in series]
        modifying = chart.StartModify()
        chart.SetTitle(title)
        chart.SetXAxisTitle(_("Epoch"))
        chart.SetYAxisTitle(axis)
        chart.SetLegendVisibility(True)
        if ids != wanted:
            chart.RemoveAllPlotSeriesNodeIDs()
            for identifier in wanted:
                chart.AddAndObservePlotSeriesNodeID(identifier)
        chart.EndModify(modifying)
        return chart

    def _made(self, className: str, mark: str, name: str):
        node = self._node(className, mark)
        if node is None:
            node = self._scene.CreateNodeByClass(className)
            node.UnRegister(None)
            node.SetName(name)
            node.SetAttribute(MARK, mark)
            node.SetSaveWithScene(False)
            node = self._scene.AddNode(node)
        return node

    def _node(self, className: str, mark: str):
        for node in slicer.util.getNodesByClass(className, self._scene):
            if node.GetAttribute(MARK) == mark:
                return node
        return None

    def _all(self) -> list:
        """Charts first: they refer to the others."""
        classes = ("vtkMRMLPlotChartNode", "vtkMRMLPlotSeriesNode", "vtkMRMLTableNode")
        return [node for name in classes for node in slicer.util.getNodesByClass(name, self._scene)
                if node.GetAttribute(MARK)]

    def _removeOthers(self, kept: set[str]) -> None:
        for node in self._all():
            if not node.IsA("vtkMRMLPlotChartNode") and node.GetAttribute(MARK) not in kept:
                self._scene.RemoveNode(node)

    def _group(self, record: RunRecord) -> None:
        """One folder in the subject hierarchy holds all of them."""
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(self._scene)
        name = _("Training {name}").format(name=record.experiment.name)
        group = self._groupItem(hierarchy)
        if not group:
            group = hierarchy.CreateFolderItem(hierarchy.GetSceneItemID(), name)
            hierarchy.SetItemAttribute(group, MARK, "group")
            hierarchy.SetItemExpanded(group, False)
        hierarchy.SetItemName(group, name)
        for node in self._all():
            item = hierarchy.GetItemByDataNode(node) or hierarchy.CreateItem(group, node)
            if hierarchy.GetItemParent(item) != group:
                hierarchy.SetItemParent(item, group)

    @staticmethod
    def _groupItem(hierarchy) -> int:
        """The folder's item; 0 where there is none."""
        items = vtk.vtkIdList()
        hierarchy.GetItemChildren(hierarchy.GetSceneItemID(), items, False)
        found = [items.GetId(index) for index in range(items.GetNumberOfIds())]
        return next((item for item in found if hierarchy.GetItemAttribute(item, MARK)), 0)


def _points(kind: str, job: JobRecord) -> Sequence[tuple[float, float]]:
    return job.losses if kind == LOSS else job.validations


def _fill(tableNode, axis: str, points: Sequence[tuple[float, float]]) -> None:
    """Write the points where they are others than those that are there."""
    columns = {EPOCH_COLUMN: [point[0] for point in points], axis: [point[1] for point in points]}
    there = {name: tableNode.GetTable().GetColumnByName(name) for name in columns}
    if all(there[name] is not None and numpy_support.vtk_to_numpy(there[name]).tolist() == values
           for name, values in columns.items()):
        return
    table = vtk.vtkTable()
    for name, values in columns.items():
        column = numpy_support.numpy_to_vtk(np.array(values, float), deep=True)
        column.SetName(name)
        table.AddColumn(column)
    tableNode.SetAndObserveTable(table)

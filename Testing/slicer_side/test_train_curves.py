"""The curves of a run in the scene: few nodes that follow the run, one group, a layout and the way back."""

from __future__ import annotations

import json
import os

import pytest

pytest.importorskip("slicer")
pytest.importorskip("PySide6")

import host
import slicer
import slicer.util
from fake_training import append, epoch, finish
from scene_builder import nodeNames
from train_panel_builder import chooseTraining, openedTrain

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-in is a shell script")
KINDS = ("vtkMRMLTableNode", "vtkMRMLPlotSeriesNode", "vtkMRMLPlotChartNode")


@pytest.fixture
def train(tmp_path, monkeypatch):
    """The module with a run that was stopped in its second epoch."""
    with openedTrain(tmp_path, monkeypatch) as widget:
        assert not widget.ui.curvesButton.enabled and "first epoch" in widget.ui.curvesButton.toolTip
        chooseTraining(widget, "until stopped")
        host.click(widget.ui.startButton)
        widget.app.wait(lambda: bool(widget.panel.record and widget.panel.record.jobs[0].validations))
        yield widget


def nodes(kind: str) -> list:
    return [node for node in slicer.util.getNodesByClass(kind) if node.GetAttribute("AGUNETRTrain.curve")]


def counts() -> list[int]:
    return [len(nodes(kind)) for kind in KINDS]


def points(chart: int, series: int = 0) -> list[tuple[float, float]]:
    """What one curve of a chart (0: loss, 1: Dice) draws."""
    node = nodes("vtkMRMLPlotChartNode")[chart].GetNthPlotSeriesNode(series)
    table = node.GetTableNode().GetTable()
    columns = [table.GetColumnByName(name) for name in (node.GetXColumnName(), node.GetYColumnName())]
    return [tuple(column.GetValue(row) for column in columns) for row in range(table.GetNumberOfRows())]


def test_curves_grow_while_the_training_goes_on_and_their_nodes_do_not_become_more(train):
    host.click(train.ui.curvesButton)
    assert counts() == [2, 2, 2] and points(0) == [(1.0, 1.5)] and points(1) == [(1.0, 0.25)]
    run = train.folder / "run"
    before = nodeNames(slicer.mrmlScene)
    epoch(run, "base", 2)
    train.app.wait(lambda: points(0), [(1.0, 1.5), (2.0, 0.75)])
    assert nodeNames(slicer.mrmlScene) == before
    (run / "gated").mkdir()
    append(run / "gated" / "metrics.jsonl", {"epoch": 1, "loss": 1.25, "seconds": 1})
    train.app.wait(counts, [3, 3, 2])
    loss = nodes("vtkMRMLPlotChartNode")[0]
    assert [loss.GetNthPlotSeriesNode(index).GetName() for index in range(2)] == ["base", "gated"]
    first, second = (loss.GetNthPlotSeriesNode(index).GetColor() for index in range(2))
    assert first != second, "stages have colours of their own"
    assert loss.GetTitle() == "Training loss: made-up" and loss.GetXAxisTitle() == "Epoch"


def test_the_axes_follow_the_points_unless_the_user_zooms(train):
    host.click(train.ui.curvesButton)
    loss = nodes("vtkMRMLPlotChartNode")[0]
    assert loss.GetXAxisRange()[1] < 2 and loss.GetYAxisRange()[0] < 1.5 < loss.GetYAxisRange()[1]
    epoch(train.folder / "run", "base", 2)
    train.app.wait(lambda: len(points(0)), 2)
    assert loss.GetXAxisRange()[1] > 2 and loss.GetYAxisRange()[0] < 0.75
    loss.SetXAxisRange(0.5, 1.5)
    epoch(train.folder / "run", "base", 3)
    train.app.wait(lambda: len(points(0)), 3)
    assert loss.GetXAxisRange() == (0.5, 1.5)


def test_one_group_holds_all_and_selected_jobs_are_shown_alone(train):
    run = train.folder / "run"
    (run / "gated" / "test").mkdir(parents=True)
    epoch(run, "gated", 1)
    finish(run, "gated")
    train.app.wait(lambda: len(train.panel.record.jobs[1].losses), 1)
    host.click(train.ui.curvesButton)
    assert counts() == [4, 4, 2]
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    everything = [node for kind in KINDS for node in nodes(kind)]
    parents = {hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) for node in everything}
    assert len(parents) == 1 and hierarchy.GetItemName(parents.pop()) == "Training made-up"
    assert not any(node.GetSaveWithScene() for node in everything)
    train.ui.jobsTable.selectRow(1)
    assert counts() == [2, 2, 2] and "Only gated" in train.ui.curvesNoteLabel.text
    train.ui.jobsTable.clearSelection()
    assert counts() == [4, 4, 2] and train.ui.curvesNoteLabel.text.startswith("All jobs")


def test_the_layout_before_comes_back_and_nothing_stays(train):
    layout = slicer.app.layoutManager()
    before, was = nodeNames(slicer.mrmlScene), layout.layout
    host.click(train.ui.curvesButton)
    assert layout.layout != was and train.ui.curvesButton.text == "Hide curves"
    charts = {node.GetID() for node in nodes("vtkMRMLPlotChartNode")}
    views = slicer.util.getNodesByClass("vtkMRMLPlotViewNode")
    assert {view.GetPlotChartNodeID() for view in views} == charts and not any(
        view.GetSaveWithScene() for view in views)
    host.click(train.ui.curvesButton)
    assert layout.layout == was and train.ui.curvesButton.text == "Show curves"
    views = {f"{view.GetClassName()} {view.GetID()} {view.GetName()}" for view in views}
    assert set(nodeNames(slicer.mrmlScene)) - set(before) <= views, "only the views stay, as Slicer's own do"


def test_a_layout_that_the_user_chose_meanwhile_stays(train):
    layout = slicer.app.layoutManager()
    host.click(train.ui.curvesButton)
    layout.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView)
    train.panel.update()
    assert train.ui.curvesButton.text == "Show curves"
    host.click(train.ui.curvesButton)
    host.click(train.ui.curvesButton)
    assert layout.layout == slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView and counts() == [0, 0, 0]


def test_a_closed_scene_takes_the_curves_and_they_can_be_shown_again(train):
    host.click(train.ui.curvesButton)
    slicer.mrmlScene.Clear(0)
    train.app.processEvents()
    assert counts() == [0, 0, 0] and train.ui.curvesButton.text == "Show curves"
    layout = slicer.app.layoutManager()
    train.app.wait(lambda: layout.layout, slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
    train.app.wait(lambda: train.ui.curvesButton.enabled)
    host.click(train.ui.curvesButton)
    assert counts() == [2, 2, 2]


def test_slicers_self_test_passes(train):
    import sys

    module = sys.modules["AGUNETRTrain"]
    test = module.AGUNETRTrainTest("runTest")
    for check in (test.test_experiments, test.test_start, test.test_curves):
        check()
    assert json.loads((train.folder / "run" / "experiment.json").read_text())["name"] == "made-up"

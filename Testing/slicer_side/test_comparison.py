"""Two segmentations side by side, and everything as it was afterwards, whoever ended it."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("slicer")

import slicer
import slicer.util
from scene_builder import addVolume, orientationMatrix
from views_builder import FOUR_UP, SHAPE, addMap, addResult, allNodes, comparedScene, sceneText, twoMasks

from AGUNETRSegmentLib.comparison import Comparison
from AGUNETRSegmentLib.comparison_layout import LAYOUT_ID, columns
from AGUNETRSegmentLib.difference_navigation import DifferenceTour
from AGUNETRSegmentLib.difference_nodes import addDifference, differenceNode, removeDifference
from AGUNETRSegmentLib.errors import SegmentationError


def layoutOf(scene):
    return scene.GetFirstNodeByClass("vtkMRMLLayoutNode")


def visibleIn(node, viewNode) -> bool:
    display = node.GetDisplayNode()
    return bool(display.GetVisibility()) and display.IsDisplayableInView(viewNode.GetID())


def test_each_column_shows_its_own_segmentation_only():
    scene, volume, first, second = comparedScene()
    third = addResult(scene, volume, "earlier", twoMasks()[0])
    Comparison(scene).start(first, second)
    left, right = columns(scene)
    assert layoutOf(scene).GetViewArrangement() == LAYOUT_ID
    for column, own in ((left, first), (right, second)):
        for viewNode in (column.sliceNode, column.viewNode):
            assert [visibleIn(node, viewNode) for node in (first, second, third)] == [
                node is own for node in (first, second, third)]
        assert column.compositeNode.GetBackgroundVolumeID() == volume.GetID()
        assert column.sliceNode.GetOrientation() == "Axial"
        assert column.sliceNode.GetLayoutLabel() == own.GetAttribute("AGUNETR.model")
    # In all other views all three stay visible.
    red = scene.GetNodeByID("vtkMRMLSliceNodeRed")
    assert all(visibleIn(node, red) for node in (first, second, third))


def test_the_columns_are_linked_with_each_other_and_with_no_other_view():
    scene, _volume, first, second = comparedScene()
    Comparison(scene).start(first, second)
    left, right = columns(scene)
    assert all(column.compositeNode.GetLinkedControl() and column.viewNode.GetLinkedControl()
               for column in (left, right))
    assert left.sliceNode.GetViewGroup() == right.sliceNode.GetViewGroup() != 0
    assert left.viewNode.GetViewGroup() == right.viewNode.GetViewGroup() != 0
    assert scene.GetNodeByID("vtkMRMLSliceCompositeNodeRed").GetLinkedControl() == 0


def test_a_view_that_fills_the_window_covers_neither_the_comparison_nor_what_comes_after():
    scene, _volume, first, second = comparedScene()
    layoutNode = layoutOf(scene)
    layoutNode.AddMaximizedViewNode(scene.GetNodeByID("vtkMRMLSliceNodeRed"))
    comparison = Comparison(scene)
    comparison.start(first, second)
    assert layoutNode.GetNumberOfMaximizedViewNodes() == 0
    layoutNode.AddMaximizedViewNode(columns(scene)[0].sliceNode)
    assert comparison.shown
    comparison.leave()
    assert layoutNode.GetNumberOfMaximizedViewNodes() == 0 and layoutNode.GetViewArrangement() == FOUR_UP


def test_results_of_two_cts_each_over_its_own():
    scene, volume, first, _second = comparedScene()
    other = addVolume(scene, orientationMatrix((0, 1, 2), (-1, -1, 1), (1.0, 1.0, 2.0)), SHAPE, name="later CT")
    second = addResult(scene, other, "base", twoMasks()[1])
    second.SetName("later CT base spleen")
    comparison = Comparison(scene)
    comparison.start(first, second)
    left, right = columns(scene)
    assert left.compositeNode.GetBackgroundVolumeID() == volume.GetID()
    assert right.compositeNode.GetBackgroundVolumeID() == other.GetID()
    labels = [column.sliceNode.GetLayoutLabel() for column in (left, right)]
    assert labels == comparison.names and len(set(labels)) == 2, "one model, so the nodes' names tell them apart"


def test_outline_or_fill():
    scene, _volume, first, second = comparedScene()
    comparison = Comparison(scene)
    comparison.start(first, second, outline=True)
    displays = [node.GetDisplayNode() for node in (first, second)]
    assert [display.GetVisibility2DFill() for display in displays] == [0, 0]
    assert [display.GetVisibility2DOutline() for display in displays] == [1, 1]
    comparison.setOutline(False)
    assert [display.GetVisibility2DFill() for display in displays] == [1, 1]


def prepare(scene, volume, first, second):
    """A state that is not the default one."""
    first.GetDisplayNode().SetVisibility(0)
    first.GetDisplayNode().SetVisibility2DFill(False)
    second.GetDisplayNode().SetViewNodeIDs(["vtkMRMLSliceNodeRed", "vtkMRMLViewNode1"])
    red = scene.GetNodeByID("vtkMRMLSliceCompositeNodeRed")
    red.SetBackgroundVolumeID(volume.GetID())
    red.SetForegroundOpacity(0.37)


def test_leaving_puts_everything_back():
    scene, volume, first, second = comparedScene()
    prepare(scene, volume, first, second)
    addResult(scene, volume, "earlier", twoMasks()[0])
    before = sceneText(scene)
    comparison = Comparison(scene)
    comparison.start(first, second, outline=False)
    assert sceneText(scene) != before
    comparison.setOutline(True)
    comparison.start(second, first)
    comparison.leave()
    assert sceneText(scene) == before
    assert layoutOf(scene).GetViewArrangement() == FOUR_UP and layoutOf(scene).GetSaveWithScene()
    comparison.leave()
    assert sceneText(scene) == before


def test_another_pair_takes_the_place_of_the_first():
    scene, volume, first, second = comparedScene()
    third = addResult(scene, volume, "earlier", twoMasks()[0])
    before = sceneText(scene)
    comparison = Comparison(scene)
    comparison.start(first, second)
    comparison.start(third, second)
    left, right = columns(scene)
    assert [visibleIn(node, left.sliceNode) for node in (first, second, third)] == [False, False, True]
    assert [visibleIn(node, right.sliceNode) for node in (first, second, third)] == [False, True, False]
    comparison.leave()
    assert sceneText(scene) == before


@pytest.mark.parametrize("which", ["first", "second"])
def test_deleting_a_compared_segmentation_leaves_the_comparison(which):
    scene, volume, first, second = comparedScene()
    prepare(scene, volume, first, second)
    before = sceneText(scene)
    changes = []
    comparison = Comparison(scene, changed=lambda: changes.append(comparison.shown))
    comparison.start(first, second)
    gone, stays = (first, second) if which == "first" else (second, first)
    goneIds = {gone.GetID(), gone.GetDisplayNode().GetID()}
    scene.RemoveNode(gone)
    assert not comparison.shown and not comparison.begun and changes == [True, False]
    before, after = (
        {key: text for key, text in texts.items() if key not in goneIds and "SubjectHierarchy" not in key}
        for texts in (before, sceneText(scene)))
    assert after == before
    assert stays.GetDisplayNode()


def test_deleting_the_ct_or_a_display_node_meanwhile():
    scene, volume, first, second = comparedScene()
    comparison = Comparison(scene)
    comparison.start(first, second)
    scene.RemoveNode(volume)
    assert comparison.shown and comparison.volumeNode is None
    scene.RemoveNode(first.GetDisplayNode())
    comparison.setOutline(False)
    comparison.frame()
    comparison.leave()
    assert layoutOf(scene).GetViewArrangement() == FOUR_UP
    assert second.GetDisplayNode().GetViewNodeIDs() == ()


def test_choosing_another_layout_leaves_the_comparison_and_keeps_that_layout():
    scene, volume, first, second = comparedScene()
    prepare(scene, volume, first, second)
    before = sceneText(scene)
    comparison = Comparison(scene)
    comparison.start(first, second)
    layoutOf(scene).SetViewArrangement(6)
    assert not comparison.begun and layoutOf(scene).GetViewArrangement() == 6 and layoutOf(scene).GetSaveWithScene()
    layoutOf(scene).SetViewArrangement(FOUR_UP)
    assert sceneText(scene) == before


def test_closing_the_scene_leaves_the_comparison():
    scene, _volume, first, second = comparedScene()
    comparison = Comparison(scene)
    comparison.start(first, second)
    scene.Clear()
    assert not comparison.begun and layoutOf(scene).GetViewArrangement() == FOUR_UP


def test_a_reloaded_module_finds_the_comparison_and_can_leave_it():
    scene, volume, first, second = comparedScene()
    prepare(scene, volume, first, second)
    before = sceneText(scene)
    old = Comparison(scene)
    old.start(first, second)
    old.close()
    new = Comparison(scene)
    assert new.shown and new.nodes == [first, second]
    layoutOf(scene).SetViewArrangement(FOUR_UP)  # it watches the scene as the old one did
    assert not new.begun and sceneText(scene) == before


def test_a_scene_that_is_saved_meanwhile(tmp_path):
    scene, _volume, first, second = comparedScene()
    for node in (first, second):
        node.SetName(f"Kept {node.GetName()}")
    comparison = Comparison(scene)
    comparison.start(first, second)
    addDifference(scene, (tour := DifferenceTour(first, second)).masks, tour.found, ("a", "b"), [])
    scene.SetSaveToXMLString(1)
    scene.SetURL(str(tmp_path / "scene.mrml"))
    assert scene.Commit()
    text = scene.GetSceneXMLString()
    assert "<Layout" not in text and "Difference" not in text
    assert 'singletonTag="AGUNETR' not in text
    assert comparison.shown
    # Opened where nobody knows the comparison: all ordinary views show the segmentations.
    assert text.count("vtkMRMLSliceNodeRed") and text.count("AGUNETR comparison") == 1
    layoutOf(scene).SetViewArrangement(FOUR_UP)
    other, *_ = comparedScene()
    other.Clear()
    other.SetLoadFromXMLString(1)
    other.SetSceneXMLString(text)
    other.Import()
    opened = [other.GetFirstNodeByName(node.GetName()) for node in (first, second)]
    assert all(opened) and layoutOf(other).GetViewArrangement() == FOUR_UP
    red = other.GetNodeByID("vtkMRMLSliceNodeRed")
    assert all(visibleIn(node, red) for node in opened)
    # Opened with the module: it shows the comparison again, and leaves it as it was before.
    resumed = Comparison(other)
    assert resumed.begun and not resumed.shown and resumed.nodes == opened
    resumed.resume()
    assert resumed.shown and not visibleIn(opened[1], columns(other)[0].sliceNode)
    resumed.leave()
    assert all(node.GetDisplayNode().GetViewNodeIDs() == () for node in opened)


def test_results_that_come_meanwhile_stay_out_of_the_columns():
    scene, volume, first, second = comparedScene()
    comparison = Comparison(scene)
    comparison.start(first, second)
    third = addResult(scene, volume, "new", twoMasks()[0])
    comparison.hideOthers()
    assert not any(visibleIn(third, column.sliceNode) for column in columns(scene))
    comparison.leave()
    assert third.GetDisplayNode().GetViewNodeIDs() == ()


def test_what_cannot_be_compared_changes_nothing():
    scene, _volume, first, second = comparedScene()
    difference = addDifference(scene, (tour := DifferenceTour(first, second)).masks, tour.found, ("a", "b"), [])
    before = sceneText(scene)
    comparison = Comparison(scene)
    for pair in ((first, first), (first, None), (None, None), (difference, first)):
        with pytest.raises(SegmentationError):
            comparison.start(*pair)
    assert sceneText(scene) == before and not comparison.begun


def test_without_views_it_is_said_so():
    scene, _volume, first, second = comparedScene()
    scene.RemoveNode(layoutOf(scene))
    with pytest.raises(SegmentationError, match="no views"):
        Comparison(scene).start(first, second)


def test_the_views_are_fitted_and_show_the_organ():
    scene, volume, first, second = comparedScene()

    class Logics:
        def __init__(self):
            self.logics = {}

        def GetSliceLogic(self, sliceNode):
            if sliceNode.GetID() not in self.logics:
                logic = slicer.vtkMRMLSliceLogic()
                logic.SetMRMLScene(scene)
                logic.SetSliceNode(sliceNode)
                self.logics[sliceNode.GetID()] = logic
            return self.logics[sliceNode.GetID()]

    comparison = Comparison(scene, Logics())
    comparison.start(first, second)
    comparison.frame()
    middle = np.argwhere(np.logical_or(*twoMasks()))[:, 0]
    low, high = 140.25 + 2.0 * middle.min(), 140.25 + 2.0 * middle.max()
    for column in columns(scene):
        assert low - 1.1 <= column.sliceNode.GetSliceOffset() <= high + 1.1
        assert column.sliceNode.GetFieldOfView()[0] >= 40 - 1e-6


def test_the_difference_is_two_segments_on_the_cts_voxels():
    scene, volume, first, second = comparedScene()
    tour = DifferenceTour(first, second, volume)
    node = addDifference(scene, tour.masks, tour.found, ("base", "gated"), ["vtkMRMLSliceNodeRed"])
    assert differenceNode(scene) is node and not node.GetSaveWithScene()
    segmentation = node.GetSegmentation()
    names = [segmentation.GetSegment(segmentId).GetName() for segmentId in ("onlyFirst", "onlySecond")]
    assert names == ["Only base", "Only gated"]
    one, other = twoMasks()
    for segmentId, expected in (("onlyFirst", one & ~other), ("onlySecond", other & ~one)):
        found = slicer.util.arrayFromSegmentBinaryLabelmap(node, segmentId, volume)
        assert np.array_equal(found > 0, expected)
    assert node.GetDisplayNode().GetViewNodeIDs() == ("vtkMRMLSliceNodeRed",)
    nodes = len(allNodes(scene))
    tour = DifferenceTour(first, first, volume)
    empty = addDifference(scene, tour.masks, tour.found, ("base", "base"), [])
    assert differenceNode(scene) is empty
    removeDifference(scene)
    assert differenceNode(scene) is None
    assert len(allNodes(scene)) == nodes - 2


def test_the_column_of_a_map_is_that_of_its_model_and_run():
    scene, volume, first, second = comparedScene()
    comparison = Comparison(scene)
    own, foreign = addMap(scene, volume, "gated"), addMap(scene, volume, "gated", run="20250101T000000.000000Z")
    assert comparison.columnOf(own) is None
    comparison.start(first, second)
    assert comparison.columnOf(own).sliceNode is columns(scene)[1].sliceNode
    assert comparison.columnOf(foreign) is None
    assert SHAPE == slicer.util.arrayFromVolume(volume).shape

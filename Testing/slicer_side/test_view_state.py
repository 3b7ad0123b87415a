"""What was changed for a view is put back exactly, also from a scene that was saved and opened again."""

from __future__ import annotations

import pytest

pytest.importorskip("slicer")

import slicer
import slicer.util
from views_builder import comparedScene

from AGUNETRSegmentLib.view_state import RememberedState


def test_the_first_value_is_the_one_that_comes_back():
    scene, _volume, first, _second = comparedScene()
    display = first.GetDisplayNode()
    display.SetOpacity2DFill(0.3)
    state = RememberedState(scene, "test")
    assert not state.active and state.nodes() == []
    for value in (0.1, 0.9):
        state.set(display, "Opacity2DFill", value)
    state.set(display, "ViewNodeIDs", ["vtkMRMLSliceNodeRed"])
    assert state.before(display, "Opacity2DFill") == 0.3 and state.before(display, "Visibility", "?") == "?"
    assert display.GetOpacity2DFill() == 0.9 and display.GetViewNodeIDs() == ("vtkMRMLSliceNodeRed",)
    state.restore()
    assert display.GetOpacity2DFill() == 0.3 and display.GetViewNodeIDs() == ()
    assert not state.active


def test_another_instance_finds_what_is_remembered():
    scene, volume, *_ = comparedScene()
    red = scene.GetNodeByID("vtkMRMLSliceCompositeNodeRed")
    RememberedState(scene, "test").set(red, "ForegroundVolumeID", volume.GetID())
    assert red.GetForegroundVolumeID() == volume.GetID()
    assert not RememberedState(scene, "other").active
    RememberedState(scene, "test").restore()
    assert not red.GetForegroundVolumeID()


def test_a_scene_that_was_added_to_another_one_brings_its_own_memory():
    scene, _volume, first, second = comparedScene()
    state = RememberedState(scene, "test")
    state.set(first.GetDisplayNode(), "Visibility", 0)
    state.node.SetAttribute("AGUNETR.remembers", "later")  # while the second one is made
    state.set(second.GetDisplayNode(), "Visibility", 0)
    node = next(found for found in slicer.util.getNodesByClass("vtkMRMLScriptedModuleNode", scene)
                if found.GetAttribute("AGUNETR.remembers") == "later")
    node.SetAttribute("AGUNETR.remembers", "test")
    state.restore()
    assert not state.active
    assert first.GetDisplayNode().GetVisibility() and second.GetDisplayNode().GetVisibility()


def test_deleted_nodes_are_left_out():
    scene, volume, first, second = comparedScene()
    red = scene.GetNodeByID("vtkMRMLSliceCompositeNodeRed")
    red.SetForegroundVolumeID(volume.GetID())
    state = RememberedState(scene, "test")
    state.set(red, "ForegroundVolumeID", None)
    state.set(first.GetDisplayNode(), "Visibility", 0)
    scene.RemoveNode(first.GetDisplayNode())
    state.set(second.GetDisplayNode(), "Visibility", 0)
    scene.RemoveNode(volume)
    state.restore()
    assert second.GetDisplayNode().GetVisibility() == 1
    assert not red.GetForegroundVolumeID(), "a deleted volume cannot come back"


def test_a_node_alone_can_be_put_back_or_forgotten():
    scene, _volume, first, second = comparedScene()
    state = RememberedState(scene, "test")
    for node in (first, second):
        state.set(node.GetDisplayNode(), "Visibility", 0)
    state.restoreNode(first.GetDisplayNode())
    state.forgetNode(second.GetDisplayNode())
    state.restore()
    assert first.GetDisplayNode().GetVisibility() == 1 and second.GetDisplayNode().GetVisibility() == 0

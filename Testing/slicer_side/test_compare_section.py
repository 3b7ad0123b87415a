"""The panel's comparison and attention maps, used as a user does: by clicks on the host."""

from __future__ import annotations

import sys

import pytest

pytest.importorskip("slicer")
pytest.importorskip("PySide6")

from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import host
import slicer
import slicer.util
from scene_builder import addVolume, orientationMatrix
from views_builder import SHAPE, addMap, addResult, allNodes, sceneText, twoMasks

LATER = "20270101T000000.000000Z"


@pytest.fixture
def panel(monkeypatch):
    """The open module on a scene with a CT and the results of two models; its worker is never started."""
    with host.application() as app:
        from AGUNETRSegmentLib.segment_panel import SegmentPanel

        monkeypatch.setattr(SegmentPanel, "refreshModelsOnce", lambda self: None)
        widget = app.openModule("AGUNETRSegment")
        scene = slicer.mrmlScene
        widget.volume = addVolume(scene, orientationMatrix((0, 1, 2), (-1, -1, 1), (1.0, 1.0, 2.0)), SHAPE)
        widget.volume.CreateDefaultDisplayNodes()
        widget.results = [addResult(scene, widget.volume, name, mask)
                          for name, mask in zip(("base", "gated"), twoMasks(), strict=True)]
        widget.map = addMap(scene, widget.volume)
        widget.app = app
        widget.panel.resultsChanged()
        app.processEvents()
        yield widget


def lasting() -> dict[str, str]:
    """The scene without the sizes of views, which are the window's, and without what the panel remembers."""
    return {key: text for key, text in sceneText(slicer.mrmlScene).items()
            if not key.startswith(("vtkMRMLSliceNode", "vtkMRMLScriptedModuleNode"))}


def layout() -> int:
    return slicer.app.layoutManager().layout


def composite(name: str):
    return slicer.mrmlScene.GetNodeByID(f"vtkMRMLSliceCompositeNode{name}")


def difference():
    return next((node for node in allNodes(slicer.mrmlScene)
                 if node.IsA("vtkMRMLSegmentationNode") and node.GetName() == "Difference"), None)


def test_compare_and_back(panel):
    from AGUNETRSegmentLib.comparison_layout import LAYOUT_ID

    ui, options = panel.ui, panel.panel.parameterNode.compare
    assert [options.first, options.second] == panel.results, "the newest run's models are chosen"
    host.click(ui.compareCollapsibleButton)
    before, layoutBefore = lasting(), layout()
    assert not ui.nextDifferenceButton.enabled and "first" in ui.nextDifferenceButton.toolTip
    host.click(ui.compareButton)
    assert layout() == LAYOUT_ID and ui.compareButton.checked
    assert ui.differenceLabel.text == "Only base: 0.1 ml. Only gated: 0.1 ml."
    assert difference() is not None
    for name, node in zip(("AGUNETRFirst", "AGUNETRSecond"), panel.results, strict=True):
        assert composite(name).GetBackgroundVolumeID() == panel.volume.GetID()
        assert node.GetDisplayNode().IsDisplayableInView(f"vtkMRMLSliceNode{name}")
    first = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceNodeAGUNETRFirst")
    panel.app.wait(lambda: first.GetFieldOfView()[1] >= 30)
    host.click(ui.compareButton)
    assert layout() == layoutBefore and not ui.compareButton.checked and difference() is None
    assert lasting() == before


def test_outline_fill_disagreement_and_the_next_difference(panel):
    ui = panel.ui
    host.click(ui.compareButton)
    display = panel.results[0].GetDisplayNode()
    assert not display.GetVisibility2DFill()
    host.choose(ui.compareStyleComboBox, "Filled")
    assert display.GetVisibility2DFill()
    host.click(ui.differenceCheckBox)
    assert difference() is None
    host.click(ui.nextDifferenceButton)
    assert difference() is None, "the differences are visited without being marked"
    assert "Difference 1 of 1" in ui.differenceLabel.text and ui.statusLabel.text == "", "it is said once"
    assert "only base marks" in ui.differenceLabel.text
    host.click(ui.differenceCheckBox)
    assert difference().GetDisplayNode().GetViewNodeIDs() == (
        "vtkMRMLSliceNodeAGUNETRFirst", "vtkMRMLSliceNodeAGUNETRSecond")


def test_choosing_other_segmentations_while_comparing(panel):
    ui = panel.ui
    third = addResult(slicer.mrmlScene, panel.volume, "third", twoMasks()[0])
    host.click(ui.compareButton)
    host.choose(ui.compareSecondSelector, third.GetName())
    assert panel.panel.sections["compare"].comparison.nodes == [panel.results[0], third]
    assert ui.differenceLabel.text == "base and third mark the same voxels."
    host.choose(ui.compareSecondSelector, panel.results[0].GetName())
    assert panel.panel.sections["compare"].comparison.nodes == [panel.results[0], third]
    host.click(ui.compareButton)
    assert not ui.compareButton.enabled and "two different" in ui.compareButton.toolTip


def test_another_layout_and_deleted_results_end_the_comparison(panel):
    ui = panel.ui
    host.click(ui.compareButton)
    slicer.app.layoutManager().setLayout(6)
    assert not ui.compareButton.checked and layout() == 6 and difference() is None
    host.click(ui.compareButton)
    slicer.mrmlScene.RemoveNode(panel.results[1])
    panel.app.processEvents()
    assert not ui.compareButton.checked and layout() == 6 and difference() is None


def test_a_new_run_is_compared_next(panel):
    from AGUNETRSegmentLib.nodes import ImportedResult

    ui = panel.ui
    host.click(ui.compareButton)
    new = {name: addResult(slicer.mrmlScene, panel.volume, name, mask, LATER)
           for name, mask in zip(("base", "gated"), twoMasks(), strict=True)}
    panel.panel.resultsChanged(ImportedResult(segmentations=new), {"models": []})
    assert panel.panel.sections["compare"].comparison.nodes == list(new.values())
    assert ui.compareButton.checked


def test_closing_the_scene_while_comparing(panel):
    host.click(panel.ui.attentionShownCheckBox)
    host.click(panel.ui.compareButton)
    before = layout()
    slicer.mrmlScene.Clear(0)
    panel.app.processEvents()
    assert layout() != before and not panel.ui.compareButton.checked and not panel.ui.compareButton.enabled
    assert not panel.ui.attentionShownCheckBox.enabled


def test_the_next_start_shows_the_layout_from_before_the_comparison(panel):
    before = layout()
    host.click(panel.ui.compareButton)
    panel.app.close()
    assert int(slicer.app.userSettings().value("MainWindow/layout")) == before != layout()


def test_the_comparison_outlives_a_visit_to_another_module(panel):
    host.click(panel.ui.compareButton)
    shown = layout()
    panel.app.leaveModule()
    assert layout() == shown
    panel.app.openModule("AGUNETRSegment")
    assert layout() == shown and panel.ui.compareButton.checked
    panel.app.leaveModule()
    slicer.app.layoutManager().setLayout(3)
    panel.app.openModule("AGUNETRSegment")
    assert layout() == 3 and not panel.ui.compareButton.checked


def test_a_map_is_no_ct(panel):
    """Maps of our own runs are scalar volumes, too."""
    offered = panel.ui.inputSelector
    assert panel.ui.attentionMapSelector.nodeCount() == 1 and offered.nodeCount() == 1
    addMap(slicer.mrmlScene, panel.volume, "another")
    panel.app.processEvents()
    assert panel.ui.attentionMapSelector.nodeCount() == 2 and offered.currentNode() is panel.volume
    slicer.mrmlScene.RemoveNode(panel.volume)
    panel.app.processEvents()
    assert offered.nodeCount() == 0 and offered.currentNode() is None


def test_a_map_over_the_slices_and_off_again(panel):
    ui = panel.ui
    before = lasting()
    host.click(ui.attentionShownCheckBox)
    for name in ("Red", "Yellow", "Green"):
        assert composite(name).GetForegroundVolumeID() == panel.map.GetID()
        assert composite(name).GetForegroundOpacity() == 0.5
    host.type_(ui.attentionOpacitySlider, "1")
    host.type_(ui.attentionThresholdSlider, "0")
    host.choose(ui.attentionColoursComboBox, "Viridis")
    assert composite("Red").GetForegroundOpacity() == 1.0
    assert panel.map.GetDisplayNode().GetApplyThreshold() == 0
    host.click(ui.attentionShownCheckBox)
    after = lasting()
    assert after == before


def test_only_the_gated_column_shows_the_map(panel):
    ui = panel.ui
    host.click(ui.compareButton)
    host.choose(ui.attentionViewsComboBox, "Only its model's views")
    host.click(ui.attentionShownCheckBox)
    assert composite("AGUNETRSecond").GetForegroundVolumeID() == panel.map.GetID()
    assert not composite("AGUNETRFirst").GetForegroundVolumeID() and not composite("Red").GetForegroundVolumeID()
    host.click(ui.compareButton)
    assert composite("Red").GetForegroundVolumeID() == panel.map.GetID()
    host.click(ui.attentionShownCheckBox)
    assert not any(composite(name).GetForegroundVolumeID() for name in ("AGUNETRFirst", "AGUNETRSecond", "Red"))


def test_another_gate_and_a_deleted_map(panel):
    ui = panel.ui
    second = addMap(slicer.mrmlScene, panel.volume, gate="enc2")
    host.click(ui.attentionShownCheckBox)
    host.choose(ui.attentionMapSelector, second.GetName())
    assert composite("Red").GetForegroundVolumeID() == second.GetID()
    slicer.mrmlScene.RemoveNode(second)
    panel.app.processEvents()
    shown = panel.panel.parameterNode.attention.map
    assert composite("Red").GetForegroundVolumeID() == (shown.GetID() if shown and shown.GetScene() else None)


def test_without_a_comparison_the_models_views_are_those_of_its_ct(panel):
    other = addVolume(slicer.mrmlScene, orientationMatrix((0, 1, 2), (-1, -1, 1)), SHAPE, name="other")
    for name, volume in (("Red", other), ("Green", panel.volume), ("Yellow", panel.volume)):
        composite(name).SetBackgroundVolumeID(volume.GetID())
    host.choose(panel.ui.attentionViewsComboBox, "Only its model's views")
    host.click(panel.ui.attentionShownCheckBox)
    shown = {name: bool(composite(name).GetForegroundVolumeID()) for name in ("Red", "Green", "Yellow")}
    assert shown == {"Red": False, "Green": True, "Yellow": True}


def test_a_map_that_is_deleted_while_another_module_is_shown_leaves_the_views(panel):
    before = {name: composite(name).GetForegroundOpacity() for name in ("Red", "Green", "Yellow")}
    host.click(panel.ui.attentionShownCheckBox)
    panel.app.leaveModule()
    slicer.mrmlScene.RemoveNode(panel.map)
    panel.app.processEvents()
    panel.app.openModule("AGUNETRSegment")
    assert {name: composite(name).GetForegroundOpacity() for name in before} == before
    assert not panel.panel.sections["attention"].overlay.shown


def test_the_run_chosen_in_the_results_is_what_is_offered(panel):
    later = [addResult(slicer.mrmlScene, panel.volume, name, mask, LATER)
             for name, mask in zip(("base", "gated"), twoMasks(), strict=True)]
    maps = [addMap(slicer.mrmlScene, panel.volume, gate=gate, run=LATER) for gate in ("enc1", "enc2")]
    panel.app.processEvents()
    ui, node = panel.ui, panel.panel.parameterNode
    node.attention.map = maps[1]
    addMap(slicer.mrmlScene, panel.volume, gate="enc2").SetName("first run's enc2")
    panel.app.processEvents()
    host.choose(ui.resultRunComboBox, ui.resultRunComboBox.itemText(1))
    assert [node.compare.first, node.compare.second] == panel.results
    assert node.attention.map.GetName() == "first run's enc2", "the gate stays"
    host.click(ui.compareButton)
    host.choose(ui.resultRunComboBox, ui.resultRunComboBox.itemText(0))
    assert panel.panel.sections["compare"].comparison.nodes == later and node.attention.map is maps[1]


def test_a_run_that_ends_while_another_module_is_shown_is_compared_next(panel):
    from AGUNETRSegmentLib.nodes import ImportedResult

    panel.app.leaveModule()
    new = {name: addResult(slicer.mrmlScene, panel.volume, name, mask, LATER)
           for name, mask in zip(("base", "gated"), twoMasks(), strict=True)}
    panel.panel.resultsChanged(ImportedResult(segmentations=new), {"models": []})
    panel.app.openModule("AGUNETRSegment")
    options = panel.panel.parameterNode.compare
    assert [options.first, options.second] == list(new.values())


def test_the_next_difference_moves_no_view_that_is_not_seen(panel):
    red = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceNodeRed")
    before = slicer.util.arrayFromVTKMatrix(red.GetSliceToRAS()).tolist()
    host.click(panel.ui.compareButton)
    host.click(panel.ui.nextDifferenceButton)
    assert panel.ui.differenceLabel.text.startswith("Difference 1")
    host.click(panel.ui.compareButton)
    assert slicer.util.arrayFromVTKMatrix(red.GetSliceToRAS()).tolist() == before
    assert panel.ui.differenceLabel.text == "", "the comparison's sentence goes with it"


def test_the_difference_follows_the_frame_that_a_sequence_shows(panel):
    table = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", "measurements")
    table.SetAttribute("AGUNETR.run", panel.results[0].GetAttribute("AGUNETR.run"))
    panel.app.processEvents()
    host.click(panel.ui.compareButton)
    assert panel.ui.differenceLabel.text == "Only base: 0.1 ml. Only gated: 0.1 ml."
    panel.results[0].GetSegmentation().GetSegment("spleen").DeepCopy(
        panel.results[1].GetSegmentation().GetSegment("spleen"))
    table.Modified()  # as the browser does with all results of a sequence
    panel.app.processEvents()
    assert panel.ui.differenceLabel.text == "base and gated mark the same voxels."


def test_a_reference_of_several_organs_is_told_once(panel):
    segmentation = panel.results[1].GetSegmentation()
    for name in ("liver", "kidney"):
        segment = slicer.vtkSegment()
        segment.DeepCopy(segmentation.GetSegment("spleen"))
        segment.SetName(name)
        segment.RemoveTag(slicer.vtkSegment.GetTerminologyEntryTagName())
        segmentation.AddSegment(segment, name)
    segmentation.RemoveSegment("spleen")
    host.click(panel.ui.compareButton)
    assert "cannot be told which of the 2 segments" in panel.ui.statusLabel.text
    panel.panel.say("something else")
    panel.panel.update()
    assert panel.ui.statusLabel.text == "something else"


def test_only_maps_of_gates_are_offered(panel):
    assert panel.ui.attentionMapSelector.nodeCount() == 1

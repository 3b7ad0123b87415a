"""An attention map over the slices, and the views as they were."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("slicer")

import slicer
import slicer.util
from views_builder import addMap, addResult, comparedScene, sceneText, twoMasks

from AGUNETRSegmentLib.attention_nodes import COLOUR_IDS, colourId, valueRange
from AGUNETRSegmentLib.attention_view import AttentionView, OverlayStyle, sliceCompositeNodes
from AGUNETRSegmentLib.result_pairs import mapToShow, pairToCompare
from AGUNETRSegmentLib.result_sets import resultSets

HAS_LEGEND = hasattr(getattr(slicer, "vtkSlicerColorLogic", None), "AddDefaultColorLegendDisplayNode")


@pytest.fixture
def shown():
    """A scene with two maps and another foreground in one of its views, and its text."""
    scene, volume, _first, _second = comparedScene()
    maps = [addMap(scene, volume, gate=gate) for gate in ("enc1", "enc2")]
    red = scene.GetNodeByID("vtkMRMLSliceCompositeNodeRed")
    red.SetForegroundVolumeID(volume.GetID())
    red.SetForegroundOpacity(0.3)
    red.SetCompositing(2)
    return scene, maps, sceneText(scene)


def composite(scene, name):
    return scene.GetNodeByID(f"vtkMRMLSliceCompositeNode{name}")


def test_every_view_shows_the_map_and_is_put_back(shown):
    scene, (first, _second), before = shown
    overlay = AttentionView(scene)
    overlay.show(first, sliceCompositeNodes(scene), OverlayStyle(opacity=0.7, threshold=0.2, colours="viridis"))
    for name in ("Red", "Yellow", "Green"):
        node = composite(scene, name)
        assert node.GetForegroundVolumeID() == first.GetID() and node.GetForegroundOpacity() == 0.7
        assert node.GetCompositing() == slicer.vtkMRMLSliceCompositeNode.Alpha
    display = first.GetDisplayNode()
    assert display.GetApplyThreshold() and display.GetLowerThreshold() == pytest.approx(0.2)
    assert display.GetUpperThreshold() >= 1.0
    assert display.GetColorNodeID() == colourId(scene, "viridis")
    assert (display.GetWindowLevelMin(), display.GetWindowLevelMax()) == (0.0, 1.0), "the scale stays fixed"
    overlay.hide()
    assert sceneText(scene) == before and not overlay.shown


def test_colours_can_be_spread_over_the_values_of_the_map(shown):
    scene, (first, _second), before = shown
    values = slicer.util.arrayFromVolume(first)
    values[:] = np.random.default_rng(3).uniform(0.6, 0.8, values.shape)
    overlay = AttentionView(scene)
    overlay.show(first, sliceCompositeNodes(scene), OverlayStyle(stretched=True))
    display = first.GetDisplayNode()
    assert display.GetWindowLevelMin() == pytest.approx(0.604, abs=0.02)
    assert display.GetWindowLevelMax() == pytest.approx(0.796, abs=0.02)
    overlay.show(first, sliceCompositeNodes(scene), OverlayStyle(stretched=False))
    assert (display.GetWindowLevelMin(), display.GetWindowLevelMax()) == pytest.approx((0.0, 1.0))
    overlay.hide()
    assert sceneText(scene) == before
    values[:] = 0.5
    assert valueRange(first) == (0.0, 1.0), "a map of one value has no range to spread"


def test_only_chosen_views(shown):
    scene, (first, _second), before = shown
    overlay = AttentionView(scene)
    overlay.show(first, sliceCompositeNodes(scene))
    overlay.show(first, [composite(scene, "Green")])
    assert composite(scene, "Green").GetForegroundVolumeID() == first.GetID()
    assert composite(scene, "Red").GetForegroundOpacity() == 0.3 and composite(scene, "Red").GetCompositing() == 2
    assert not composite(scene, "Yellow").GetForegroundVolumeID()
    overlay.hide()
    assert sceneText(scene) == before


def test_another_map_and_style_take_the_place_of_the_present_ones(shown):
    scene, (first, second), before = shown
    overlay = AttentionView(scene)
    overlay.show(first, sliceCompositeNodes(scene), OverlayStyle(threshold=0.5, colours="grey"))
    overlay.show(second, sliceCompositeNodes(scene), OverlayStyle(threshold=0.0))
    assert overlay.mapNode is second and not second.GetDisplayNode().GetApplyThreshold()
    assert first.GetDisplayNode().GetColorNodeID() == colourId(scene, "inferno"), "its own display is put back"
    assert all(node.GetForegroundVolumeID() == second.GetID() for node in sliceCompositeNodes(scene))
    overlay.hide()
    assert sceneText(scene) == before


def test_a_foreground_that_the_user_chose_meanwhile_stays(shown):
    scene, (first, second), _before = shown
    overlay = AttentionView(scene)
    overlay.show(first, sliceCompositeNodes(scene))
    composite(scene, "Yellow").SetForegroundVolumeID(second.GetID())
    composite(scene, "Yellow").SetForegroundOpacity(0.9)
    overlay.hide()
    assert composite(scene, "Yellow").GetForegroundVolumeID() == second.GetID()
    assert composite(scene, "Yellow").GetForegroundOpacity() == 0.9
    assert composite(scene, "Red").GetForegroundOpacity() == 0.3


def test_a_deleted_map_gives_the_views_back(shown):
    scene, (first, _second), before = shown
    overlay = AttentionView(scene)
    overlay.show(first, sliceCompositeNodes(scene))
    scene.RemoveNode(first)
    overlay.hide()
    after = sceneText(scene)
    for name in ("Red", "Yellow", "Green"):
        key = f"vtkMRMLSliceCompositeNode{name}"
        assert after[key] == before[key]


def test_a_reopened_scene_can_take_the_map_off(shown):
    scene, (first, _second), before = shown
    AttentionView(scene).show(first, sliceCompositeNodes(scene))
    again = AttentionView(scene)
    assert again.shown and again.mapNode is first
    again.hide()
    assert sceneText(scene) == before


@pytest.mark.skipif(not HAS_LEGEND, reason="this core has no colour legends")
def test_the_legend_comes_and_goes_with_the_map(shown):
    scene, (first, second), before = shown
    scene.RegisterNodeClass(slicer.vtkMRMLColorLegendDisplayNode())  # the module Colors does it in the application
    overlay = AttentionView(scene)

    def legends():
        return [scene.GetNthNodeByClass(index, "vtkMRMLColorLegendDisplayNode")
                for index in range(scene.GetNumberOfNodesByClass("vtkMRMLColorLegendDisplayNode"))]

    overlay.show(first, sliceCompositeNodes(scene))
    assert [legend.GetTitleText() for legend in legends()] == ["gated enc1"] and legends()[0].GetVisibility()
    overlay.show(first, sliceCompositeNodes(scene), OverlayStyle(legend=False))
    assert not any(legend.GetVisibility() for legend in legends())
    overlay.show(second, sliceCompositeNodes(scene))
    assert [legend.GetTitleText() for legend in legends()] == ["gated enc2"]
    overlay.hide()
    assert legends() == [] and sceneText(scene) == before


def test_every_colour_map_exists():
    scene, *_ = comparedScene()
    assert all(colourId(scene, name) for name in COLOUR_IDS)


def test_what_of_a_run_is_shown_first():
    scene, volume, first, second = comparedScene()
    newest = resultSets(scene)[0]
    assert pairToCompare(newest) == (first, second) and mapToShow(newest) is None
    enc2, enc1 = (addMap(scene, volume, gate=gate) for gate in ("enc2", "enc1"))
    newest = resultSets(scene)[0]
    assert mapToShow(newest) is enc1 and enc2
    # The model with maps is the gated one, whatever it is called.
    addMap(scene, volume, model="base")
    addMap(scene, volume, run="20270101T000000.000000Z")
    mask, run = twoMasks()[0], "20270101T000000.000000Z"
    later = [addResult(scene, volume, name, mask, run) for name in ("gated", "plain")]
    assert pairToCompare(resultSets(scene)[0]) == (later[1], later[0])
    scene.RemoveNode(later[0])
    assert pairToCompare(resultSets(scene)[0]) is None

"""Where two segmentations disagree: on the CT's voxels, in connected regions, quickly."""

from __future__ import annotations

import time

import numpy as np
import pytest

pytest.importorskip("slicer")

import slicer
import slicer.util
from scene_builder import addTransform, addVolume, orientationMatrix, rotation
from views_builder import SHAPE, addResult, comparedScene, sceneWithViews, twoMasks

from AGUNETRSegmentLib.difference_navigation import DifferenceTour, jumpSlices
from AGUNETRSegmentLib.disagreement import disagreement
from AGUNETRSegmentLib.errors import SegmentationError
from AGUNETRSegmentLib.segment_masks import commonMasks


def test_regions_are_sorted_and_say_who_marks_them():
    first, second = twoMasks()
    found = disagreement(first, second, 1.0)
    assert [(region.side, region.voxels) for region in found.regions] == [(0, 60), (1, 36), (1, 8)]
    assert found.smaller == 0
    sides = found.onlyFirst, found.onlySecond
    assert all(sides[region.side][region.centre] for region in found.regions)
    assert not (found.onlyFirst & found.onlySecond).any() and np.array_equal(found.onlyFirst, first & ~second)


def test_small_regions_are_only_counted_unless_all_are_small():
    first, second = twoMasks()
    found = disagreement(first, second, 1.0, smallestMl=10.0)
    assert [region.voxels for region in found.regions] == [60, 36] and found.smaller == 1
    found = disagreement(first, second, 1.0, smallestMl=1000.0)
    assert len(found.regions) == 3 and found.smaller == 0


def test_the_centre_of_a_crescent_lies_in_it():
    first = np.zeros((5, 40, 40), bool)
    first[2, 5:35, 5:35] = True
    second = first.copy()
    first[2, 5:35, 5:34] &= np.eye(30, 29, dtype=bool)[::-1] | (np.arange(30)[:, None] < 2)
    found = disagreement(first, second, 1.0)
    assert all((found.onlyFirst, found.onlySecond)[region.side][region.centre] for region in found.regions)


def test_equal_and_empty_masks_have_no_regions():
    first, _second = twoMasks()
    assert disagreement(first, first, 1.0).regions == []
    empty = np.zeros((0, 0, 0), bool)
    assert disagreement(empty, empty, 1.0).regions == []


def test_a_large_ct_takes_well_under_a_second(report_line):
    scene = sceneWithViews()
    shape = (300, 512, 512)
    volumeNode = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "CT")
    slicer.util.updateVolumeFromArray(volumeNode, np.zeros(shape, np.int8))
    volumeNode.SetSpacing(0.8, 0.8, 1.0)
    k, j, i = np.ogrid[:120, :200, :200]
    masks = []
    for shift in (0, 3):
        mask = np.zeros(shape, bool)
        ball = ((k - 60) / 55) ** 2 + ((j - 100) / 90) ** 2 + ((i - 97 - shift) / 90) ** 2 < 1
        mask[100:220, 200:400, 250:450] = ball
        masks.append(mask)
    masks[1][110:210, 205:395, 255:445] ^= np.random.default_rng(5).random((100, 190, 190)) < 0.002
    nodes = [addResult(scene, volumeNode, name, mask) for name, mask in zip(("base", "gated"), masks, strict=True)]
    disagreement(*twoMasks(), 1.0)  # SimpleITK is loaded once
    start = time.process_time()
    tour = DifferenceTour(*nodes, volumeNode)
    seconds = time.process_time() - start
    report_line(f"disagreement of two segmentations on 512 x 512 x 300 voxels: {seconds:.2f} s of CPU time")
    assert tour.found.onlyFirst.sum() == (masks[0] & ~masks[1]).sum()
    assert tour.found.smaller > 1000
    assert seconds < 5, "measured 0.3 s on one core; the bound only catches a wrong order of magnitude"


@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, -1, 1), (1, -1, -1)])
def test_masks_stand_on_the_voxels_of_the_ct(signs):
    scene = sceneWithViews()
    volumeNode = addVolume(scene, orientationMatrix((2, 0, 1), signs), SHAPE)
    first, second = twoMasks()
    nodes = [addResult(scene, volumeNode, name, mask) for name, mask in (("a", first), ("b", second))]
    masks = commonMasks(*nodes, volumeNode)
    assert masks.first.sum() == first.sum() and masks.second.sum() == second.sum()
    i, j, k = masks.offset
    depth, height, width = masks.first.shape
    box = np.s_[k:k + depth, j:j + height, i:i + width]
    assert np.array_equal(masks.first, first[box]) and np.array_equal(masks.second, second[box])
    assert masks.voxelMl == pytest.approx(0.8 * 1.1 * 2.5 / 1000)
    expected = volumeNode.GetImageData().GetPoint(volumeNode.GetImageData().ComputePointId((i, j, k)))
    matrix = orientationMatrix((2, 0, 1), signs)
    assert masks.world((0, 0, 0)) == pytest.approx((matrix @ [*expected, 1])[:3])


def test_segmentations_under_a_transform_and_on_other_voxels():
    scene, volumeNode, first, second = comparedScene()
    plain = commonMasks(first, second, volumeNode)
    place = plain.world((1, 2, 3))
    turn = addTransform(scene, rotation(20))
    for node in (volumeNode, first, second):
        node.SetAndObserveTransformNodeID(turn.GetID())
    turned = commonMasks(first, second, volumeNode)
    assert np.array_equal(turned.first, plain.first) and turned.voxelMl == pytest.approx(plain.voxelMl)
    expected = (rotation(20) @ [*place, 1])[:3]
    assert turned.world((1, 2, 3)) == pytest.approx(expected)
    # Only the CT and the first one were moved by a whole voxel: the second is resampled onto the CT's voxels.
    shift = addTransform(scene, np.array([[1, 0, 0, 1.0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]))
    for node in (volumeNode, first, second):
        node.SetAndObserveTransformNodeID(None if node is second else shift.GetID())
    moved = commonMasks(first, second, volumeNode)
    assert moved.first.sum() == plain.first.sum() and moved.second.sum() == plain.second.sum()
    assert (moved.first & moved.second).sum() < (plain.first & plain.second).sum()


def test_without_the_ct_the_first_segmentation_gives_the_voxels():
    scene, volumeNode, first, second = comparedScene()
    expected = commonMasks(first, second, volumeNode)
    scene.RemoveNode(volumeNode)
    found = commonMasks(first, second)
    assert np.array_equal(found.first, expected.first) and np.array_equal(found.second, expected.second)
    assert found.world((0, 0, 0)) == pytest.approx(expected.world((0, 0, 0)))


def test_empty_segmentations_and_such_without_a_segment():
    scene, volumeNode, first, _second = comparedScene()
    empty = addResult(scene, volumeNode, "empty", np.zeros(SHAPE, bool))
    masks = commonMasks(first, empty, volumeNode)
    assert masks.first.any() and not masks.second.any()
    assert commonMasks(empty, empty, volumeNode).first.size == 0
    none = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Nothing")
    with pytest.raises(SegmentationError, match='"Nothing" holds no segment'):
        commonMasks(first, none, volumeNode)


def test_the_tour_jumps_from_the_largest_to_the_smallest_and_round():
    scene, volumeNode, first, second = comparedScene()
    names = ("base", "gated")
    tour = DifferenceTour(first, second, volumeNode)
    assert tour.summary(names) == "Only base: 0.1 ml. Only gated: 0.1 ml."
    red = scene.GetNodeByID("vtkMRMLSliceNodeRed")
    offsets, texts = [], []
    for _click in range(3):
        texts.append(tour.next(scene, names))
        offsets.append(red.GetSliceOffset())
    assert texts[0] == "Difference 1 of 1: 0.12 ml that only base marks. 2 smaller ones are not visited."
    assert texts == [texts[0]] * 3 and len(set(offsets)) == 1
    assert offsets[0] == pytest.approx(tour.masks.world(tour.found.regions[0].centre)[2])


def test_the_tour_knows_when_a_segmentation_was_edited():
    scene, volumeNode, first, second = comparedScene()
    tour = DifferenceTour(first, second, volumeNode)
    assert tour.isCurrent(first, second) and not tour.isCurrent(second, first)
    slicer.util.updateSegmentBinaryLabelmapFromArray(np.ones(SHAPE, np.uint8), first, "spleen", volumeNode)
    assert not tour.isCurrent(first, second)
    tour = DifferenceTour(first, second, volumeNode)
    volumeNode.SetAndObserveTransformNodeID(addTransform(scene, rotation(10)).GetID())
    assert not tour.isCurrent(first, second)


def test_equal_segmentations_are_said_to_be_equal():
    scene, volumeNode, first, _second = comparedScene()
    other = addResult(scene, volumeNode, "copy", twoMasks()[0])
    tour = DifferenceTour(first, other, volumeNode)
    assert tour.next(scene, ("base", "copy")) == "base and copy mark the same voxels."


def test_a_view_is_moved_sideways_only_where_the_place_is_out_of_sight():
    scene, *_ = comparedScene()
    red = scene.GetNodeByID("vtkMRMLSliceNodeRed")
    red.SetDimensions(200, 200, 1)
    red.SetFieldOfView(100, 100, 1)
    jumpSlices(scene, (20.0, 10.0, 35.0))
    matrix = slicer.util.arrayFromVTKMatrix(red.GetSliceToRAS())
    assert matrix[:3, 3] == pytest.approx((0, 0, 35))
    jumpSlices(scene, (80.0, 10.0, 40.0))
    assert slicer.util.arrayFromVTKMatrix(red.GetSliceToRAS())[:3, 3] == pytest.approx((80, 10, 40))

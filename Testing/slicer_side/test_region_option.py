"""A markups ROI and the box that the engine searches are the same place."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("slicer")

import vtk
from bare_slicer import newScene


@pytest.fixture
def roi():
    """An ROI of 20 x 40 x 60 mm about (10, 20, 30) in a scene."""
    scene = newScene()
    node = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "around")
    node.SetXYZ(10, 20, 30)
    node.SetRadiusXYZ(10, 20, 30)
    yield node


def move(roi, matrix):
    transform = roi.GetScene().AddNewNodeByClass("vtkMRMLLinearTransformNode")
    transform.SetMatrixTransformToParent(matrix)
    roi.SetAndObserveTransformNodeID(transform.GetID())


def test_its_bounds_are_the_region(roi):
    from AGUNETRSegmentLib.region_option import regionOption

    assert regionOption(roi) == [[0.0, 20.0], [0.0, 40.0], [0.0, 60.0]]


def test_parent_transforms_count_and_a_turned_roi_gives_the_box_around_it(roi):
    from AGUNETRSegmentLib.region_option import regionOption

    turn = vtk.vtkTransform()
    turn.Translate(100, 0, 0)
    turn.RotateZ(90)
    move(roi, turn.GetMatrix())
    np.testing.assert_allclose(regionOption(roi), [[60, 100], [0, 20], [0, 60]], atol=1e-6)


def test_the_engine_takes_it(roi):
    from agunetr.inference.search import checked_region
    from AGUNETRSegmentLib.region_option import regionOption

    assert checked_region(regionOption(roi)) == ((0.0, 20.0), (0.0, 40.0), (0.0, 60.0))


def test_one_without_a_size_is_refused(roi):
    from AGUNETRSegmentLib.errors import SegmentationError
    from AGUNETRSegmentLib.region_option import regionOption

    roi.SetRadiusXYZ(0, 20, 30)
    with pytest.raises(SegmentationError, match="around.*no size") as refusal:
        regionOption(roi)
    assert refusal.value.kind == "input"

"""The largest piece stays, and what it encloses is filled."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from agunetr.inference.cleanup import bounding_slices, clean_mask, fill_holes, keep_largest

MASKS = arrays(np.uint8, st.tuples(*[st.integers(1, 7)] * 3), elements=st.integers(0, 1))


@given(mask=MASKS)
@settings(max_examples=60, deadline=None)
def test_same_as_scipy_on_the_whole_volume(mask):
    np.testing.assert_array_equal(fill_holes(mask), ndimage.binary_fill_holes(mask))
    pieces, count = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    sizes = ndimage.sum_labels(mask, pieces, range(1, count + 1))
    largest = keep_largest(mask)
    assert largest.sum() == (max(sizes) if count else 0)
    assert not np.any(largest > mask)
    assert ndimage.label(largest, structure=np.ones((3, 3, 3)))[1] == min(count, 1)


@given(mask=MASKS)
@settings(max_examples=30, deadline=None)
def test_cleaning_twice_changes_nothing(mask):
    once = clean_mask(mask)
    np.testing.assert_array_equal(clean_mask(once), once)
    assert once.dtype == np.uint8 and once.shape == mask.shape


def test_pieces_that_touch_at_a_corner_are_one():
    mask = np.zeros((4, 4, 4), np.uint8)
    mask[0, 0, 0] = mask[1, 1, 1] = 1
    mask[3, 3, 3] = 1
    assert keep_largest(mask).sum() == 2


def test_a_cavity_open_to_the_edge_of_the_scan_stays_open():
    mask = np.ones((5, 5, 5), np.uint8)
    mask[0:3, 2, 2] = 0
    np.testing.assert_array_equal(fill_holes(mask), mask)
    mask[0, 2, 2] = 1
    assert fill_holes(mask).all()


@pytest.mark.parametrize(
    ("largest", "holes", "voxels"), [(True, True, 27), (True, False, 26), (False, True, 28), (False, False, 27)]
)
def test_each_step_is_an_option(largest, holes, voxels):
    mask = np.zeros((8, 8, 8), np.uint8)
    mask[1:4, 1:4, 1:4] = 1
    mask[2, 2, 2] = 0
    mask[6, 6, 6] = 1
    assert clean_mask(mask, largest, holes).sum() == voxels


def test_bounding_box_of_one_voxel_and_of_nothing():
    mask = np.zeros((3, 4, 5), bool)
    assert bounding_slices(mask) is None
    mask[2, 1, 4] = True
    assert bounding_slices(mask) == (slice(2, 3), slice(1, 2), slice(4, 5))

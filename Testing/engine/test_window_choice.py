"""Windows are left out only where they do not count."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agunetr.inference.window_choice import Cells, shares, windows_for
from agunetr.inference.windows import gaussian_weights, lattice, padding, plan_windows

EVERYWHERE = Cells(np.ones((1, 1, 1), bool), (-100.0,) * 3, (1000.0,) * 3)


def _voxels(span, size):
    """The voxels of an axis that a span in continuous indices reaches into."""
    return [v for v in range(size) if v + 0.5 > span[0] and v - 0.5 < span[1]]


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(*[st.integers(3, 40)] * 3),
    overlap=st.sampled_from([0.0, 0.25, 0.5, 0.7]),
    first=st.tuples(*[st.integers(-5, 40)] * 3),
    length=st.tuples(*[st.integers(1, 20)] * 3),
)
def test_with_no_least_share_it_is_exactly_the_windows_that_touch_the_box(shape, overlap, first, length):
    window = (8, 12, 8)
    cells = Cells(np.ones((1, 1, 1), bool), tuple(n - 0.5 for n in first), tuple(map(float, length)))
    before = [pad for pad, _ in padding(shape, window)]
    touching = []
    for corner in itertools.product(*lattice(shape, window, overlap)):
        voxels = [set(_voxels((f - 0.5, f - 0.5 + n), size)) for f, n, size in zip(first, length, shape, strict=True)]
        seen = [range(start - pad, start - pad + edge) for start, pad, edge in zip(corner, before, window, strict=True)]
        if all(there & set(here) for there, here in zip(voxels, seen, strict=True)):
            touching.append(corner)
    assert windows_for(cells, shape, window, overlap, least_share=0.0) == touching


@pytest.mark.parametrize("overlap", [0.0, 0.5, 0.8])
def test_shares_of_every_voxel_add_up_to_one_and_are_those_of_the_weights(overlap):
    (starts, _, _), edge = lattice((50, 16, 16), (16, 16, 16), overlap), 16
    share = shares(starts, edge)
    np.testing.assert_allclose(share.sum(axis=0), 1.0)
    # In the middle of the other two axes, the three-dimensional weights' shares are those of the axis alone.
    line = gaussian_weights((16, 16, 16))[:, 8, 8].astype(float)
    total = np.zeros(50)
    for start in starts:
        total[start : start + 16] += line
    np.testing.assert_allclose(share[0, :16], line / total[:16], atol=0.01)


def test_everything_marked_takes_every_window_at_any_overlap():
    for overlap in (0.0, 0.3, 0.5, 0.75):
        chosen = windows_for(EVERYWHERE, (40, 9, 33), (16, 16, 16), overlap)
        assert len(chosen) == len(plan_windows((40, 9, 33), (16, 16, 16), overlap))


def test_a_window_that_only_grazes_the_part_is_left_out_and_a_margin_brings_it_back():
    # Windows at 0, 8, 16, 24 with 16 voxels: the one at 16 reaches two voxels, with its rim, into voxels 0 to 17.
    cells = Cells(np.ones((1, 1, 1), bool), (-0.5, -0.5, -0.5), (18.0, 16.0, 16.0))
    shape, window = (40, 16, 16), (16, 16, 16)
    rows = [corner[0] for corner in windows_for(cells, shape, window, 0.5)]
    assert rows == [0, 8]
    assert [corner[0] for corner in windows_for(cells, shape, window, 0.5, least_share=0.0)] == [0, 8, 16]
    assert [corner[0] for corner in windows_for(cells, shape, window, 0.5, (3.0, 0.0, 0.0))] == [0, 8, 16]


def test_with_no_overlap_nobody_else_sees_a_voxel_so_grazing_windows_stay():
    cells = Cells(np.ones((1, 1, 1), bool), (-0.5, -0.5, -0.5), (17.0, 16.0, 16.0))
    assert [corner[0] for corner in windows_for(cells, (48, 16, 16), (16, 16, 16), 0.0)] == [0, 16]


def test_a_curved_part_leaves_the_windows_in_the_corners_of_its_box_out():
    marked = np.zeros((4, 4, 1), bool)
    marked[[0, 1, 2, 3], [0, 1, 2, 3]] = True
    diagonal = Cells(marked, (-0.5,) * 3, (16.0, 16.0, 16.0))
    boxed = Cells(np.ones_like(marked), (-0.5,) * 3, (16.0, 16.0, 16.0))
    shape, window = (64, 64, 16), (16, 16, 16)
    along, around = (windows_for(cells, shape, window, 0.5) for cells in (diagonal, boxed))
    assert set(along) < set(around) and (0, 48, 0) not in along and (48, 48, 0) in along


def test_nothing_marked_or_marked_outside_takes_no_window():
    assert windows_for(Cells(np.zeros((2, 2, 2), bool), (0.0,) * 3, (4.0,) * 3), (20, 20, 20), (8, 8, 8), 0.5) == []
    outside = Cells(np.ones((1, 1, 1), bool), (30.0, 0.0, 0.0), (5.0, 5.0, 5.0))
    assert windows_for(outside, (20, 20, 20), (8, 8, 8), 0.5) == []

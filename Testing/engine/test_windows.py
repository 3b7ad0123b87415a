"""Windows lie and weigh as in MONAI."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.data.utils import compute_importance_map, dense_patch_slices
from monai.inferers.utils import _get_scan_interval

from agunetr.inference.windows import gaussian_weights, padding, plan_windows, window_starts

SIZES = st.tuples(*[st.integers(1, 40)] * 3)
EDGES = st.tuples(*[st.integers(6, 24)] * 3)


@settings(max_examples=50, deadline=None)
@given(shape=SIZES, window=EDGES, overlap=st.floats(0, 0.8))
def test_positions_are_monais(shape, window, overlap):
    padded = tuple(max(size, edge) for size, edge in zip(shape, window, strict=True))
    interval = _get_scan_interval(padded, window, 3, [overlap] * 3)
    assert plan_windows(shape, window, overlap) == dense_patch_slices(padded, window, interval)


@settings(max_examples=50, deadline=None)
@given(size=st.integers(1, 200), edge=st.integers(1, 40), overlap=st.floats(0, 0.99))
def test_every_voxel_is_covered_and_no_window_leaves_the_volume(size, edge, overlap):
    size = max(size, edge)
    starts = window_starts(size, edge, overlap)
    covered = np.zeros(size, bool)
    for start in starts:
        assert 0 <= start <= size - edge
        covered[start : start + edge] = True
    assert covered.all()
    assert len(set(starts)) == len(starts)


@pytest.mark.parametrize("window", [(96, 96, 96), (32, 16, 48), (1, 2, 3)])
def test_weights_are_monais(window):
    expected = compute_importance_map(window, mode="gaussian", sigma_scale=0.125).numpy()
    weights = gaussian_weights(window)
    assert weights.dtype == np.float32 and weights.shape == window
    np.testing.assert_allclose(weights, expected, rtol=1e-5)


def test_small_volumes_are_padded_evenly_with_the_odd_voxel_after():
    assert padding((16, 13, 40), (16, 16, 16)) == ((0, 0), (1, 2), (0, 0))


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (((8, 8, 8), (4, 4, 4), 1.0), "overlap"),
        (((8, 8, 8), (4, 4, 4), -0.1), "overlap"),
        (((8, 8, 8), (4, 4, 4), float("nan")), "overlap"),
        (((8, 8), (4, 4, 4), 0.5), "shape"),
        (((8, 8, 8), (4, 0, 4), 0.5), "window"),
    ],
)
def test_wrong_arguments_are_named(arguments, name):
    with pytest.raises(ValueError, match=name):
        plan_windows(*arguments)

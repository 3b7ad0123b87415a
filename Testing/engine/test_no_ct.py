"""Masks and maps that lie among CTs are known by their values, and CTs of any kind are not taken for them."""

from __future__ import annotations

import numpy as np
import pytest
from bright_scan import ball_mask, bright_scan

from agunetr.many_scans.no_ct import NoCtError, refuse_no_ct

SCAN = bright_scan()
RANDOM = np.random.default_rng(3)


def organs():
    """A label map of many touching organs: blocks of a few voxels, numbered."""
    blocks = RANDOM.integers(1, 118, (6, 12, 9))
    return blocks.repeat(5, 0).repeat(4, 1).repeat(5, 2)


@pytest.mark.parametrize(
    "values",
    [
        ball_mask(SCAN).astype(np.int16),
        ball_mask(SCAN).astype(np.float32) * 255,
        organs().astype(np.int16),
        organs().astype(np.float32),
    ],
)
def test_label_maps_are_refused(values):
    with pytest.raises(NoCtError) as caught:
        refuse_no_ct(values)
    assert f"a mask and no CT, its values are labels from 0 to {int(values.max())}." in str(caught.value)
    assert caught.value.kind == "no-ct" and "run of its own" in caught.value.remedy


def test_maps_of_probabilities_are_refused():
    with pytest.raises(NoCtError, match="map of probabilities"):
        refuse_no_ct(RANDOM.random((8, 9, 10), np.float32))


def noisy(deviation, offset=0.0):
    return (SCAN.array + RANDOM.normal(offset, deviation, SCAN.array.shape)).astype(np.float32)


@pytest.mark.parametrize(
    "values",
    [
        SCAN.array,  # below 0, so no noise is needed to tell
        noisy(8),
        np.clip(noisy(8, 1024), 0, None).astype(np.int16),  # shifted, the air clipped to 0
        (255 * np.clip((noisy(12) + 160) / 400, 0, 1)).astype(np.int16),  # windowed to a picture
        np.abs(noisy(8)) + 5.5,
        np.clip(noisy(80, 1024), 0, None).astype(np.int16).repeat(2, axis=2),  # enlarged: every voxel has its twin
    ],
)
def test_cts_are_let_through(values):
    refuse_no_ct(values)


def test_a_large_one_is_judged_by_some_of_its_sections(monkeypatch):
    monkeypatch.setattr("agunetr.many_scans.no_ct._SAMPLE_VOXELS", 5000)
    with pytest.raises(NoCtError):
        refuse_no_ct(ball_mask(SCAN))
    refuse_no_ct(np.clip(noisy(8, 1024), 0, None).astype(np.int16))

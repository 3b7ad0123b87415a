"""Notices about a mask name what a reader must know."""

from __future__ import annotations

import numpy as np
import pytest

from agunetr.inference.findings import mask_notices
from agunetr.inference.volume import Volume


def _scan(matrix: np.ndarray | None = None) -> Volume:
    return Volume(np.zeros((6, 7, 8), np.int16), np.eye(4) if matrix is None else matrix)


def test_no_spleen_gives_reasons():
    (notice,) = mask_notices(np.zeros((6, 7, 8), np.uint8), _scan())
    assert notice.kind == "no-spleen" and "Hounsfield" in notice.message


def test_a_spleen_inside_the_scan_is_not_commented_on():
    mask = np.zeros((6, 7, 8), np.uint8)
    mask[1:-1, 1:-1, 1:-1] = 1
    assert mask_notices(mask, _scan()) == []


@pytest.mark.parametrize(
    ("place", "flip", "side"),
    [
        (np.s_[0, 3, 3], 1, "inferior"),
        (np.s_[-1, 3, 3], 1, "superior"),
        (np.s_[0, 3, 3], -1, "superior"),
        (np.s_[3, 0, 3], 1, "posterior"),
        (np.s_[3, -1, 3], -1, "posterior"),
        (np.s_[3, 3, 0], 1, "left"),
        (np.s_[3, 3, -1], 1, "right"),
    ],
)
def test_the_side_that_cuts_the_spleen_is_the_patients_whatever_the_orientation(place, flip, side):
    mask = np.zeros((6, 7, 8), np.uint8)
    mask[place] = 1
    (notice,) = mask_notices(mask, _scan(np.diag([flip, flip, flip, 1.0])))
    assert notice.kind == "cut-by-edge" and f"the {side} edge" in notice.message


def test_several_sides_and_permuted_axes():
    mask = np.zeros((6, 7, 8), np.uint8)
    mask[:, 3, 3] = 1
    matrix = np.eye(4)[[2, 1, 0, 3]] * 0.5  # k runs to the right
    matrix[3, 3] = 1
    (notice,) = mask_notices(mask, _scan(matrix))
    assert "the left and right edges" in notice.message

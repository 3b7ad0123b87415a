"""The box around the body."""

from __future__ import annotations

import numpy as np

from agunetr.inference.body import body_box
from agunetr.inference.volume import Volume


def test_arms_against_the_flanks_do_not_widen_the_box():
    array = np.full((30, 100, 120), -1000, np.int16)
    array[:, 20:80, 35:85] = 40
    array[:, 40:60, 88:100] = 40  # an arm, 6 % of the trunk's area or less
    array[:, 49:51, 85:88] = 40  # its skin touches the flank
    volume = Volume(array, np.diag([3.0, 3.0, 3.0, 1.0]))
    (left, right), _, _ = body_box(volume, above=-175.0)
    assert left <= 35 - 3 and 85 + 3 <= right <= 92


def test_a_second_large_piece_widens_the_box():
    array = np.full((30, 100, 120), -1000, np.int16)
    array[:, 20:80, 10:50] = 40
    array[:, 20:80, 60:100] = 40
    (left, right), _, _ = body_box(Volume(array, np.diag([3.0, 3.0, 3.0, 1.0])), above=-175.0)
    assert left <= 10 and right >= 100

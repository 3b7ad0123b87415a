"""Which gates are recorded for a wish."""

from __future__ import annotations

import pytest

from agunetr.inference.attention import wanted_gates


@pytest.mark.parametrize(
    ("asked", "available", "recorded", "missing"),
    [
        ((), ("enc1", "enc2"), (), ()),
        (("all",), ("enc1", "enc2"), ("enc1", "enc2"), ()),
        (("all",), (), (), ()),
        (("enc2", "enc1"), ("enc1", "enc2"), ("enc1", "enc2"), ()),
        (("enc3", "enc2", "enc3"), ("enc1", "enc2"), ("enc2",), ("enc3",)),
        (("enc1",), (), (), ("enc1",)),
    ],
)
def test_gates_come_in_the_models_order(asked, available, recorded, missing):
    assert wanted_gates(asked, available) == (recorded, missing)

"""Places are restored and cleaned each by itself, and the mask is that of the whole scan."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from bright_scan import bright_scan

from agunetr.inference import resampling, restoring
from agunetr.inference.cleanup import clean_mask
from agunetr.inference.grids import tensor_volume
from agunetr.inference.resampling import prepare, restore
from agunetr.inference.restoring import mask_on_input


def _specks(size: tuple[int, ...], count: int, seed: int) -> torch.Tensor:
    generator = np.random.default_rng(seed)
    logits = torch.full(size, -6.0)
    for _ in range(count):
        corner = [int(generator.integers(0, n)) for n in size]
        edges = generator.integers(1, 9, 3)
        logits[tuple(slice(first, first + int(edge)) for first, edge in zip(corner, edges, strict=True))] = 4.0
    return logits


@pytest.mark.parametrize("largest", [True, False])
@pytest.mark.parametrize("holes", [True, False])
@pytest.mark.parametrize(
    ("count", "most_places", "slab"), [(1, 100, 1), (6, 100, 9999), (25, 100, 999999), (25, 3, 9999)]
)
def test_many_places_give_the_mask_of_the_whole(monkeypatch, largest, holes, count, most_places, slab):
    monkeypatch.setattr(resampling, "SLAB_VOXELS", slab)
    monkeypatch.setattr(restoring, "CELL_VOXELS", 4)
    monkeypatch.setattr(restoring, "MOST_PLACES", most_places)
    scan = bright_scan((1, 0, 2), (1, -1, 1))
    prepared = prepare(scan, (3.0, 3.0, 2.0), (-175.0, 250.0))
    for seed in range(3):
        logits = _specks(prepared.size, count, seed)
        probability = tensor_volume(torch.sigmoid(logits), prepared)
        expected = clean_mask(restore(probability, scan, negligible=0) > 0.5, largest, holes)
        assert expected.any()
        np.testing.assert_array_equal(mask_on_input(logits, prepared, scan, 0.5, largest, holes), expected)

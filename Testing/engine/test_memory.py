"""Preparing and restoring take the memory of what they return, not that of copies of the scan."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from bright_scan import bright_scan
from scipy import ndimage
from tiny_models import save_tiny, tiny_network

from agunetr.inference import axis_resampling
from agunetr.inference.cleanup import clean_mask
from agunetr.inference.grids import tensor_volume
from agunetr.inference.resampling import prepare, restore
from agunetr.inference.restoring import mask_on_input
from agunetr.inference.volume import Volume

RANGE = (-175.0, 250.0)


def _noise(shape: tuple[int, int, int]) -> Volume:
    matrix = np.diag([-0.7, -0.7, 1.3, 1.0])
    return Volume(np.random.default_rng(3).integers(-1000, 1000, shape, dtype=np.int16), matrix)


def _peak(work) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("axes", "flips"), [((0, 1, 2), (-1, -1, 1)), ((2, 0, 1), (1, -1, -1)), ((0, 2, 1), (1, 1, 1))]
)
@pytest.mark.parametrize("body_crop", [True, False])
@pytest.mark.parametrize("threads", [1, 3])
def test_a_prepared_scan_is_linear_between_voxels(monkeypatch, axes, flips, body_crop, threads):
    scan = bright_scan(axes, flips)
    monkeypatch.setattr(axis_resampling, "PLANES_A_THREAD", 2)
    monkeypatch.setattr(sitk.ProcessObject, "GetGlobalDefaultNumberOfThreads", lambda: threads)
    prepared = prepare(scan, (2.0, 1.7, 2.2), RANGE, body_crop)
    indices = np.stack(np.meshgrid(*map(np.arange, prepared.size), indexing="ij"), axis=-1)
    to_scan = np.linalg.inv(scan.ijk_to_ras)
    i, j, k = np.moveaxis(prepared.ras_of(indices) @ to_scan[:3, :3].T + to_scan[:3, 3], -1, 0)
    values = ndimage.map_coordinates(scan.array.astype(np.float64), (k, j, i), order=1, mode="nearest")
    low, high = RANGE
    expected = (np.clip(values, low, high) - low) / (high - low)
    np.testing.assert_allclose(prepared.array, expected.transpose(2, 1, 0), rtol=0, atol=1e-5)


def test_preparing_takes_little_more_than_the_result():
    scan = _noise((200, 96, 96))
    result = prepare(scan, (1.0, 1.0, 1.0), RANGE, body_crop=False)
    peak = _peak(lambda: prepare(scan, (1.0, 1.0, 1.0), RANGE, body_crop=False))
    assert peak < 1.3 * result.array.nbytes


def test_restoring_takes_the_memory_of_the_mask_and_of_the_organ():
    scan = Volume(np.zeros((160, 120, 120), np.int16), np.diag([1.0, 1.0, 1.0, 1.0]))
    logits = torch.full((120, 120, 160), -12.0)
    logits[40:60, 50:70, 80:110] = 12.0
    mask = mask_on_input(logits, scan, scan)
    assert mask.sum() == 20 * 20 * 30
    peak = _peak(lambda: mask_on_input(logits, scan, scan))
    # The probabilities of the whole scan alone would be four times the mask.
    assert peak < 1.5 * mask.nbytes


@pytest.mark.parametrize("threshold", [0.5, 0.05, 0.95])
def test_the_mask_is_that_of_the_whole_grids_probabilities(threshold):
    scan = bright_scan((1, 2, 0), (-1, 1, 1))
    prepared = prepare(scan, (3.0, 2.0, 2.5), RANGE)
    blobs = torch.randn(prepared.size, generator=torch.Generator().manual_seed(5))[None, None]
    logits = 12 * torch.nn.functional.avg_pool3d(blobs, 5, 1, 2)[0, 0] - 1.5 + np.log(threshold / (1 - threshold))
    probability = tensor_volume(torch.sigmoid(logits), prepared)
    expected = clean_mask(restore(probability, scan, negligible=0) > threshold)
    assert 0 < expected.sum() < expected.size / 2
    np.testing.assert_array_equal(mask_on_input(logits, prepared, scan, threshold), expected)
    assert not mask_on_input(torch.full(prepared.size, -9.0), prepared, scan, threshold).any()


def test_loading_a_network_draws_nothing_at_random_and_leaves_nothing_unfilled(tmp_path):
    network = tiny_network("agunetr-v1", seed=3)
    bundle = save_tiny(tmp_path, network=network, half=False)
    torch.manual_seed(9)
    before = torch.get_rng_state()
    loaded = bundle.network()
    assert torch.equal(torch.get_rng_state(), before)
    tensors = [value for module in loaded.modules() for value in vars(module).values() if torch.is_tensor(value)]
    assert not any(value.is_meta for value in [*tensors, *loaded.parameters(), *loaded.buffers()])
    assert all(weight.requires_grad for weight in loaded.parameters()) and not loaded.training
    image = torch.rand((1, 1, 32, 32, 32), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        torch.testing.assert_close(loaded(image), network(image), rtol=0, atol=0)

"""The GPU path on a real GPU; skipped where there is none. The steps of the memory ladder are in test_memory_ladder."""

from __future__ import annotations

import pytest
import torch
from bright_scan import ball_mask, bright_scan
from intensity_models import IntensityBundle, IntensityNetwork
from tiny_models import tiny_network

from agunetr.inference.device_memory import CudaMemory
from agunetr.inference.inferer import WindowInferer
from agunetr.inference.segmenter import Segmenter, SegmentOptions
from agunetr.inference.window_feed import WindowFeed
from agunetr.measures import dice_score

WINDOW = (16, 16, 16)
cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU here")
GPUS = [
    pytest.param("cuda", marks=cuda),
    pytest.param("mps", marks=pytest.mark.skipif(not torch.backends.mps.is_available(), reason="no MPS device here")),
]


def _image(*shape: int) -> torch.Tensor:
    return torch.rand((1, 1, *shape), generator=torch.Generator().manual_seed(4))


@pytest.mark.parametrize("device", GPUS)
@pytest.mark.parametrize(("batch", "stitch_on"), [(None, None), (3, None), (1, "cpu")])
def test_a_gpu_blends_the_same(device, batch, stitch_on):
    network = tiny_network("agunetr-v2", window=WINDOW)
    image = _image(41, 12, 33)

    def predict(windows):
        with network.recording_gates(), torch.backends.cudnn.flags(allow_tf32=False):
            return network(windows), network.gate_maps()

    expected = WindowInferer(WINDOW).infer(predict, image, ("enc1",))
    network.to(device)
    blended = WindowInferer(WINDOW, batch=batch, device=device, stitch_on=stitch_on).infer(predict, image, ("enc1",))
    assert blended.logits.device.type == "cpu" and blended.windows == expected.windows
    torch.testing.assert_close(blended.logits, expected.logits, rtol=0, atol=1e-3)
    torch.testing.assert_close(blended.gate_maps["enc1"], expected.gate_maps["enc1"], rtol=0, atol=1e-3)


@pytest.mark.parametrize("device", GPUS)
def test_a_whole_segmentation_on_a_gpu(device):
    scan = bright_scan()
    answer = Segmenter(SegmentOptions(device=device)).segment(scan, IntensityBundle())
    assert answer.device == device and dice_score(answer.mask, ball_mask(scan)) > 0.9


@cuda
def test_windows_sent_ahead_arrive_whole():
    image, device = _image(64, 64, 64), torch.device("cuda")
    feed = WindowFeed(image, WINDOW, [(0, 0)] * 3, device)
    batches = [[(r, a, 0), (r, a, 48)] for r in range(0, 49, 4) for a in range(0, 49, 4)]
    busy = torch.zeros((2048, 2048), device=device)
    for batch, following in zip(batches, [*batches[1:], []], strict=True):
        windows = feed.windows(batch)
        busy = busy @ busy  # keeps the GPU behind, so that a buffer that is written too early would show
        feed.send_ahead(following)
        for window, corner in zip(windows[:, 0], batch, strict=True):
            assert torch.equal(window.cpu(), feed.cut(corner))


@cuda
def test_memory_is_measured():
    device = torch.device("cuda")
    memory = CudaMemory(device)
    free = memory.free_bytes()
    memory.start()
    held = torch.zeros(25_000_000, device=device)
    taken = torch.zeros(50_000_000, device=device)
    del taken
    assert 290e6 < memory.peak_bytes() < 330e6
    assert 90e6 < free - memory.free_bytes() < 330e6
    del held
    batches = []
    network = IntensityNetwork().to(device)

    def predict(windows):
        batches.append(len(windows))
        return network(windows)

    WindowInferer(WINDOW, batch=None, device=device).infer(predict, _image(64, 64, 64))
    assert batches[0] == 1 and max(batches) > 1

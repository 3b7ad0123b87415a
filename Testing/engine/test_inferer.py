"""The blended answer is MONAI's, in less memory, with progress and cancel between windows."""

from __future__ import annotations

import gc
import itertools

import pytest
import torch
from intensity_models import IntensityNetwork
from monai.inferers import sliding_window_inference
from tiny_models import tiny_network

from agunetr.errors import Cancelled, ModelError
from agunetr.inference.blending import AIR_LOGIT, Blend
from agunetr.inference.inferer import WindowInferer
from agunetr.inference.window_feed import WindowFeed
from agunetr.inference.windows import gaussian_weights, lattice, padding

WINDOW = (16, 16, 16)


def _image(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand((1, 1, *shape), generator=torch.Generator().manual_seed(seed))


def _with_maps(network):
    def predict(windows):
        with network.recording_gates():
            logits = network(windows)
            return logits, network.gate_maps()

    return predict


@pytest.mark.parametrize(("shape", "overlap", "batch"), [((33, 18, 35), 0.5, 2), ((7, 16, 5), 0, 4)])
def test_logits_and_gate_maps_equal_monais_sliding_window(shape, overlap, batch):
    network = tiny_network("agunetr-v2", window=WINDOW)
    image = _image(*shape)
    predict = _with_maps(network)
    blended = WindowInferer(WINDOW, overlap, batch).infer(predict, image, gates=("enc1", "enc2"))

    def flat(windows):
        logits, maps = predict(windows)
        return logits, maps["enc1"], maps["enc2"]

    with torch.no_grad():
        logits, enc1, enc2 = sliding_window_inference(image, WINDOW, batch, flat, overlap, mode="gaussian")
    difference = (logits[:, 1] - logits[:, 0])[0]
    assert blended.logit_difference.shape == shape
    assert difference.std() > 1e-3
    torch.testing.assert_close(blended.logit_difference, difference, rtol=0, atol=1e-5)
    torch.testing.assert_close(blended.gate_maps["enc1"], enc1[0, 0], rtol=0, atol=1e-5)
    torch.testing.assert_close(blended.gate_maps["enc2"], enc2[0, 0], rtol=0, atol=1e-5)
    assert not blended.logits.requires_grad


@pytest.mark.parametrize(
    ("channels", "shape", "overlap", "batch"),
    [(1, (20, 17, 23), 0.5, 1), (2, (20, 17, 23), 0.25, 3), (2, (8, 8, 8), 0.5, 1), (2, (5, 21, 7), 0.6, 2)]
    + [(3, (9, 8, 30), 0.75, 4), (4, (20, 17, 23), 0, 2)],
)
def test_any_number_of_classes_and_any_lattice(channels, shape, overlap, batch):
    mixing = torch.randn((channels, 1), generator=torch.Generator().manual_seed(channels))
    image = _image(*shape)

    def predict(windows):
        # Not linear, and different at each place of the window, so that the blending matters.
        place = torch.linspace(0, 1, windows.shape[-1])
        return torch.sin(windows * mixing.view(1, channels, 1, 1, 1) * 3 + place)

    blended = WindowInferer((8, 8, 8), overlap, batch).infer(predict, image)
    expected = sliding_window_inference(image, (8, 8, 8), batch, predict, overlap, mode="gaussian")[0]
    if channels > 1:
        expected = expected[1:] - expected[:1]
    torch.testing.assert_close(blended.logits, expected, rtol=0, atol=1e-5)
    if channels > 2:
        with pytest.raises(ValueError, match="two classes"):
            _ = blended.logit_difference


def test_memory_does_not_grow_with_the_number_of_windows():
    def live_bytes() -> int:
        storages = [thing.untyped_storage() for thing in gc.get_objects() if type(thing) is torch.Tensor]
        return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())

    predict = _with_maps(IntensityNetwork(gates=("enc1",)))

    def most(overlap: float, look_every: int) -> tuple[int, int]:
        calls, seen = [0], []

        def measured(windows):
            calls[0] += 1
            if calls[0] > 1 and calls[0] % look_every == 0:  # after the first window, when the sums exist
                seen.append(live_bytes())
            return predict(windows)

        windows = WindowInferer((8, 8, 8), overlap).infer(measured, _image(20, 20, 20), gates=("enc1",)).windows
        return windows, max(seen)

    few, few_bytes = most(0.5, look_every=20)
    many, many_bytes = most(0.75, look_every=150)
    assert many > 5 * few
    assert many_bytes <= few_bytes


def test_only_the_box_that_the_windows_cover_has_sums():
    weights = torch.from_numpy(gaussian_weights((8, 8, 8)))
    # Two rows that lie alike, one that does not, and a gap of one row between them; far from the grid's first voxel.
    corners = [(90, 50, 50), (90, 54, 50), (94, 50, 50), (94, 54, 50), (106, 50, 54)]
    blend = Blend((200, 100, 100), (8, 8, 8), weights, corners)
    blend.add(corners, torch.arange(1.0, 6.0).view(5, 1, 1, 1, 1).expand(5, 1, 8, 8, 8), {})
    assert blend._logits.shape == (1, 24, 12, 12)
    logits, _ = blend.finish()
    total, weight = torch.zeros(200, 100, 100), torch.zeros(200, 100, 100)
    for value, corner in enumerate(corners, start=1):
        window = tuple(slice(first, first + 8) for first in corner)
        total[window] += value * weights
        weight[window] += weights
    expected = torch.where(weight > 0, total / weight, AIR_LOGIT)
    torch.testing.assert_close(logits[0], expected, rtol=0, atol=1e-5)
    assert float(logits[0, 102, 52, 52]) == AIR_LOGIT  # between the rows, inside the box


def test_a_chain_of_windows_with_a_gap_is_no_whole_lattice():
    weights = torch.from_numpy(gaussian_weights((8, 8, 8)))
    corners = [(0, 0, 0), (16, 0, 0)]
    blend = Blend((24, 8, 8), (8, 8, 8), weights, corners)
    blend.add(corners, torch.ones(2, 1, 8, 8, 8), {"enc1": torch.ones(2, 1, 8, 8, 8)})
    logits, maps = blend.finish(["enc1"])
    assert bool((logits[0, 8:16] == AIR_LOGIT).all()) and bool((maps["enc1"][8:16] == 0).all())
    torch.testing.assert_close(maps["enc1"][16:], torch.ones(8, 8, 8))
    nowhere, maps = Blend((4, 4, 4), (4, 4, 4), torch.ones(4, 4, 4), []).finish(["enc1"])
    assert bool((nowhere == AIR_LOGIT).all()) and not maps["enc1"].any()


@pytest.mark.parametrize("shape", [(5, 21, 7), (8, 8, 8), (1, 1, 20), (7, 16, 9)])
def test_windows_are_cut_as_if_the_image_were_padded_without_copying_it(shape):
    image, window = _image(*shape), (8, 8, 8)
    margins = padding(shape, window)
    feed = WindowFeed(image, window, margins, torch.device("cpu"))
    padded = torch.nn.functional.pad(image, [n for pair in reversed(margins) for n in pair])[0, 0]
    corners = list(itertools.product(*lattice(shape, window, 0.5)))
    for corner in corners:
        expected = padded[tuple(slice(first, first + 8) for first in corner)]
        assert torch.equal(feed.cut(corner), expected)
    batch = feed.windows(corners)
    assert batch.shape == (len(corners), 1, 8, 8, 8) and torch.equal(batch[-1, 0], feed.cut(corners[-1]))
    if min(shape) >= 8:
        assert feed.cut(corners[0]).untyped_storage().data_ptr() == image.untyped_storage().data_ptr()


def test_progress_counts_windows_and_cancel_comes_between_them():
    told = []
    network = IntensityNetwork()
    inferer = WindowInferer((8, 8, 8), 0.5, batch=2)
    result = inferer.infer(network, _image(20, 8, 8), progress=lambda *step: told.append(step))
    assert result.windows == 4
    assert told == [("windows", 0, 4), ("windows", 2, 4), ("windows", 4, 4)]

    network.calls = 0
    with pytest.raises(Cancelled):
        inferer.infer(network, _image(20, 8, 8), cancelled=lambda: network.calls >= 1)
    assert network.calls == 1


def test_windows_of_air_are_skipped_only_on_request_and_count_as_background():
    image = torch.zeros((1, 1, 40, 16, 16))
    image[:, :, :12] = 0.9
    network = IntensityNetwork(level=-0.1)  # calls air foreground
    seen = WindowInferer((16, 16, 16), 0.5).infer(network, image)
    assert seen.skipped == 0 and bool((seen.logit_difference > 0).all())
    network.calls = 0
    spared = WindowInferer((16, 16, 16), 0.5, skip_air=True).infer(network, image)
    assert (spared.windows, spared.skipped, network.calls) == (2, 2, 2)
    assert bool((spared.logit_difference[:8] > 0).all()) and bool((spared.logit_difference[24:] < -10).all())
    blank = WindowInferer((16, 16, 16), skip_air=True).infer(network, torch.zeros_like(image))
    assert blank.windows == 0 and bool((blank.logit_difference < -10).all())


def test_values_that_are_not_finite_are_refused():
    with pytest.raises(ModelError, match="not finite.*exact"):
        WindowInferer((8, 8, 8)).infer(lambda windows: torch.cat([windows, windows / 0], 1), torch.zeros(1, 1, 8, 8, 8))


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="batch"):
        WindowInferer((8, 8, 8), batch=0)
    assert WindowInferer((8, 8, 8), batch=None).batch is None
    with pytest.raises(ValueError, match="overlap"):
        WindowInferer((8, 8, 8), overlap=1)
    with pytest.raises(ValueError, match="window"):
        WindowInferer((8, 8))
    inferer = WindowInferer((8, 8, 8))
    with pytest.raises(ValueError, match="image"):
        inferer.infer(IntensityNetwork(), torch.zeros(8, 8, 8))
    with pytest.raises(ValueError, match="predict must return"):
        inferer.infer(lambda windows: windows[..., :4], torch.zeros(1, 1, 8, 8, 8))
    with pytest.raises(ValueError, match="enc1"):
        inferer.infer(IntensityNetwork(), torch.zeros(1, 1, 8, 8, 8), gates=("enc1",))

"""The blended answer is MONAI's, in less memory, with progress and cancel between windows."""

from __future__ import annotations

import gc

import pytest
import torch
from intensity_models import IntensityNetwork
from monai.inferers import sliding_window_inference
from tiny_models import tiny_network

from agunetr.errors import Cancelled, ModelError
from agunetr.inference.inferer import WindowInferer

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

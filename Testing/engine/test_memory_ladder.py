"""What is given up where a device has too little memory, that it is told, and that the answer stays the same."""

from __future__ import annotations

import gc
import logging
import weakref

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from intensity_models import IntensityNetwork
from small_device import CPU, GPU, SmallDevice

from agunetr.errors import MemoryExhausted, ModelError, Notice
from agunetr.inference.blending import Blend
from agunetr.inference.device_memory import MOST_WINDOWS, windows_that_fit, without_frames
from agunetr.inference.inferer import BlendedOutput, WindowInferer
from agunetr.inference.memory_ladder import NOTICE, MemoryLadder

WINDOW = (8, 8, 8)
WINDOW_BYTES = 1_000_000
SUMS_BYTES = 20 * 12 * 8 * 4
PLENTY = 1 << 40


def _image(*shape: int) -> torch.Tensor:
    return torch.rand((1, 1, *(shape or (20, 12, 8))), generator=torch.Generator().manual_seed(1))


def _gated(network: IntensityNetwork):
    def predict(windows: torch.Tensor):
        with network.recording_gates():
            return network(windows), network.gate_maps()

    return predict


def _on_plenty(image: torch.Tensor, gates: tuple[str, ...] = ()) -> BlendedOutput:
    return WindowInferer(WINDOW).infer(_gated(IntensityNetwork(gates=gates)), image, gates)


def _infer(small: SmallDevice, batch: int | None, image: torch.Tensor, gates: tuple[str, ...] = ()):
    told: list[Notice] = []
    inferer = WindowInferer(WINDOW, batch=batch, device=GPU)
    predict = small.predictor(_gated(IntensityNetwork(gates=gates)))
    return inferer.infer(predict, image, gates, tell=told.append), [notice.message for notice in told]


def test_the_batch_is_halved_until_it_fits_and_every_window_counts_once(monkeypatch, caplog):
    small = SmallDevice(2 * WINDOW_BYTES + 100_000, WINDOW_BYTES).install(monkeypatch)
    image = _image()
    with caplog.at_level(logging.WARNING, "agunetr"):
        blended, told = _infer(small, 8, image)
    assert small.batches == [8, 4, 2, 2, 2, 2]
    assert told == [
        "The GPU ran out of memory, so 4 windows were computed at a time instead of 8.",
        "The GPU ran out of memory, so 2 windows were computed at a time instead of 4.",
    ]
    assert [record.getMessage() for record in caplog.records] == told
    assert (blended.batch, blended.windows) == (2, 8)
    torch.testing.assert_close(blended.logits, _on_plenty(image).logits, rtol=0, atol=0)


def test_the_sums_go_to_the_cpu_when_one_window_at_a_time_is_still_too_much(monkeypatch):
    # The first window fits while there are no sums yet; the second one does not fit beside them.
    small = SmallDevice(WINDOW_BYTES + SUMS_BYTES // 2, WINDOW_BYTES).install(monkeypatch)
    image = _image()
    blended, told = _infer(small, 1, image, ("enc1",))
    assert told == [
        "The GPU ran out of memory, so the windows' answers were put together in the machine's own memory, "
        "which is slower."
    ]
    assert small.held == 0 and small.batches == [1] * 9 and small.failed == 1
    expected = _on_plenty(image, ("enc1",))
    torch.testing.assert_close(blended.logits, expected.logits, rtol=0, atol=0)
    torch.testing.assert_close(blended.gate_maps["enc1"], expected.gate_maps["enc1"], rtol=0, atol=0)


def test_memory_that_vanishes_half_way_loses_no_window(monkeypatch):
    small = SmallDevice(PLENTY, WINDOW_BYTES).install(monkeypatch)
    image = _image(40, 12, 8)
    predict, told = small.predictor(_gated(IntensityNetwork())), []

    def another_program_starts(windows: torch.Tensor):
        if len(small.batches) == 2:
            small.budget = 2 * WINDOW_BYTES  # less than two windows and the sums
        return predict(windows)

    inferer = WindowInferer(WINDOW, batch=4, device=GPU)
    blended = inferer.infer(another_program_starts, image, tell=told.append)
    # 18 windows: 8 of them before, and none of these again; four and then two together fail.
    assert small.batches == [4, 4, 4, 2, *[1] * 10]
    assert len(told) == 2
    torch.testing.assert_close(blended.logits, _on_plenty(image).logits, rtol=0, atol=0)


def test_when_nothing_is_left_to_give_up_the_error_says_what_helps(monkeypatch):
    small = SmallDevice(WINDOW_BYTES - 1, WINDOW_BYTES).install(monkeypatch)
    with pytest.raises(MemoryExhausted, match="even with one window at a time") as caught:
        _infer(small, 2, _image())
    assert "--allow-cpu" in caught.value.remedy
    assert small.batches == [2, 1, 1]


def test_a_cpu_gives_up_larger_batches_too_and_keeps_its_own_remedy(monkeypatch):
    small = SmallDevice(WINDOW_BYTES, WINDOW_BYTES)
    image, told = _image(), []
    predict = small.predictor(IntensityNetwork())
    blended = WindowInferer(WINDOW, batch=4).infer(predict, image, tell=told.append)
    assert small.batches == [4, 2, *[1] * 8] and len(told) == 2
    torch.testing.assert_close(blended.logits, _on_plenty(image).logits, rtol=0, atol=0)
    small.budget = 0
    with pytest.raises(MemoryExhausted) as caught:
        WindowInferer(WINDOW).infer(predict, image)
    assert caught.value.remedy == "Choose the device cpu."


def test_memory_that_is_short_at_the_very_end_moves_the_sums(monkeypatch):
    image = _image()
    # Room for one window, the sums and no more: the weights' sums do not fit.
    small = SmallDevice(SUMS_BYTES + 100, 100).install(monkeypatch)
    blended, told = _infer(small, 1, image)
    assert len(told) == 1 and "machine's own memory" in told[0]
    assert small.batches == [1] * 8
    torch.testing.assert_close(blended.logits, _on_plenty(image).logits, rtol=0, atol=0)


@given(budget=st.integers(0, 6 * SUMS_BYTES), cost=st.integers(1, 2 * SUMS_BYTES), batch=st.integers(1, 9))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_with_any_memory_there_is_the_same_answer_or_an_error(budget, cost, batch):
    image = _image()
    with pytest.MonkeyPatch.context() as patch:
        small = SmallDevice(budget, cost).install(patch)
        try:
            blended, told = _infer(small, batch, image, ("enc1",))
        except MemoryExhausted:
            assert cost > budget
            return
    assert cost <= budget
    expected = _on_plenty(image, ("enc1",))
    torch.testing.assert_close(blended.logits, expected.logits, rtol=0, atol=0)
    torch.testing.assert_close(blended.gate_maps["enc1"], expected.gate_maps["enc1"], rtol=0, atol=0)
    assert bool(told) == (small.failed > 0 or "machine's own memory" in "".join(told))


def test_the_first_window_shows_how_many_fit(monkeypatch):
    small = SmallDevice(int(5.5 * WINDOW_BYTES), WINDOW_BYTES).install(monkeypatch)
    image = _image()
    blended, told = _infer(small, None, image)
    assert small.batches == [1, 4, 3] and told == [] and blended.batch == 4
    torch.testing.assert_close(blended.logits, _on_plenty(image).logits, rtol=0, atol=0)
    wide = SmallDevice(PLENTY, WINDOW_BYTES).install(monkeypatch)
    _infer(wide, None, _image(40, 12, 8))
    assert wide.batches == [1, MOST_WINDOWS, MOST_WINDOWS, 1]
    assert WindowInferer(WINDOW, batch=None).infer(IntensityNetwork(), image).batch == 1  # a CPU is not measured


def test_how_many_windows_fit():
    assert windows_that_fit(free_bytes=1000, window_bytes=200) == 4
    assert windows_that_fit(free_bytes=10, window_bytes=200) == 1
    assert windows_that_fit(free_bytes=PLENTY, window_bytes=0) == MOST_WINDOWS


def test_a_failed_try_lets_its_memory_go():
    held = []

    def fails() -> None:
        activations = torch.zeros(10)
        held.append(weakref.ref(activations))
        try:
            raise RuntimeError("CUDA out of memory")
        except RuntimeError as error:
            raise MemoryExhausted("The GPU ran out of memory.") from error

    try:
        fails()
    except MemoryExhausted as error:
        kept = without_frames(error)
    gc.collect()
    assert held[0]() is None
    assert kept.message == "The GPU ran out of memory." and kept.__cause__ is None


def test_other_errors_are_not_taken_for_a_lack_of_memory(monkeypatch):
    small = SmallDevice(PLENTY, WINDOW_BYTES).install(monkeypatch)
    with pytest.raises(RuntimeError, match="illegal"):
        WindowInferer(WINDOW, batch=4, device=GPU).infer(_raising(RuntimeError("an illegal instruction")), _image())
    # A GPU is asked for the last batch only when all are on their way: it must be asked all the same.
    last = small.predictor(IntensityNetwork())

    def broken_at_the_end(windows: torch.Tensor):
        logits = last(windows)
        return logits / 0 if len(small.batches) == 8 else logits

    with pytest.raises(ModelError, match="not finite"):
        WindowInferer(WINDOW, device=GPU).infer(broken_at_the_end, _image())


def test_steps_in_order():
    told = []
    ladder = MemoryLadder(GPU, 5, GPU, told.append)
    error = MemoryExhausted("The GPU X ran out of memory.", "Buy another.")
    for tried, batch, stitch_on in [(5, 2, GPU), (2, 1, GPU), (1, 1, CPU)]:
        ladder.step_down(error, tried)
        assert (ladder.batch, ladder.stitch_on) == (batch, stitch_on)
    assert {notice.kind for notice in told} == {NOTICE} and len(told) == 3
    assert "one window was computed at a time instead of 2" in told[1].message
    with pytest.raises(MemoryExhausted, match="The GPU X ran out of memory, even"):
        ladder.step_down(error, 1)


def _raising(error: Exception):
    def predict(windows: torch.Tensor):
        raise error

    return predict


def test_copies_that_find_no_memory_at_the_end_can_be_made_again(monkeypatch):
    weights = torch.ones(4, 4, 4)
    blend = Blend((4, 4, 4), (4, 4, 4), weights, [(0, 0, 0)])
    blend.add([(0, 0, 0)], torch.full((1, 1, 4, 4, 4), 3.0), {"enc1": torch.full((1, 1, 4, 4, 4), 0.5)})
    copy, calls = Blend._on_grid, []

    def short_of_memory(self, total, elsewhere):
        calls.append(elsewhere)
        if len(calls) == 2:
            raise MemoryExhausted("Too little.")
        return copy(self, total, elsewhere)

    monkeypatch.setattr(Blend, "_on_grid", short_of_memory)
    with pytest.raises(MemoryExhausted):
        blend.finish(["enc1"])
    logits, maps = blend.finish(["enc1"])
    assert (logits == 3.0).all() and (maps["enc1"] == 0.5).all()


def test_what_is_not_needed_now_goes_first():
    told, room = [], [True]
    ladder = MemoryLadder(GPU, 4, GPU, told.append, lambda: bool(room) and room.pop())
    error = MemoryExhausted("The GPU ran out of memory.", "")
    ladder.step_down(error, tried=4)
    assert ladder.batch == 4 and "other models" in told[0].message
    ladder.step_down(error, tried=4)
    assert ladder.batch == 2 and ladder.stitch_on == GPU

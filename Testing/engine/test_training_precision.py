"""The precision of training: what the hardware can, and why."""

from __future__ import annotations

import pytest
import torch

from agunetr.errors import DeviceError
from agunetr_train.training import precision
from agunetr_train.training.precision import choose_precision, needs_scaler


@pytest.mark.parametrize(("has_bfloat16", "taken"), [(True, torch.bfloat16), (False, None)])
def test_auto_takes_bfloat16_only_where_the_hardware_computes_in_it(monkeypatch, has_bfloat16, taken):
    monkeypatch.setattr(precision, "computes_in_bfloat16", lambda device: has_bfloat16)
    kind, reason = choose_precision("auto", "cpu")
    assert kind is taken and "bfloat16" in reason


def test_what_was_asked_for_is_taken_and_an_emulation_is_called_one(monkeypatch):
    monkeypatch.setattr(precision, "computes_in_bfloat16", lambda device: False)
    kind, reason = choose_precision("bfloat16", "cpu")
    assert kind is torch.bfloat16 and "emulates" in reason
    assert choose_precision("float32", "cpu") == (None, "float32 was asked for.")


@pytest.mark.parametrize(("wanted", "device"), [("float16", "cpu"), ("float16", "mps"), ("bfloat16", "mps")])
def test_a_precision_that_the_device_lacks_is_refused(wanted, device):
    with pytest.raises(DeviceError, match=wanted):
        choose_precision(wanted, device)


def test_only_float16_needs_loss_scaling():
    assert [needs_scaler(kind) for kind in (None, torch.bfloat16, torch.float16)] == [False, False, True]

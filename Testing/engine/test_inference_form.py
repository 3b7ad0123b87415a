"""The faster form of a network computes the same, and only for inference in float32 on a CPU."""

from __future__ import annotations

import pytest
import torch
from test_networks import tiny, window
from torch import nn

from agunetr.networks.direct_convolution import DirectConv3d, to_direct_convolutions
from agunetr.networks.inference_form import to_inference_form

CASES = [
    dict(in_channels=1, out_channels=4, kernel_size=3, padding=1, bias=False),
    dict(in_channels=4, out_channels=2, kernel_size=1),
    dict(in_channels=4, out_channels=4, kernel_size=2, stride=2, bias=False),
    dict(in_channels=4, out_channels=6, kernel_size=3, padding=1, groups=2),
]


def _refuse_direct(monkeypatch):
    def refuse(*_):
        raise AssertionError("taken directly")

    monkeypatch.setattr(torch.ops.aten, "mkldnn_convolution", refuse)


@pytest.mark.parametrize("arguments", CASES)
@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("channels_last", [True, False])
def test_a_convolution_is_the_same_but_for_rounding(arguments, batch, channels_last):
    plain = nn.Conv3d(**arguments)
    image = torch.randn(batch, arguments["in_channels"], 12, 10, 8)
    if channels_last:
        image = image.to(memory_format=torch.channels_last_3d)
    with torch.inference_mode():
        expected = plain(image)
        direct = to_direct_convolutions(plain)
        assert type(direct) is DirectConv3d
        torch.testing.assert_close(direct(image), expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(direct(image[:, :, 1:, ::2]), nn.Conv3d.forward(plain, image[:, :, 1:, ::2]))


@pytest.mark.parametrize("variant", ["unetr", "agunetr-v1", "agunetr-v2"])
def test_a_network_is_the_same_but_for_rounding_and_keeps_its_weights(variant):
    plain, fast = tiny(variant).eval(), to_inference_form(tiny(variant).eval())
    assert any(type(module) is DirectConv3d for module in fast.modules())
    assert list(plain.state_dict()) == list(fast.state_dict())
    with torch.inference_mode():
        torch.testing.assert_close(fast(window()), plain(window()), rtol=0, atol=1e-4)


def test_training_bfloat16_and_other_types_take_torchs_own_way(monkeypatch):
    layer = to_direct_convolutions(nn.Conv3d(1, 2, 3))
    image = torch.randn(1, 1, 6, 6, 6)
    _refuse_direct(monkeypatch)
    with torch.inference_mode(), pytest.raises(AssertionError, match="directly"):
        layer(image)
    layer(image).sum().backward()
    assert layer.weight.grad is not None
    with torch.inference_mode():
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert layer(image).dtype == torch.bfloat16
        assert layer.double()(image.double()).dtype == torch.float64
    with torch.inference_mode(), torch.backends.mkldnn.flags(enabled=False):
        layer.float()(image)
    with torch.inference_mode():  # what is recorded for other engines has only operations that they know
        assert "mkldnn" not in str(torch.jit.trace(layer, image, check_trace=False).inlined_graph)


def test_only_plain_convolutions_change_and_none_in_the_form_for_bfloat16():
    network = nn.Sequential(nn.Conv3d(1, 1, 3, padding="same"), nn.Conv3d(1, 1, 3, padding=1, padding_mode="reflect"))
    assert not any(type(module) is DirectConv3d for module in to_direct_convolutions(network))
    fast = to_inference_form(tiny("unetr").eval(), bfloat16=True)
    assert not any(type(module) is DirectConv3d for module in fast.modules())

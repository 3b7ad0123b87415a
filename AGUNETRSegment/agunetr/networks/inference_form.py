"""A form of a network that computes the same on a CPU in less time.

Channels last throughout, instance norms that keep that layout (:mod:`agunetr.networks.layout`), and the convolutions
that mix channels at single places as matrix products: in a channels-last tensor the channels of a voxel lie side by
side, so a 1x1x1 convolution, and a 2x2x2 transposed one of stride 2, is one product of matrices without any gathering.
Results differ from the plain network's by float rounding only. Weights and their names stay what they were.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from agunetr.networks.layout import to_channels_last


class PointwiseConv3d(nn.Conv3d):
    """A 1x1x1 convolution as a matrix product."""

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, X, Y, Z) to (B, C', X, Y, Z), channels last."""
        mixed = functional.linear(input.permute(0, 2, 3, 4, 1), self.weight.flatten(1), self.bias)
        return mixed.permute(0, 4, 1, 2, 3)


class DoublingConvTranspose3d(nn.ConvTranspose3d):
    """A 2x2x2 transposed convolution of stride 2: every voxel makes a block of 2x2x2 and the blocks do not overlap."""

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """(B, C, X, Y, Z) to (B, C', 2X, 2Y, 2Z), channels last."""
        if output_size is not None:
            return super().forward(input, output_size)
        batch, _, *edges = input.shape
        to_block = self.weight.permute(2, 3, 4, 1, 0).flatten(0, 3)
        blocks = functional.linear(input.permute(0, 2, 3, 4, 1), to_block)
        blocks = blocks.view(batch, *edges, 2, 2, 2, self.out_channels).permute(0, 1, 4, 2, 5, 3, 6, 7)
        doubled = blocks.reshape(batch, *(2 * edge for edge in edges), self.out_channels)
        if self.bias is not None:
            doubled = doubled + self.bias
        return doubled.permute(0, 4, 1, 2, 3)


def to_inference_form(network: nn.Module, bfloat16: bool = False) -> nn.Module:
    """Put ``network`` into its faster form, in place, for inference on a CPU.

    Args:
        network: in evaluation mode.
        bfloat16: also round the weights of convolutions and linear layers to bfloat16, once. Autocast rounds the same
            weights before every use, so under ``torch.autocast`` the results are the same to the bit.

    Returns:
        ``network``.
    """
    to_channels_last(network)
    for module in network.modules():
        if type(module) is nn.Conv3d and _is_pointwise(module):
            module.__class__ = PointwiseConv3d
        elif type(module) is nn.ConvTranspose3d and _is_doubling(module):
            module.__class__ = DoublingConvTranspose3d
        if bfloat16 and isinstance(module, nn.Linear | nn.Conv3d | nn.ConvTranspose3d):
            module.to(torch.bfloat16)
    return network


def _is_pointwise(module: nn.Conv3d) -> bool:
    ones, zeros = (1, 1, 1), (0, 0, 0)
    return (module.kernel_size, module.stride, module.padding, module.groups) == (ones, ones, zeros, 1)


def _is_doubling(module: nn.ConvTranspose3d) -> bool:
    once, twos, zeros = (1, 1, 1), (2, 2, 2), (0, 0, 0)
    return (module.kernel_size, module.stride, module.dilation, module.groups) == (twos, twos, once, 1) and (
        module.padding,
        module.output_padding,
    ) == (zeros, zeros)

"""Convolutions that take oneDNN's kernels on a CPU, where torch itself would take slower ones.

For a batch of one in float32, torch sends 1x1x1 convolutions and convolutions with few channels on small grids to
``slow_conv3d``, which unfolds its input and answers channels first; the layers after it then pay for the change of
layout as well. oneDNN, which torch takes for the others, is up to twenty times faster there and differs by rounding.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class DirectConv3d(nn.Conv3d):
    """A convolution for inference: oneDNN's kernel wherever that can be had, else torch's own choice."""

    def forward(self, input: Tensor) -> Tensor:
        if not self._fits(input):
            return super().forward(input)
        if input.shape[1] == 1:
            input = _marked_channels_last(input)
        return torch.ops.aten.mkldnn_convolution(
            input, self.weight, self.bias, self.padding, self.stride, self.dilation, self.groups
        )

    def _fits(self, input: Tensor) -> bool:
        # What records the network, to compile or convert it, gets operations that every engine knows.
        if torch.compiler.is_compiling() or torch.jit.is_tracing():
            return False
        if torch.is_grad_enabled() or torch.is_autocast_enabled("cpu"):
            return False
        tensors = (input, self.weight) if self.bias is None else (input, self.weight, self.bias)
        return (
            input.ndim == 5
            and input.numel() > 0
            and all(tensor.device.type == "cpu" and tensor.dtype == torch.float32 for tensor in tensors)
            and torch.backends.mkldnn.is_available()
            and torch.backends.mkldnn.enabled
        )


def to_direct_convolutions(network: nn.Module) -> nn.Module:
    """Let the convolutions of ``network`` be :class:`DirectConv3d`, in place; weights keep their names.

    Does nothing where torch was built without oneDNN, or has another way to it. Returns ``network``.
    """
    if hasattr(torch.ops.aten, "mkldnn_convolution"):
        for module in network.modules():
            if type(module) is nn.Conv3d and module.padding_mode == "zeros" and not isinstance(module.padding, str):
                module.__class__ = DirectConv3d
    return network


def _marked_channels_last(tensor: Tensor) -> Tensor:
    """The same memory with the strides of the channels-last layout, which the answer then has too.

    With one channel the two layouts are the same in memory, and torch takes channels first where the strides leave it
    open.
    """
    if not tensor.is_contiguous():
        tensor = tensor.contiguous()
    _, _, x, y, z = tensor.shape
    return tensor.as_strided(tensor.shape, (x * y * z, 1, y * z, z, 1))

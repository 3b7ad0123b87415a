"""A memory layout in which 3D convolutions run faster on a CPU, without changing what is computed."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

_SPACE = (2, 3, 4)


class ChannelsLastInstanceNorm3d(nn.InstanceNorm3d):
    """Instance norm that keeps channels-last tensors channels-last.

    torch's own instance norm copies to the channels-first layout, which costs more than the layout gains. Here torch's
    means, which add up in a tree, keep the layout and differ by rounding only.

    In training a batch of one takes batch norm with the batch's own statistics, the same formula and quicker backwards.
    It adds the voxels up one by one in float32, which is not exact enough for inference: over a window of 96 voxels a
    side, partly of one value, its answer was wrong by 0.05 and changed with the number of threads.
    """

    def forward(self, input: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            if input.shape[0] != 1:
                return super().forward(input)
            return functional.batch_norm(input, None, None, None, None, True, 0.0, self.eps)
        values = input if input.dtype.itemsize >= 4 else input.float()
        centred = values - values.mean(_SPACE, keepdim=True)
        variance = centred.square().mean(_SPACE, keepdim=True)
        return centred.mul_(variance.add_(self.eps).rsqrt_()).to(input.dtype)


def to_channels_last(network: nn.Module) -> nn.Module:
    """Put ``network`` into the channels-last layout, in place; parameter-free instance norms follow it.

    The weights and their names stay what they were. Returns ``network``.
    """
    for module in network.modules():
        if type(module) is nn.InstanceNorm3d and not module.affine and not module.track_running_stats:
            module.__class__ = ChannelsLastInstanceNorm3d
    return network.to(memory_format=torch.channels_last_3d)

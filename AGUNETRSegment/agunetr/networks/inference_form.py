"""A form of a network that computes the same on a CPU in less time.

Channels last throughout, with instance norms that keep that layout (:mod:`agunetr.networks.layout`); in float32,
convolutions that take oneDNN's kernels (:mod:`agunetr.networks.direct_convolution`); in bfloat16, where torch takes
those by itself, weights that are rounded once where they would be rounded before every use.
"""

from __future__ import annotations

import torch
from torch import nn

from agunetr.networks.direct_convolution import to_direct_convolutions
from agunetr.networks.layout import to_channels_last


def to_inference_form(network: nn.Module, bfloat16: bool = False) -> nn.Module:
    """Put ``network`` into its faster form, in place, for inference on a CPU; weights keep their names.

    Args:
        network: in evaluation mode.
        bfloat16: also round the weights of convolutions and linear layers to bfloat16, once. Autocast rounds the same
            weights before every use, so under ``torch.autocast`` the results are the same to the bit.

    Returns:
        ``network``.
    """
    to_channels_last(network)
    if not bfloat16:
        return to_direct_convolutions(network)
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv3d | nn.ConvTranspose3d):
            module.to(torch.bfloat16)
    return network

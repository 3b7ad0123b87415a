"""Attention gates for skip connections (Oktay et al. 2018, arXiv:1804.03999), in the two forms of the study.

A gate looks at a skip feature *x* and at a coarser decoder feature *g* (the gating signal) and weighs every voxel of
the skip by a mask *a* in (0, 1). The inner width of a gate equals the width of its skip, as in Attention U-Net.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


def upsample_to(tensor: Tensor, like: Tensor) -> Tensor:
    """``tensor`` (B, C, ...) trilinearly on the grid of ``like`` (B, C', X, Y, Z)."""
    if tensor.shape[2:] == like.shape[2:]:
        return tensor
    return functional.interpolate(tensor, size=like.shape[2:], mode="trilinear", align_corners=False)


class AttentionGate(nn.Module):
    """The plain gate: ``a = sigmoid(psi(relu(Wx·x + Wg·g)))``, output ``x * a``.

    ``g`` is brought to the grid of ``x``. A 1x1x1 convolution and its parameter-free norm act per channel, so the
    convolution of ``g`` runs first, on the coarse grid, where it costs an eighth.

    Args:
        skip_channels: channels of x, and the gate's inner width.
        gating_channels: channels of g.
    """

    def __init__(self, skip_channels: int, gating_channels: int) -> None:
        super().__init__()
        self.skip_projection = nn.Conv3d(skip_channels, skip_channels, kernel_size=1, bias=False)
        self.skip_norm = nn.InstanceNorm3d(skip_channels)
        self.gating_projection = nn.Conv3d(gating_channels, skip_channels, kernel_size=1, bias=False)
        self.gating_norm = nn.InstanceNorm3d(skip_channels)
        self.psi = nn.Conv3d(skip_channels, 1, kernel_size=1)

    def mask(self, skip: Tensor, gating: Tensor) -> Tensor:
        """(B, C, X, Y, Z) skip and (B, C', x, y, z) gating signal to the mask (B, 1, X, Y, Z)."""
        projected_gating = upsample_to(self.gating_projection(gating), skip)
        joined = self.skip_norm(self.skip_projection(skip)) + self.gating_norm(projected_gating)
        return torch.sigmoid(self.psi(functional.relu(joined)))

    def forward(self, skip: Tensor, gating: Tensor) -> tuple[Tensor, Tensor]:
        """The gated skip, shaped like ``skip``, and the mask (B, 1, X, Y, Z) on the skip's grid."""
        mask = self.mask(skip, gating)
        return skip * mask, mask


class ImprovedAttentionGate(nn.Module):
    """The residual gate: ``a = sigmoid(psi(relu(theta·down(x) + phi·g)))``, output ``x * (1 + gamma * up(a))``.

    ``theta`` is a 2x2x2 convolution of stride 2: it is the downsampling of x to the grid of g. gamma is learned and
    starts at ``gamma_start``; at 0 the gate is the identity, bit for bit, so that a trained ungated network can be
    continued with gates without a jump.

    Args:
        skip_channels: channels of x, and the gate's inner width.
        gating_channels: channels of g, whose grid is half as fine as that of x.
        gamma_start: first value of gamma.
        psi_bias: first value of psi's bias; 2.0 starts the mask at about 0.88 (open).
    """

    def __init__(
        self, skip_channels: int, gating_channels: int, gamma_start: float = 0.0, psi_bias: float = 2.0
    ) -> None:
        super().__init__()
        self.theta = nn.Conv3d(skip_channels, skip_channels, kernel_size=2, stride=2, bias=False)
        self.phi = nn.Conv3d(gating_channels, skip_channels, kernel_size=1)
        self.psi = nn.Conv3d(skip_channels, 1, kernel_size=1)
        nn.init.constant_(self.psi.bias, psi_bias)
        self.gamma = nn.Parameter(torch.tensor(float(gamma_start)))

    def mask(self, skip: Tensor, gating: Tensor) -> Tensor:
        """(B, C, X, Y, Z) skip and (B, C', X/2, Y/2, Z/2) gating signal to the mask (B, 1, X, Y, Z)."""
        coarse = torch.sigmoid(self.psi(functional.relu(self.theta(skip) + self.phi(gating))))
        return upsample_to(coarse, skip)

    def forward(self, skip: Tensor, gating: Tensor) -> tuple[Tensor, Tensor]:
        """The gated skip, shaped and typed like ``skip``, and the mask (B, 1, X, Y, Z) on the skip's grid."""
        mask = self.mask(skip, gating)
        # Under autocast gamma stays float32; without the cast it would lift a bfloat16 skip to float32.
        return skip * (1.0 + self.gamma * mask).to(skip.dtype), mask


GATE_FORMULAS: dict[str, type[nn.Module]] = {"attention": AttentionGate, "improved": ImprovedAttentionGate}

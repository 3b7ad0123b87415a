"""Deep supervision: in training the coarser decoder features are held against the mask, too.

The heads that turn those features into logits exist in training alone. They are no part of the network, so that its
weights and their names stay what they are with and without them.
"""

from __future__ import annotations

from torch import Tensor, nn

from agunetr.networks.unetr import GatedUNETR
from agunetr_train.experiments.definition import Stage

SUPERVISED = {"decoder3": 2, "decoder4": 4}
"""The blocks that give ``dec1`` and ``dec2``, and the channels of these in units of the feature size."""


class DeepSupervision(nn.Module):
    """A network with a head on ``dec1`` and one on ``dec2``, for training.

    Args:
        network: any variant; it stays usable on its own.

    Attributes:
        network: the same.
        heads: a 1x1x1 convolution for each supervised decoder block.
    """

    def __init__(self, network: GatedUNETR) -> None:
        super().__init__()
        self.network = network
        config = network.config
        self.heads = nn.ModuleDict(
            {
                block: nn.Conv3d(width * config.feature_size, config.out_channels, kernel_size=1)
                for block, width in SUPERVISED.items()
            }
        )

    def forward(self, x_in: Tensor) -> Tensor | list[Tensor]:
        """(B, C, R, A, S) windows to the logits; in training a list of them on 1, 1/2 and 1/4 of the grid."""
        if not self.training:
            return self.network(x_in)
        features: dict[str, Tensor] = {}
        hooks = [
            getattr(self.network, block).register_forward_hook(
                lambda module, inputs, output, block=block: features.update({block: output})
            )
            for block in self.heads
        ]
        try:
            logits = self.network(x_in)
        finally:
            for hook in hooks:
                hook.remove()
        return [logits, *(head(features[block]) for block, head in self.heads.items())]


def training_form(stage: Stage, network: GatedUNETR) -> nn.Module:
    """What is trained: the network itself, or the network with training-only heads where the stage asks for them."""
    return DeepSupervision(network) if stage.deep_supervision else network

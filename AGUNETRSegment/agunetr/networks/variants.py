"""The variants of the study as configurations of one network class (SPEC: Networks).

``unetr`` has no gates; ``agunetr-v1`` has the plain gate at ``enc2``; ``agunetr-v2`` the improved gate at ``enc1`` and
``enc2``; ``agunetr-deep`` any gates in either formula. Sizes: ``full`` is the UNETR of Hatamizadeh et al. 2021
(arXiv:2103.10504), ``compact`` the size of the embedded models, for machines without a GPU.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from agunetr.networks.configuration import VARIANT_GATES, NetworkConfig

if TYPE_CHECKING:
    from agunetr.networks.unetr import GatedUNETR

__all__ = ["SIZES", "VARIANT_GATES", "NetworkConfig", "build_network", "build_unfilled", "network_config"]

SIZES: dict[str, dict[str, Any]] = {
    "full": dict(window=(96, 96, 96), feature_size=16, hidden_size=768, mlp_dim=3072, heads=12, layers=12),
    "compact": dict(window=(64, 64, 64), feature_size=16, hidden_size=256, mlp_dim=1024, heads=4, layers=6),
}


def network_config(variant: str, size: str = "full", **changes: Any) -> NetworkConfig:
    """The configuration of a variant in a named size, with ``changes`` to single arguments.

    Raises:
        ValueError: an unknown size or a wrong argument; the message names it.
    """
    if not isinstance(size, str) or size not in SIZES:
        raise ValueError(f"size is {size!r}; it must be one of {', '.join(SIZES)}.")
    unknown = sorted(set(changes) - {entry.name for entry in fields(NetworkConfig)})
    if unknown:
        raise ValueError(f"{unknown[0]} is no argument of a network.")
    return NetworkConfig(variant=variant, **{**SIZES[size], **changes})


def build_network(config: NetworkConfig) -> GatedUNETR:
    """A freshly initialised network; seed torch first to repeat it."""
    # torch is imported late, so that listing models and checking configurations costs nothing.
    from agunetr.networks.unetr import GatedUNETR

    return GatedUNETR(config)


def build_unfilled(config: NetworkConfig) -> GatedUNETR:
    """A network whose weights are still to come: they lie on PyTorch's meta device, which holds no numbers.

    Nothing is drawn at random only to be replaced, which for a full-size network saves seconds and 370 MB.
    """
    import torch

    with torch.device("meta"):
        network = build_network(config)
    # The few tensors that are no weights are empty placeholders; they must not stay on the meta device.
    for module in network.modules():
        for name, value in vars(module).items():
            if isinstance(value, torch.Tensor) and value.is_meta:
                setattr(module, name, torch.empty(value.shape, dtype=value.dtype))
    return network

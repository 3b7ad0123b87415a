"""Models of a few thousand weights, so that tests of saving, loading and running take milliseconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from agunetr.models.bundle import ModelBundle, save_bundle
from agunetr.networks.unetr import GatedUNETR
from agunetr.networks.variants import NetworkConfig, build_network


def tiny_config(variant: str = "agunetr-v2", **changes: Any) -> NetworkConfig:
    """A network with a 32-voxel window that runs in milliseconds."""
    sizes = dict(window=(32, 32, 32), feature_size=4, hidden_size=24, mlp_dim=48, heads=2, layers=4)
    return NetworkConfig(variant=variant, **{**sizes, **changes})


def tiny_network(variant: str = "agunetr-v2", seed: int = 0, **changes: Any) -> GatedUNETR:
    """A repeatable tiny network with open gates, so that a gated one differs from a base one."""
    torch.manual_seed(seed)
    changes.setdefault("gamma_start", 0.5)
    return build_network(tiny_config(variant, **changes)).eval()


def save_tiny(
    parent: Path, name: str = "tiny", variant: str = "agunetr-v2", seed: int = 0, **changes: Any
) -> ModelBundle:
    """``parent/name`` as a model folder; ``changes`` go to :func:`save_bundle`, ``network`` among them."""
    arguments: dict[str, Any] = dict(
        title=f"Tiny {variant}",
        spacing_mm=(4.0, 4.0, 4.0),
        intensity_range=(-175.0, 250.0),
        training_data=[{"name": "phantoms", "origin": "drawn by AGUNETR", "licence": "CC0-1.0", "use": "train"}],
        scores={"cases": [{"case": "phantom-1", "dice": 0.5, "hd95_mm": None}], "note": "for tests"},
        licence="CC0-1.0",
        recipe={"steps": 0},
        limits=["Knows nothing."],
    )
    network = changes.pop("network", None) or tiny_network(variant, seed)
    return save_bundle(parent / name, network, name=name, **{**arguments, **changes})

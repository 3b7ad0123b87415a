"""The models of the benchmark: full-size ones, the embedded ones, and tiny ones for the smoke form."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from agunetr.models.bundle import ModelBundle, load_bundle, save_bundle
from agunetr.models.library import ModelLibrary
from agunetr.networks.variants import NetworkConfig, build_network, network_config
from speed.rows import NotMeasured

SEED = 5
EMBEDDED = ("compact-base", "compact-gated")
TINY = dict(window=(32, 32, 32), feature_size=4, hidden_size=24, mlp_dim=48, heads=2, layers=4)
INTENSITY_RANGE = (-175.0, 250.0)


@dataclass(frozen=True)
class Weights:
    """A model and what its weights are.

    Attributes:
        bundle: the model.
        what: for people.
        finds_the_organ: whether its mask is the organ and not a random pattern.
    """

    bundle: ModelBundle
    what: str
    finds_the_organ: bool


def random_full_size(folder: Path, window: np.ndarray) -> Weights:
    """A full-size UNETR with random weights, its masks balanced on a window (R, A, S) as the network sees it."""
    return _random(folder, "bench-random", network_config("unetr", "full"), window, 1.0)


def tiny(folder: Path, variant: str, window: np.ndarray) -> Weights:
    """A network of a few thousand random weights that runs in milliseconds."""
    return _random(folder, f"tiny-{variant}", NetworkConfig(variant=variant, gamma_start=0.5, **TINY), window, 3.0)


def embedded() -> list[Weights]:
    """The embedded base and gated model.

    Raises:
        NotMeasured: one is missing.
    """
    found = {model.name: model for model in ModelLibrary().list() if model.embedded}
    missing = [name for name in EMBEDDED if name not in found]
    if missing:
        raise NotMeasured(f"The embedded model {missing[0]} is missing or broken.")
    return [Weights(found[name], f"the embedded model {name}", True) for name in EMBEDDED]


def _random(folder: Path, name: str, config: NetworkConfig, window: np.ndarray, spacing_mm: float) -> Weights:
    what = f"random weights, seed {SEED}"
    target = folder / name
    if target.is_dir():
        return Weights(load_bundle(target), what, False)
    torch.manual_seed(SEED)
    network = build_network(config).eval()
    _balance(network, torch.from_numpy(window)[None, None].float())
    arguments: dict[str, Any] = dict(title="Random weights", spacing_mm=(spacing_mm,) * 3, licence="CC0-1.0")
    return Weights(save_bundle(target, network, name=name, intensity_range=INTENSITY_RANGE, **arguments), what, False)


@torch.no_grad()
def _balance(network: torch.nn.Module, window: torch.Tensor) -> None:
    """Untrained logits all lie on one side; with this bias a third of the window is foreground."""
    logits = network(window)
    difference = (logits[:, 1] - logits[:, 0]).flatten()
    network.out.conv.conv.bias[0] += difference.kthvalue(int(0.67 * difference.numel())).values

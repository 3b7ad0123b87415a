"""How large a network is and how much one window costs, without filling it with weights."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from agunetr.networks.configuration import NetworkConfig
from agunetr.networks.variants import build_network


def model_sizes(config: NetworkConfig) -> dict[str, Any]:
    """Sizes of a network, JSON-ready.

    Returns:
        ``parameters`` and how many of them are the gates' (``gate_parameters``); ``flops_per_window``, floating-point
        operations of one window with a multiply-add counted as two, as PyTorch counts them; ``window`` (R, A, S).
    """
    parameters, of_gates, flops = _counted(config)
    return {
        "parameters": parameters,
        "gate_parameters": of_gates,
        "flops_per_window": flops,
        "window": list(config.window),
    }


@lru_cache(maxsize=64)
def _counted(config: NetworkConfig) -> tuple[int, int, int]:
    """Weights, weights of gates, operations; the jobs of a run share few configurations."""
    # On the meta device shapes are computed and numbers are not: a full-size window would take seconds.
    with torch.device("meta"):
        network = build_network(config).eval()
        window = torch.empty(1, config.in_channels, *config.window)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(window)
    parameters, of_gates = (
        sum(weight.numel() for weight in part.parameters()) for part in (network, network.gates)
    )
    return parameters, of_gates, counter.get_total_flops()

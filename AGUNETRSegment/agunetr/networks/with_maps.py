"""A network whose gate maps are outputs beside the logits, for programs that follow tensors and see nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn


class WithMaps(nn.Module):
    """Wraps a network: window in, ``(logits, map of each gate named)`` out.

    Args:
        network: its ``recording_gates`` and ``gate_maps`` are used where gates are named.
        gates: whose maps are wanted, in the order of the outputs.
    """

    def __init__(self, network: nn.Module, gates: Sequence[str] = ()) -> None:
        super().__init__()
        self.network = network
        self.gates = tuple(gates)

    def forward(self, window: Tensor) -> tuple[Tensor, ...]:
        """(B, in_channels, R, A, S) to logits (B, C, R, A, S) and maps (B, 1, R, A, S)."""
        if not self.gates:
            return (self.network(window),)
        with self.network.recording_gates():
            logits = self.network(window)
            maps = self.network.gate_maps()
        return (logits, *(maps[gate] for gate in self.gates))

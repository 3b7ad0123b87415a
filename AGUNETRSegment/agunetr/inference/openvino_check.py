"""Whether a network that OpenVINO compiled still computes what it did in PyTorch.

Compilers rearrange networks and err: OpenVINO 2026.4, for example, gives wrong attention on CPUs where a window has as
many patches as the transformer has heads. A wrong mask would look like a mask, so no compiled form is used or kept
before it has answered one window as PyTorch does. That costs two windows of PyTorch at most, once a model and machine.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from agunetr.inference.openvino_runtime import EngineFault
from agunetr.networks.with_maps import WithMaps

ROUNDING = 1e-3
"""What float32 may differ by in another order of its sums, as a share of the answer. Observed: below 1e-4."""
BFLOAT16_FACTOR = 3.0
"""How much further from float32 than PyTorch's bfloat16 another bfloat16 may lie; it rounds at other places."""


class AnswerCheck:
    """One window of noise, PyTorch's answer to it, and how far from that another answer may lie.

    Args:
        network: float32, on the CPU, in evaluation mode.
        window: voxels along (R, A, S).
        gates: whose maps are part of the answer.
        precision: ``"exact"`` or ``"fast"``, of the answers to come.

    Attributes:
        input: (1, 1, R, A, S) float32 in [0, 1).
    """

    def __init__(self, network: torch.nn.Module, window: Sequence[int], gates: Sequence[str], precision: str) -> None:
        self.input = torch.rand((1, 1, *window), generator=torch.Generator().manual_seed(0))
        whole = WithMaps(network, gates).eval()
        with torch.inference_mode():
            self._expected = whole(self.input)
            self._allowed = [ROUNDING] * len(self._expected)
            if precision == "fast":
                with torch.autocast("cpu", dtype=torch.bfloat16):
                    rounded = whole(self.input)
                self._allowed = [
                    allowed + BFLOAT16_FACTOR * difference(answer, expected)
                    for answer, expected, allowed in zip(rounded, self._expected, self._allowed, strict=True)
                ]

    def compare(self, answers: Sequence[torch.Tensor]) -> None:
        """Logits and maps of :attr:`input`, in PyTorch's order.

        Raises:
            EngineFault: they are not PyTorch's.
        """
        for answer, expected, allowed in zip(answers, self._expected, self._allowed, strict=True):
            found = difference(answer, expected)
            if not found <= allowed:
                raise EngineFault(
                    f"OpenVINO's answer to a test window differs from PyTorch's by {found:.2%}.",
                    "Choose the engine torch.",
                )


def difference(answer: torch.Tensor, expected: torch.Tensor) -> float:
    """Root of the mean squared difference, as a share of that of ``expected`` itself; not a number where either is."""
    return float((answer.float() - expected).norm() / expected.norm().clamp_min(torch.finfo(torch.float32).tiny))

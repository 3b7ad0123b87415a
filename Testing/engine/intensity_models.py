"""Models whose answer can be worked out by hand: bright voxels are organ. Stand-ins for trained ones in tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn

STEEPNESS = 40.0


class IntensityNetwork(nn.Module):
    """Logits that grow with the voxel's own value; zero difference at ``level``. Its gate maps are the image itself."""

    def __init__(self, level: float = 0.5, gates: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.level = nn.Parameter(torch.tensor(level))
        self.gate_names = gates
        self._recording = False
        self._maps: dict[str, torch.Tensor] = {}
        self.calls = 0

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        if self._recording:
            self._maps = {gate: windows / (number + 1) for number, gate in enumerate(self.gate_names)}
        foreground = (windows - self.level) * STEEPNESS
        return torch.cat([torch.full_like(windows, 3.0), foreground + 3.0], dim=1)

    @contextmanager
    def recording_gates(self) -> Iterator[IntensityNetwork]:
        self._recording = True
        try:
            yield self
        finally:
            self._recording, self._maps = False, {}

    def gate_maps(self) -> dict[str, torch.Tensor]:
        return self._maps


@dataclass(frozen=True)
class IntensityBundle:
    """What the segmenter asks of a model bundle, around an :class:`IntensityNetwork`; 0..1 is 0..200 HU."""

    name: str = "bright"
    gate_names: tuple[str, ...] = ()
    spacing_mm: tuple[float, float, float] = (2.0, 2.0, 2.0)
    intensity_range: tuple[float, float] = (0.0, 200.0)
    window: tuple[int, int, int] = (16, 16, 16)
    level: float = 0.5
    variant: str = "unetr"

    @property
    def title(self) -> str:
        return f"The model {self.name}"

    @property
    def network_config(self) -> str:
        return self.variant

    @property
    def checksum(self) -> str:
        return f"{self.level}-{'-'.join(self.gate_names)}"

    def network(self) -> IntensityNetwork:
        return IntensityNetwork(self.level, self.gate_names)

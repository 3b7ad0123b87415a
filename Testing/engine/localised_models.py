"""Stand-ins for a model and its localiser, and a scan that is large enough for localising to pay."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from intensity_models import IntensityBundle, IntensityNetwork

from agunetr.inference.volume import Volume
from agunetr.networks.configuration import NetworkConfig

SPLEEN_MM = np.array([-70.0, -20.0, 30.0])
ORGAN_HU, FAINT_HU, BODY_HU = 160, 130, 40


class ContextNetwork(IntensityNetwork):
    """Its answer for a voxel also depends on the window that it is seen in, so neighbours disagree a little."""

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        logits = super().forward(windows)
        return logits + 4.0 * windows.mean(dim=(2, 3, 4), keepdim=True) * torch.tensor([0.0, 1.0]).view(1, 2, 1, 1, 1)


@dataclass(frozen=True)
class ContextBundle(IntensityBundle):
    """A model of 4 mm with windows of 64 mm, of the size that its configuration claims."""

    name: str = "fine"
    spacing_mm: tuple[float, float, float] = (4.0, 4.0, 4.0)
    feature_size: int = 16
    loads: list[str] | None = None

    @property
    def network_config(self) -> NetworkConfig:
        return NetworkConfig(window=self.window, feature_size=self.feature_size)

    @property
    def checksum(self) -> str:
        return f"{self.name}-{super().checksum}"

    def network(self) -> ContextNetwork:
        if self.loads is not None:
            self.loads.append(self.name)
        return ContextNetwork(self.level, self.gate_names)

    def __hash__(self) -> int:
        return hash((self.name, self.level))


def localiser(level: float = 0.5, **changes) -> ContextBundle:
    """A localiser of 8 mm that takes everything brighter than ``level`` for spleen."""
    return ContextBundle("where", spacing_mm=(8.0, 8.0, 8.0), level=level, feature_size=4, **changes)


def torso(organs: dict[tuple[float, float, float], tuple[float, int]], rotation: np.ndarray | None = None) -> Volume:
    """A body of 280 x 200 mm and any length in air, 270 mm of it, with balls in it: centre RAS mm -> (radius mm, HU).

    Voxels of 4 x 4 x 5 mm; with ``rotation`` (3x3) the scan is oblique to the patient.
    """
    spacing, size = np.array([4.0, 4.0, 5.0]), np.array([76, 56, 54])
    matrix = np.eye(4)
    matrix[:3, :3] = (np.eye(3) if rotation is None else rotation) * spacing
    matrix[:3, 3] = -matrix[:3, :3] @ ((size - 1) / 2)
    k, j, i = np.mgrid[: size[2], : size[1], : size[0]]
    ras = np.stack([i, j, k], axis=-1) @ matrix[:3, :3].T + matrix[:3, 3]
    voxels = np.full(ras.shape[:3], -1000, np.int16)
    voxels[(ras[..., 0] / 140) ** 2 + (ras[..., 1] / 100) ** 2 < 1] = BODY_HU
    for centre, (radius, hu) in organs.items():
        voxels[np.linalg.norm(ras - np.asarray(centre), axis=-1) <= radius] = hu
    return Volume(voxels, matrix)


def with_spleen(radius: float = 35.0, **changes) -> Volume:
    """A torso with one ball, 180 ml where nothing is changed."""
    return torso(
        {tuple(changes.get("centre", SPLEEN_MM)): (radius, changes.get("hu", ORGAN_HU))}, changes.get("rotation")
    )

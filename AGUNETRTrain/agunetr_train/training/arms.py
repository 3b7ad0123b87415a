"""Arms drawn into the air beside the body.

Most abdominal scans show the arms raised, out of view; where a patient lies with the arms down, a network that has seen
none takes the muscle beside the flank for the organ beside the flank.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.transforms import MapTransform, Randomizable

FAT, MUSCLE, BONE, MARROW = 0.18, 0.54, 1.0, 0.45
"""On the scale of the prepared image, where 0 is -175 HU and 1 is 250 HU."""

AIR = 0.08
"""What lies under this, seen from the side, is air."""

RADIUS_VOXELS = (8.0, 14.0)
"""Of an arm, 24 to 42 mm at 3 mm."""


class RandArmsd(MapTransform, Randomizable):
    """Draw an arm into the free air at one or both sides of a patch; the mask does not change.

    Args:
        prob: how often a patch gets arms; none is drawn at a side whose border cuts through the body.
    """

    def __init__(self, prob: float) -> None:
        MapTransform.__init__(self, ("image",))
        self.prob = prob

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        result = dict(data)
        if self.R.random() < self.prob:
            image = result["image"]
            for from_far_side in (False, True):
                if self.R.random() < 0.75:
                    seen = image[0].flip(0) if from_far_side else image[0]
                    arm, drawn = self._arm(free_air(seen))
                    seen = torch.where(drawn, arm, seen)
                    image = (seen.flip(0) if from_far_side else seen)[None]
            result["image"] = image
        return result

    def _arm(self, free: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """An arm beside the first plane of (R, A, S): its values, and where they go."""
        depth, width, height = free.shape
        radius = float(self.R.uniform(*RADIUS_VOXELS))
        flat = float(self.R.uniform(0.75, 1.0))
        middle = float(self.R.uniform(0.25, 0.75)) * width
        lean = self.R.uniform(-0.15, 0.15, size=2)
        gap = float(self.R.uniform(1.0, 6.0))
        along = torch.arange(height) - height / 2
        behind, before = (min(max(int(middle + sign * radius), 0), width) for sign in (-1, 1))
        room = free[:, behind:before].sum(0).min() if before > behind else 0
        place = float(room) - gap - radius * flat
        if place < -0.5 * radius:
            return torch.zeros(free.shape), torch.zeros(free.shape, dtype=torch.bool)
        across = (torch.arange(depth)[:, None, None] - place - float(lean[0]) * along) / flat
        through = torch.arange(width)[None, :, None] - middle - float(lean[1]) * along
        distance = torch.sqrt(across**2 + through**2)
        rim, bone = float(self.R.uniform(1.0, 4.0)), float(self.R.uniform(2.0, 3.5))
        muscle = MUSCLE + float(self.R.uniform(-0.08, 0.12))
        arm = torch.full(free.shape, FAT)
        arm[distance < radius - rim] = muscle
        arm[distance < bone] = BONE
        arm[distance < bone - 1.5] = MARROW
        return arm, (distance < radius) & free


def free_air(image: torch.Tensor) -> torch.Tensor:
    """Where (R, A, S) is air seen from the start of the first axis; nowhere if that plane cuts through the body."""
    tissue = image > AIR
    if float(tissue[0].float().mean()) > 0.05:
        return torch.zeros_like(tissue)
    return torch.cumsum(tissue, dim=0) == 0

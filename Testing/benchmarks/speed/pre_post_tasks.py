"""Everything but the network: a CT file to the network's grid, and logits on that grid to a mask on the file's."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from agunetr.inference.reading import read_volume
from agunetr.inference.resampling import prepare
from agunetr.inference.restoring import mask_on_input
from speed.tasks import keep_mask

STEEPNESS_PER_MM = 0.5


def logits_of_a_ball(
    shape: tuple[int, int, int], ijk_to_ras: np.ndarray, centre: list[float], radius_mm: float
) -> torch.Tensor:
    """Logit difference of a ball in the patient on any grid: what a network would give, without one.

    Args:
        shape: voxels along the grid's own three axes.
        ijk_to_ras: 4x4, index along those axes to RAS mm; its axes are orthogonal.
        centre: RAS mm.
        radius_mm: of the ball.

    Returns:
        float32 of ``shape``, half the distance to the rim in mm, at most 15 on either side.
    """
    steps = np.linalg.norm(ijk_to_ras[:3, :3], axis=0)
    middle = np.linalg.inv(ijk_to_ras) @ np.array([*centre, 1.0])
    squares = [((np.arange(n) - middle[axis]) * steps[axis]) ** 2 for axis, n in enumerate(shape)]
    distance = np.sqrt(squares[0][:, None, None] + squares[1][None, :, None] + squares[2][None, None, :])
    return torch.from_numpy(np.clip(STEEPNESS_PER_MM * (radius_mm - distance), -15, 15).astype(np.float32))


class OurPrePost:
    """Ours: reading, preparing; and logits back onto the CT's grid, cleaned up.

    Args:
        ct: the file.
        spacing_mm, intensity_range: of the model.
        centre, radius_mm: of the ball that takes the organ's place.
        mask_file: where the mask goes.
    """

    def __init__(
        self,
        ct: str,
        spacing_mm: list[float],
        intensity_range: list[float],
        centre: list[float],
        radius_mm: float,
        mask_file: str | None = None,
    ) -> None:
        self._ct, self._spacing, self._range, self._mask_file = ct, spacing_mm, intensity_range, mask_file
        prepared = prepare(read_volume(ct)[0], spacing_mm, intensity_range)
        self._logits = logits_of_a_ball(prepared.size, prepared.ijk_to_ras, centre, radius_mm)

    def run(self) -> np.ndarray:
        """The mask (z, y, x)."""
        volume, _notices = read_volume(self._ct)
        prepared = prepare(volume, self._spacing, self._range)
        return mask_on_input(self._logits, prepared, volume)

    def facts(self, value: np.ndarray) -> dict[str, Any]:
        """The shape that the network would see."""
        keep_mask(value, self._mask_file)
        return {"network_shape": list(self._logits.shape)}


class MonaiPrePost:
    """MONAI's transforms for the same."""

    def __init__(
        self,
        ct: str,
        spacing_mm: list[float],
        intensity_range: list[float],
        centre: list[float],
        radius_mm: float,
        mask_file: str | None = None,
    ) -> None:
        from speed.reference import MonaiChain

        self._ct, self._mask_file = ct, mask_file
        self._chain = MonaiChain(tuple(spacing_mm), tuple(intensity_range))
        image = self._chain.prepare(ct)["image"]
        difference = logits_of_a_ball(tuple(image.shape[1:]), image.affine.numpy(), centre, radius_mm)
        self._logits = torch.stack((torch.zeros_like(difference), difference))

    def run(self) -> np.ndarray:
        """The mask (z, y, x)."""
        prepared = self._chain.prepare(self._ct)
        return self._chain.restore(prepared, self._logits)

    def facts(self, value: np.ndarray) -> dict[str, Any]:
        """The shape that the network would see."""
        keep_mask(value, self._mask_file)
        return {"network_shape": list(self._logits.shape[1:])}

"""Between volumes and tensors.

The only place where the networks' (R, A, S) and the volumes' (z, y, x) meet. A prepared volume has RAS axes, so one is
the other's transpose.
"""

from __future__ import annotations

import numpy as np
import torch

from agunetr.inference.volume import Volume


def image_tensor(prepared: Volume) -> torch.Tensor:
    """(1, 1, R, A, S) float32 of a volume that :func:`agunetr.inference.resampling.prepare` made; shares its memory."""
    return torch.from_numpy(prepared.array).permute(2, 1, 0)[None, None]


def tensor_volume(values: torch.Tensor, prepared: Volume) -> Volume:
    """(R, A, S) values on the grid of ``prepared`` as a volume with (z, y, x) voxels of its own.

    Raises:
        ValueError: the shape is another than the grid's.
    """
    return prepared.with_array(np.array(values.permute(2, 1, 0).cpu().numpy(), order="C"))

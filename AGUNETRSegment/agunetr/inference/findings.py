"""What a reader of a mask should be told about it: nothing was found, or the organ goes on beyond the scan."""

from __future__ import annotations

import numpy as np

from agunetr.errors import Notice
from agunetr.inference.volume import Volume

_SIDES = (("left", "right"), ("posterior", "anterior"), ("inferior", "superior"))


def mask_notices(mask: np.ndarray, scan: Volume) -> list[Notice]:
    """Notices about a spleen mask.

    Args:
        mask: (z, y, x), above 0 = spleen, on the grid of ``scan``.
        scan: only its geometry is used.

    Returns:
        ``no-spleen``, or ``cut-by-edge`` where the mask touches a face of the scan, or nothing.
    """
    if not mask.any():
        reasons = (
            "the scan may not show the upper left abdomen, its values may not be Hounsfield units, "
            "its orientation may be wrong, or the spleen may have been removed"
        )
        return [Notice("no-spleen", f"No spleen was found: {reasons}.")]
    sides = [_side(scan, axis, last) for axis in range(3) for last in (False, True) if _touches(mask, axis, last)]
    if not sides:
        return []
    where = f"{', '.join(sides[:-1])} and {sides[-1]} edges" if len(sides) > 1 else f"{sides[0]} edge"
    return [Notice("cut-by-edge", f"The spleen reaches the {where} of the scan, so its volume may be too small.")]


def _touches(mask: np.ndarray, axis: int, last: bool) -> bool:
    """Whether the first or last plane along index axis 0 = i, 1 = j, 2 = k holds foreground."""
    return bool(mask.take(-1 if last else 0, axis=2 - axis).any())


def _side(scan: Volume, axis: int, last: bool) -> str:
    """The patient's side at the first or last plane of an index axis; the nearest one where the scan is oblique."""
    direction = scan.directions[:, axis] * (1 if last else -1)
    row = int(np.argmax(np.abs(direction)))
    return _SIDES[row][int(direction[row] > 0)]

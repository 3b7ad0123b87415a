"""A reference mask of the scan at hand: what each model's mask is scored against.

The reference is read and brought onto the scan's grid before anything is segmented, so that a mistake in it costs
seconds and no finished mask.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from agunetr.errors import InputError, Notice
from agunetr.inference.resampling import resample_mask
from agunetr.inference.volume import Volume
from agunetr.measures import compare_masks

GRID_TOLERANCE_MM = 0.05
"""NIfTI keeps its matrix in single precision, so one grid comes back a little apart from two files."""
LATTICE_TOLERANCE = 0.02
"""Of a voxel: masks whose voxels coincide so closely with the scan's are reordered, not resampled."""
MOST_OUTSIDE = 0.01


@dataclass(frozen=True)
class Reference:
    """A mask that somebody drew on this scan.

    Attributes:
        mask: uint8, on the scan's grid.
        path: the file, as the user gave it.
        label: the number of the organ where the file is a label map.
        notices: what the user should know of it.
    """

    mask: Volume
    path: str = ""
    label: int | None = None
    notices: tuple[Notice, ...] = field(default=())

    def scores(self, mask: np.ndarray) -> dict[str, float | None]:
        """:class:`agunetr.measures.MaskComparison` of a mask, (z, y, x) on the scan's grid, as plain values."""
        return compare_masks(mask, self.mask.array, self.mask.spacing_mm).to_dict()

    def to_dict(self) -> dict[str, object]:
        """What ``result.json`` says of it."""
        volume_ml = int(np.count_nonzero(self.mask.array)) * self.mask.voxel_ml
        label = {} if self.label is None else {"label": self.label}
        return {"path": self.path, **label, "volume_ml": volume_ml}


def read_reference(path: Path | str, scan: Volume, label: int | None = None) -> Reference:
    """Read a mask file (NIfTI, NRRD, MHA) as the reference of a scan.

    A mask that was cropped, turned or drawn on another grid is brought onto the scan's through its geometry; what lies
    outside its field counts as background.

    Args:
        path: the file.
        scan: only its geometry is used.
        label: the number of the organ in a label map; None takes every voxel above 0 of a mask.

    Raises:
        InputError: the file is missing, no mask, a label map without a label, or lies outside the scan.
    """
    from agunetr.evaluation import read_mask

    mask = read_mask(Path(path).expanduser(), label)
    notices = []
    if not mask.array.any():
        notices.append(Notice("empty-reference", f"The reference mask {path} is empty."))
    outside = _share_outside(mask, scan)
    if outside > MOST_OUTSIDE:
        raise InputError(
            f"{100 * outside:.0f} % of the reference mask {path} lies outside the scan.",
            "Give a mask of this very scan, with its geometry.",
        )
    if mask.same_grid(scan, GRID_TOLERANCE_MM):
        array = mask.array
    else:
        array = resample_mask(mask, scan)
        if not _on_lattice(mask, scan):
            message = f"The reference mask {path} lies on another grid; it was resampled to the scan's."
            notices.append(Notice("reference-resampled", message))
    return Reference(scan.with_array(array), str(path), label, tuple(notices))


def _share_outside(mask: Volume, scan: Volume) -> float:
    """The share of the mask's voxels whose centres lie beyond the scan's voxels; 0 for an empty mask."""
    ijk = np.argwhere(mask.array > 0)[:, ::-1]
    if not ijk.size:
        return 0.0
    to_scan = np.linalg.inv(scan.ijk_to_ras) @ mask.ijk_to_ras
    indices = ijk @ to_scan[:3, :3].T + to_scan[:3, 3]
    margin = 0.5 + LATTICE_TOLERANCE
    return float(((indices < -margin) | (indices > np.array(scan.size) - 1 + margin)).any(axis=1).mean())


def _on_lattice(mask: Volume, scan: Volume) -> bool:
    """Whether the mask's voxels are voxels of the scan, in whatever order of axes."""
    to_scan = np.linalg.inv(scan.ijk_to_ras) @ mask.ijk_to_ras
    axes = np.rint(to_scan[:3, :3])
    if not all(np.array_equal(np.abs(axes).sum(axis=axis), (1, 1, 1)) for axis in (0, 1)):
        return False
    corners = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)]) * (np.array(mask.size) - 1)
    indices = corners @ to_scan[:3, :3].T + to_scan[:3, 3]
    return bool(np.abs(indices - np.rint(indices)).max() <= LATTICE_TOLERANCE)

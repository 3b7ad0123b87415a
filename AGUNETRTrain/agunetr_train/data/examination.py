"""What is measured of one case before training, and what is wrong with it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from agunetr.errors import InputError
from agunetr.inference.body import foreground_box
from agunetr.inference.checks import why_not_hounsfield
from agunetr.inference.reading import read_volume
from agunetr.inference.resampling import crop
from agunetr.inference.volume import Volume
from agunetr.inference.writing import write_json
from agunetr.many_scans.no_ct import refuse_no_ct
from agunetr_train.data.cases import Case
from agunetr_train.data.checksums import voxel_checksum
from agunetr_train.data.preparation import content_key, read_case_mask

FORMAT = 1
"""Part of the name of kept measurements; grows when they change."""
PLAUSIBLE_ML = (20.0, 3000.0)
"""Spleens, from a child's to a very large one; phantoms and slabs may be outside, so it is a warning."""
PLAUSIBLE_HU = (20.0, 250.0)
"""Median of a spleen, without contrast and with."""
LARGE_PIECE_SHARE = 0.02
"""A second piece of the mask with more of its voxels than this is told of."""


@dataclass(frozen=True)
class Finding:
    """Something about a case that a user should know; ``fatal`` where training would be meaningless."""

    case: str
    fatal: bool
    message: str
    remedy: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return asdict(self)


@dataclass(frozen=True)
class CaseFindings:
    """What was measured of a case.

    Attributes:
        image_sha256, label_sha256: of the files.
        voxels_sha256: of the image's voxels, see :func:`agunetr_train.data.checksums.voxel_checksum`.
        size, spacing_mm: along (i, j, k).
        label_ml: of the mask.
        label_hu: median HU in the mask, and the 5th and 95th percentile; None where it is empty.
        large_pieces: separate pieces of the mask with more than 2 % of its voxels.
        touches_end: whether the mask reaches the first or last slice.
        notices: what the reader noticed, one sentence each.
    """

    image_sha256: str
    label_sha256: str
    voxels_sha256: str
    size: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    label_ml: float
    label_hu: tuple[float, float, float] | None
    large_pieces: int
    touches_end: bool
    notices: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return asdict(self)

    def cells(self) -> tuple[str, str, str, str]:
        """Size, spacing, ml and HU, for a table."""
        spacing = " x ".join(f"{step:.4g}" for step in self.spacing_mm)
        hu = "" if self.label_hu is None else "{1:.0f} ({0:.0f} to {2:.0f})".format(*self.label_hu)
        return " x ".join(map(str, self.size)), spacing, f"{self.label_ml:.1f}", hu

    def judge(self, case: Case, intensity_range: tuple[float, float], trains: bool) -> list[Finding]:
        """What is wrong with the case, as far as it can be read.

        Args:
            case: the case.
            intensity_range: HU that become 0 and 1.
            trains: whether patches with foreground are taken from it.
        """
        name = case.name
        found = [Finding(name, False, f"{name}: {notice}") for notice in self.notices]
        if self.label_hu is None:
            message = f"The mask of the case {name} is empty."
            remedy = "Leave the case out or correct its mask." if trains else "A prediction is then right if empty too."
            return [*found, Finding(name, trains, message, remedy)]
        low, high = intensity_range
        least, middle, most = self.label_hu
        if most <= low or least >= high:
            message = f"The organ of {name} has {least:.0f} to {most:.0f} HU, outside of {low:g} to {high:g}."
            found.append(Finding(name, True, message, "Check that mask and CT belong together and the CT is in HU."))
        elif not PLAUSIBLE_HU[0] <= middle <= PLAUSIBLE_HU[1]:
            message = f"The median in the mask of {name} is {middle:.0f} HU, unusual for a spleen."
            found.append(Finding(name, False, message, "Check that mask and CT belong together."))
        if not PLAUSIBLE_ML[0] <= self.label_ml <= PLAUSIBLE_ML[1]:
            found.append(Finding(name, False, f"The mask of {name} has {self.label_ml:.1f} ml, unusual for a spleen."))
        if self.large_pieces > 1:
            message = f"The mask of {name} consists of {self.large_pieces} separate pieces."
            found.append(Finding(name, False, message, "Look at it."))
        if self.touches_end:
            found.append(Finding(name, False, f"The scan {name} cuts the organ: its mask reaches an end of the scan."))
        return found


def examine_case(case: Case, cache: Path | None = None) -> CaseFindings:
    """Read a case and measure it.

    Args:
        case: the case.
        cache: where measurements are kept by the files' contents; nowhere where None.

    Raises:
        InputError: it cannot be read, is no CT, or image and mask do not fit together.
        OutputError: ``cache`` cannot be written to.
    """
    image_sum, label_sum = content_key(case.image), content_key(case.label)
    kept = None
    if cache is not None:
        kept = Path(cache) / f"examined-{FORMAT}-{image_sum[:16]}-{label_sum[:16]}.json"
        if kept.is_file():
            return _from_dict(json.loads(kept.read_text(encoding="utf-8")))
    image, notices = read_volume(case.image)
    refuse_no_ct(image.array)
    reason = why_not_hounsfield(image.array)
    if reason:
        raise InputError(f"The image of the case {case.name} is not in Hounsfield units: {reason}", "Give a CT in HU.")
    label = read_case_mask(case, image)
    hu, pieces, touches_end = _organ(image, label)
    found = CaseFindings(
        image_sha256=image_sum,
        label_sha256=label_sum,
        voxels_sha256=voxel_checksum(image),
        size=image.size,
        spacing_mm=tuple(round(step, 5) for step in image.spacing_mm),
        label_ml=round(int(label.array.sum()) * label.voxel_ml, 3),
        label_hu=hu,
        large_pieces=pieces,
        touches_end=touches_end,
        notices=tuple(notice.message for notice in notices),
    )
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_json(found.to_dict(), kept, overwrite=True)
    return found


def _organ(image: Volume, label: Volume) -> tuple[tuple[float, float, float] | None, int, bool]:
    box = foreground_box(label.array, 0)
    if box is None:
        return None, 0, False
    inside = crop(label, box).array > 0
    hu = np.percentile(crop(image, box).array[inside], (5, 50, 95))
    pieces = np.bincount(ndimage.label(inside)[0].ravel())[1:]
    first, stop = box[2]
    touches_end = first == 0 or stop == label.size[2]
    large = int((pieces > LARGE_PIECE_SHARE * pieces.sum()).sum())
    return tuple(round(float(value), 1) for value in hu), large, touches_end


def _from_dict(values: dict[str, Any]) -> CaseFindings:
    return CaseFindings(**{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})

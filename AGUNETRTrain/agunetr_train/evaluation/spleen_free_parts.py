"""Whether a network invents a spleen where there is none: parts of scans that lie clearly above or below it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from agunetr.inference.resampling import crop, nearest_ras_axes
from agunetr.inference.segmenter import Segmenter
from agunetr.inference.volume import Volume
from agunetr.models.bundle import ModelBundle
from agunetr_train.data.cases import Case
from agunetr_train.data.preparation import read_case

GAP_MM = 30.0
LENGTH_MM = 100.0
"""Parts of scans that start this far from the spleen and are this long can be segmented as scans of their own."""


def found_without_spleen(segmenter: Segmenter, model: ModelBundle, cases: Sequence[Case]) -> list[dict[str, Any]]:
    """What a model marks in the parts of scans that hold no spleen.

    Args:
        segmenter: runs the model.
        model: whose masks are looked at.
        cases: patients that no weight was trained on.

    Returns:
        ``{"case", "part" (above or below), "found_ml"}``; scans that are too short have no such part.

    Raises:
        InputError: a case cannot be read.
    """
    rows = []
    for case in cases:
        for place, part in spleen_free_parts(*read_case(case)):
            mask = segmenter.segment(part, model).mask
            rows.append({"case": case.name, "part": place, "found_ml": round(int(mask.sum()) * part.voxel_ml, 1)})
    return rows


def spleen_free_parts(image: Volume, label: Volume) -> Iterator[tuple[str, Volume]]:
    """What of a scan lies clearly above and clearly below the spleen, if it is long enough to be a scan of its own.

    Yields:
        ``"above"`` or ``"below"`` and that part of ``image``.
    """
    axes, flips = nearest_ras_axes(image)
    axis = axes[2]
    spacing = image.spacing_mm[axis]
    beside = tuple(number for number in range(3) if number != 2 - axis)
    slices = np.flatnonzero(label.array.any(axis=beside))
    if not slices.size:
        return  # where the spleen begins is not known
    gap, shortest = round(GAP_MM / spacing), round(LENGTH_MM / spacing)
    spans = {"below": (0, slices[0] - gap), "above": (slices[-1] + 1 + gap, image.size[axis])}
    if flips[2]:
        spans = {"above": spans["below"], "below": spans["above"]}
    for place, (first, stop) in spans.items():
        if stop - first >= shortest:
            box = [(0, voxels) for voxels in image.size]
            box[axis] = (int(first), int(stop))
            part = crop(image, tuple(box))
            yield place, Volume(np.ascontiguousarray(part.array), part.ijk_to_ras)

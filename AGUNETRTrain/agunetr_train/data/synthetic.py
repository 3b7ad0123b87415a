"""Synthetic CTs around real spleen masks, in the layout of the Medical Segmentation Decathlon.

They let every step of the study run at full size where its CTs cannot be had. The masks are kept voxel by voxel, the
abdomen around them is imagined (:func:`agunetr.phantom.make_phantom_around`): what networks reach on them says nothing
about patients.
"""

from __future__ import annotations

import math
import re
import shutil
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from agunetr.errors import InputError, OutputError
from agunetr.inference.body import foreground_box
from agunetr.inference.reading import read_mask
from agunetr.inference.resampling import crop
from agunetr.inference.volume import Volume
from agunetr.inference.writing import write_json, write_volume
from agunetr.phantom import CONTRASTS, make_phantom_around
from agunetr_train.data.cases import CASE_FACTS, PAIRED_FOLDERS, data_set_facts, stem_of
from agunetr_train.data.whole_folder import new_folder

UNKNOWN_LICENCE = "not known: that of the masks was not stated"


@dataclass(frozen=True)
class SyntheticPlan:
    """What is made.

    Attributes:
        count: of the masks, in the order of the numbers in their names; all where None.
        coarser: every which row and column is kept; 1 keeps the masks' files as they are.
        seed: another one gives other patients around the same masks.
        contrast: phase, see :data:`agunetr.phantom.CONTRASTS`.
        around_mm: what is kept of a scan in each direction beside the spleen; the whole scan where None. A cut scan
            has fewer windows, which is what a full-size network at 1 mm spends its time on.
    """

    count: int | None = None
    coarser: int = 1
    seed: int = 0
    contrast: str = "portal"
    around_mm: float | None = None

    def __post_init__(self) -> None:
        for name, least in (("count", 1), ("coarser", 1), ("seed", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise InputError(f"{name} is {value}.", f"Give {least} or more.")
        if self.contrast not in CONTRASTS:
            raise InputError(f"There is no contrast {self.contrast!r}.", f"Give one of: {', '.join(CONTRASTS)}.")
        if self.around_mm is not None and not 0 <= self.around_mm < math.inf:
            raise InputError(f"around_mm is {self.around_mm}.", "Give millimetres, 0 or more.")


def synthesize(
    labels: Path, output: Path, plan: SyntheticPlan, progress: Callable[[str, int, int], None] | None = None
) -> list[str]:
    """Draw a CT around each mask.

    Args:
        labels: folder of masks (0 and 1), or one with ``labelsTr/`` or ``labels/``; a ``dataset.json`` tells origin and
            licence, which go over to what is made.
        output: the folder that is made: ``imagesTr/``, ``labelsTr/``, ``dataset.json``, ``cases.json``.
        plan: how many, how coarse.
        progress: called with ("draw", done, total).

    Returns:
        The names of the cases.

    Raises:
        InputError: there are no masks, or one cannot be used.
        OutputError: ``output`` is there already or cannot be made.
    """
    masks = _masks(Path(labels))
    chosen = masks[: plan.count]
    if plan.count is not None and len(chosen) < plan.count:
        raise InputError(f"{labels} holds {len(masks)} masks, not {plan.count}.", "Ask for fewer.")
    if output.exists():
        raise OutputError(f"{output} is there already.", "Choose a folder that does not exist yet.")
    source = data_set_facts(Path(labels))
    facts = {}
    with new_folder(output) as folder:
        for part in ("imagesTr", "labelsTr"):
            (folder / part).mkdir()
        for done, path in enumerate(chosen):
            if progress is not None:
                progress("draw", done, len(chosen))
            name = stem_of(path)
            contrast, seed = _draw_case(path, name, folder, plan)
            facts[name] = _facts(path.name, source, contrast, seed)
        write_json(facts, folder / CASE_FACTS)
        write_json(_description(list(facts), source), folder / "dataset.json")
    if progress is not None:
        progress("draw", len(chosen), len(chosen))
    return list(facts)


def _masks(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}.", "Give a folder of masks.")
    inner = next((folder / part for _, part in PAIRED_FOLDERS if (folder / part).is_dir()), folder)
    found = [path for path in inner.iterdir() if stem_of(path)]
    if not found:
        raise InputError(f"There are no masks in {inner}.", "Give a folder of masks, for example .nii.gz.")
    return sorted(found, key=lambda path: [int(part) if part.isdecimal() else part for part in _parts(path)])


def _parts(path: Path) -> list[str]:
    """Text and numbers in turn, so that 10 comes after 9."""
    return re.split(r"(\d+)", stem_of(path))


def _draw_case(path: Path, name: str, folder: Path, plan: SyntheticPlan) -> tuple[str, int]:
    whole = read_mask(path)
    if int(whole.array.max()) > 1:
        raise InputError(f"{path} holds the value {int(whole.array.max())}.", "Give masks of 0 and 1.")
    mask = _coarser(whole, plan.coarser)
    # The seed follows from the name, so that a case is the same whichever others are made.
    seed = zlib.crc32(f"{plan.seed} {name}".encode())
    try:
        phantom = make_phantom_around(mask, seed, plan.contrast)
    except ValueError as error:
        raise InputError(f"No CT can be drawn around {path}: {error}", "Leave it out.") from error
    box = _kept(mask, plan.around_mm)
    write_volume(crop(phantom.ct, box), folder / "imagesTr" / f"{name}.nii.gz")
    target = folder / "labelsTr"
    if plan.coarser == 1 and plan.around_mm is None:
        shutil.copyfile(path, target / path.name)
    else:
        write_volume(crop(phantom.spleen, box), target / f"{name}.nii.gz")
    return phantom.contrast, seed


def _coarser(volume: Volume, step: int) -> Volume:
    """Every ``step``-th row and column; the first voxel stays where it is."""
    matrix = volume.ijk_to_ras.copy()
    matrix[:3, :2] *= step
    return Volume(np.ascontiguousarray(volume.array[:, ::step, ::step]), matrix)


def _kept(mask: Volume, around_mm: float | None) -> tuple[tuple[int, int], ...]:
    """(first, stop) along i, j and k of what is kept: everything, or the organ's box and a margin."""
    if around_mm is None:
        return tuple((0, count) for count in mask.size)
    return tuple(
        (max(0, first - math.ceil(around_mm / step)), min(count, stop + math.ceil(around_mm / step)))
        for (first, stop), step, count in zip(foreground_box(mask.array, 0), mask.spacing_mm, mask.size, strict=True)
    )


def _facts(mask: str, source: dict[str, str], contrast: str, seed: int) -> dict[str, Any]:
    origin = source.get("origin", "origin not stated")
    return {
        "origin": f"synthetic CT drawn around the mask {mask} ({origin})",
        "label_origin": origin,
        "licence": source.get("licence", UNKNOWN_LICENCE),
        "synthetic": True,
        "contrast": contrast,
        "seed": seed,
    }


def _description(names: list[str], source: dict[str, str]) -> dict[str, Any]:
    return {
        "name": "SyntheticSpleen",
        "description": "Synthetic CTs drawn around spleen masks; no patients",
        "reference": f"agunetr.phantom; masks: {source.get('origin', 'origin not stated')}",
        "licence": source.get("licence", UNKNOWN_LICENCE),
        "tensorImageSize": "3D",
        "modality": {"0": "CT"},
        "labels": {"0": "background", "1": "spleen"},
        "numTraining": len(names),
        "numTest": 0,
        "training": [
            {"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"} for name in names
        ],
        "test": [],
    }  # fmt: skip

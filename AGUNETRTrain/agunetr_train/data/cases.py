"""Labelled cases on disk: an image and a mask of the same patient."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agunetr.errors import InputError

IMAGE_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha")
PAIRED_FOLDERS = (("imagesTr", "labelsTr"), ("images", "labels"))
"""Folders of images and of masks with equal names: Medical Segmentation Decathlon and nnU-Net, then anybody's."""
MSD_SPLEEN = "Task09_Spleen"
CASE_FACTS = "cases.json"
"""What is known of the cases of paired folders: ``{case: {"patient": ..., "origin": ..., "licence": ...}}``."""

_LAYOUTS = "Give a folder with imagesTr/ and labelsTr/, with images/ and labels/, or with a folder a case."


@dataclass(frozen=True)
class Case:
    """One labelled case.

    Attributes:
        name: unique in its folder.
        image, label: files of the CT and of the mask.
        facts: what the files beside them say, for example ``origin``, ``licence``, ``use`` and ``patient``; empty
            where nothing is known.
    """

    name: str
    image: Path
    label: Path
    facts: dict[str, Any] = field(default_factory=dict, hash=False)

    @property
    def patient(self) -> str:
        """Whose scan it is; several cases may be of one patient. Where nothing is known, a patient of its own."""
        return str(self.facts.get("patient") or self.name)


def find_cases(folder: Path) -> dict[str, Case]:
    """All labelled cases of ``folder``, by name.

    Understood are: ``imagesTr/`` and ``labelsTr/`` (Medical Segmentation Decathlon, also one folder above, and
    nnU-Net); ``images/`` and ``labels/`` with equal names; a folder a case with ``ct.nii.gz``, ``spleen.nii.gz`` and
    maybe ``case.json``.

    Raises:
        InputError: the folder or every case is missing, an image has no mask, or a record beside them is damaged.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}.", _LAYOUTS)
    if (folder / MSD_SPLEEN).is_dir():
        folder = folder / MSD_SPLEEN
    for images, labels in PAIRED_FOLDERS:
        if (folder / images).is_dir():
            cases = _paired_cases(folder, images, labels)
            break
    else:
        cases = _case_folders(folder)
    if not cases:
        raise InputError(f"No labelled case was found in {folder}.", _LAYOUTS)
    for case in cases.values():
        if not case.label.is_file():
            raise InputError(
                f"The case {case.name} has no mask: {case.label} is missing.", "Add the mask or leave the case out."
            )
    return cases


def pick_cases(cases: Mapping[str, Case], names: Sequence[str]) -> list[Case]:
    """The named cases, in that order.

    Raises:
        InputError: one is not there.
    """
    missing = [name for name in names if name not in cases]
    if missing:
        raise InputError(
            f"The data lacks the case {missing[0]!r} ({len(missing)} of {len(names)} are missing).",
            "Point --data at the folder that holds the cases of this experiment.",
        )
    return [cases[name] for name in names]


def _case_folders(folder: Path) -> dict[str, Case]:
    """``<case>/ct.nii.gz`` with ``<case>/spleen.nii.gz``, and ``case.json`` where there is one."""
    cases = {}
    for image in sorted(folder.glob("*/ct.nii.gz")):
        name = image.parent.name
        cases[name] = Case(name, image, image.parent / "spleen.nii.gz", _record(image.parent / "case.json"))
    return cases


def _paired_cases(folder: Path, images: str, labels: str) -> dict[str, Case]:
    """Images and masks with equal names; nnU-Net's channel ending ``_0000`` of an image is ignored."""
    masks = {stem_of(path): path for path in (folder / labels).glob("*") if stem_of(path)}
    shared = data_set_facts(folder)
    known = _record(folder / CASE_FACTS)
    cases: dict[str, Case] = {}
    for image in sorted((folder / images).glob("*")):
        stem = stem_of(image)
        if not stem:
            continue
        name = stem if stem in masks else stem.removesuffix("_0000")
        if name in cases:
            raise InputError(f"The case {name} has two images, {cases[name].image} and {image}.", "Remove one.")
        own = known.get(name, {})
        if not isinstance(own, dict):
            raise InputError(f"{folder / CASE_FACTS} says about {name} what is no object.", "Correct it.")
        cases[name] = Case(name, image, masks.get(name, folder / labels / image.name), {**shared, **own})
    return cases


def stem_of(path: Path) -> str:
    """The name of an image file without its ending; empty for any other file.

    Archives made on macOS carry companion files that begin with a dot; they are none.
    """
    if path.name.startswith("."):
        return ""
    return next((path.name[: -len(ending)] for ending in IMAGE_SUFFIXES if path.name.endswith(ending)), "")


def data_set_facts(folder: Path) -> dict[str, str]:
    """Origin and licence as the ``dataset.json`` of the Medical Segmentation Decathlon says them."""
    record = _record(folder / "dataset.json")
    told = [str(record[key]) for key in ("description", "reference") if record.get(key)]
    facts = {"origin": ", ".join(told), "licence": str(record.get("licence") or record.get("license") or "")}
    return {key: value for key, value in facts.items() if value}


def _record(path: Path) -> dict[str, Any]:
    """A JSON object; empty where there is no such file."""
    if not path.is_file():
        return {}
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is damaged: {error}.", "Correct or remove it.") from error
    if not isinstance(values, dict):
        raise InputError(f"{path} is no JSON object.", "Correct or remove it.")
    return values

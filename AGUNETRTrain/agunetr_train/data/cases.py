"""Labelled cases on disk: an image and a mask of the same patient."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agunetr.errors import InputError

IMAGE_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha")


@dataclass(frozen=True)
class Case:
    """One labelled case.

    Attributes:
        name: unique in its folder.
        image, label: files of the CT and of the mask.
        facts: what a ``case.json`` beside the files says, for example ``origin`` and ``licence``; empty without one.
    """

    name: str
    image: Path
    label: Path
    facts: dict[str, Any] = field(default_factory=dict, hash=False)


def _stem(path: Path) -> str:
    for suffix in IMAGE_SUFFIXES:
        if path.name.endswith(suffix):
            return path.name[: -len(suffix)]
    return ""


def _case_folders(folder: Path) -> dict[str, Case]:
    """``<case>/ct.nii.gz`` with ``<case>/spleen.nii.gz``, and ``case.json`` where there is one."""
    cases = {}
    for image in sorted(folder.glob("*/ct.nii.gz")):
        facts_file = image.parent / "case.json"
        facts = json.loads(facts_file.read_text(encoding="utf-8")) if facts_file.is_file() else {}
        name = image.parent.name
        label = image.parent / "spleen.nii.gz"
        cases[name] = Case(name, image, label, facts)
    return cases


def _image_label_folders(folder: Path, images: str, labels: str) -> dict[str, Case]:
    """``images/`` and ``labels/`` with equal names; nnU-Net's channel ending ``_0000`` is ignored."""
    masks = {_stem(path): path for path in (folder / labels).glob("*") if _stem(path)}
    cases = {}
    for image in sorted((folder / images).glob("*")):
        stem = _stem(image)
        # Archives made on macOS carry companion files that begin with a dot and a low line.
        if not stem or image.name.startswith("."):
            continue
        name = stem.removesuffix("_0000")
        cases[name] = Case(name, image, masks.get(name, folder / labels / image.name))
    return cases


def find_cases(folder: Path) -> dict[str, Case]:
    """All labelled cases below ``folder``, by name.

    Understood are: a folder a case with ``ct.nii.gz`` and ``spleen.nii.gz``; ``images/`` and ``labels/``; ``imagesTr/``
    and ``labelsTr/`` (Medical Segmentation Decathlon and nnU-Net).

    Raises:
        InputError: no case was found, or an image has no mask.
    """
    folder = Path(folder)
    for images, labels in (("imagesTr", "labelsTr"), ("images", "labels")):
        if (folder / images).is_dir():
            cases = _image_label_folders(folder, images, labels)
            break
    else:
        cases = _case_folders(folder)
    if not cases:
        raise InputError(
            f"No labelled case was found in {folder}.",
            "Give a folder with imagesTr/ and labelsTr/, images/ and labels/, or a folder a case.",
        )
    for case in cases.values():
        if not case.label.is_file():
            raise InputError(
                f"The case {case.name} has no mask: {case.label} is missing.", "Add the mask or leave the case out."
            )
    return cases


def pick_cases(cases: dict[str, Case], names: tuple[str, ...]) -> list[Case]:
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

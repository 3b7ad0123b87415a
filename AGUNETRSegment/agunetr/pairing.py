"""Which predicted mask belongs to which reference mask, found from files and folders.

What is understood, for predictions and references alike:

- a file: one mask;
- a folder of masks, one a case, named after the case (a trailing ``_0000``, nnU-Net's channel number, is ignored);
- a folder of folders named after the cases, as ``agunetr segment`` writes for several scans; where a folder holds a
  ``result.json``, the masks are those that it names, one a model; else a single mask, or one called ``spleen``,
  ``segmentation``, ``mask`` or ``label``;
- a folder with a ``result.json``: the masks of one scan, one a model.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from agunetr.errors import InputError, Notice

SUFFIXES = (".seg.nrrd", ".nii.gz", ".nii", ".nrrd", ".mha", ".mhd")
MASK_NAMES = ("spleen", "segmentation", "mask", "label")
RESULT_FILE = "result.json"


@dataclass(frozen=True)
class Pair:
    """A predicted mask and its reference; ``model`` is the folder's or the file's name where no result names it."""

    case: str
    model: str
    prediction: Path
    reference: Path


def pair_masks(prediction: str | Path, reference: str | Path) -> tuple[list[Pair], list[Notice]]:
    """Every prediction with its reference, sorted by model and case.

    Returns:
        the pairs, and a notice for each case that has no counterpart.

    Raises:
        InputError: a path is missing, a folder is ambiguous, or nothing belongs together.
    """
    predictions, references = _masks(Path(prediction), True), _masks(Path(reference), False)
    if (
        len({case for case, _ in predictions}) == 1
        and len(references) == 1
        and not _both_folders(prediction, reference)
    ):
        # One scan on both sides: the files may be called anything.
        name = next(iter(references))[0]
        pairs = [Pair(name, model, path, next(iter(references.values()))) for (_, model), path in predictions.items()]
        return sorted(pairs, key=lambda pair: pair.model), []
    truth = {case: path for (case, _), path in references.items()}
    pairs = [Pair(case, model, path, truth[case]) for (case, model), path in predictions.items() if case in truth]
    if not pairs:
        raise InputError(
            f"No mask of {prediction} has the name of a case of {reference} (for example "
            f"{_some(case for case, _ in predictions)} and {_some(truth)}).",
            "Name the predictions after the cases, as the references are.",
        )
    found = {pair.case for pair in pairs}
    notices = [
        Notice("no-reference", f"{case} has no reference mask and is not scored.")
        for case in sorted({case for case, _ in predictions} - found)
    ]
    notices += [
        Notice("no-prediction", f"{case} has a reference mask but no prediction and is not scored.")
        for case in sorted(set(truth) - found)
    ]
    return sorted(pairs, key=lambda pair: (pair.model, _natural(pair.case))), notices


def case_name(path: Path) -> str:
    """The name of a file without its folder, its suffix and nnU-Net's channel number."""
    name = path.name
    for suffix in SUFFIXES:
        if name.lower().endswith(suffix):
            name = name[: -len(suffix)]
            break
    return re.sub(r"_0000$", "", name)


def _masks(path: Path, predictions: bool) -> dict[tuple[str, str], Path]:
    """(case, model) to file."""
    if path.is_file():
        return {(case_name(path), case_name(path) if predictions else ""): path}
    if not path.is_dir():
        raise InputError(f"{path} does not exist.", "Give a mask file, or a folder of masks.")
    if (path / RESULT_FILE).is_file():
        return {(path.name, model): mask for model, mask in _named_by_result(path).items()}
    model = path.name if predictions else ""
    masks = {(case_name(file), model): file for file in _mask_files(path)}
    for folder in sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith(".")):
        if (folder / RESULT_FILE).is_file():
            masks.update({(folder.name, model): mask for model, mask in _named_by_result(folder).items()})
        elif found := _mask_files(folder):
            masks[(folder.name, model)] = _the_mask(folder, found)
    if not masks:
        raise InputError(
            f"The folder {path} holds no masks.",
            f"Masks end in one of {', '.join(SUFFIXES)}, one file or folder a case.",
        )
    return masks


def _mask_files(folder: Path) -> list[Path]:
    return sorted(
        file
        for file in folder.iterdir()
        if file.is_file() and not file.name.startswith(".") and file.name.lower().endswith(SUFFIXES)
    )


def _the_mask(folder: Path, files: list[Path]) -> Path:
    if len(files) == 1:
        return files[0]
    named = [file for name in MASK_NAMES for file in files if case_name(file).lower() == name]
    if not named:
        raise InputError(
            f"The folder {folder} holds {len(files)} images and none is called {', '.join(MASK_NAMES)}.",
            "Leave one mask in it, or call the mask by one of these names.",
        )
    return named[0]


def _named_by_result(folder: Path) -> dict[str, Path]:
    try:
        models = json.loads((folder / RESULT_FILE).read_text(encoding="utf-8"))["models"]
        # Only the name: a result file must not lead out of its folder.
        masks = {str(model["name"]): folder / Path(str(model["mask"])).name for model in models}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{folder / RESULT_FILE} is not a result of `agunetr segment`.", "Segment it again."
        ) from error
    for mask in masks.values():
        if not mask.is_file():
            raise InputError(f"{mask} is named in {RESULT_FILE} but missing.", "Segment the scan again.")
    return masks


def _both_folders(prediction: str | Path, reference: str | Path) -> bool:
    return Path(prediction).is_dir() and Path(reference).is_dir() and not (Path(prediction) / RESULT_FILE).is_file()


def _natural(name: str) -> list[tuple[int, str]]:
    """A sorting key by which case_9 comes before case_10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _some(names) -> str:  # noqa: ANN001 - any iterable of str
    return ", ".join(sorted(set(names))[:3])

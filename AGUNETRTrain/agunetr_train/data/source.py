"""Where the cases of an experiment come from: a folder, the public data set, or phantoms."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from agunetr.errors import InputError
from agunetr.inference.writing import write_json, write_volume
from agunetr.phantom import DEFAULT_SIZE, DEFAULT_SPACING_MM, make_phantom
from agunetr_train.data.cases import CASE_FACTS, Case, find_cases
from agunetr_train.data.whole_folder import new_folder
from agunetr_train.experiments.definition import DataSource, Experiment

PHANTOM_FORMAT = 1
"""Part of the name of a folder of phantoms; grows when the same seed draws another patient."""
PHANTOM_FACTS = {"origin": "procedural phantom, no patient", "licence": "CC0-1.0", "use": "train"}


def find_experiment_cases(
    experiment: Experiment,
    folder: Path | None,
    cache: Path,
    say: Callable[[str], None] = print,
    progress: Callable[[str, int, int], None] | None = None,
) -> dict[str, Case]:
    """The labelled cases that an experiment trains on, by name.

    Args:
        experiment: its ``data`` says where they come from where no folder is given.
        folder: of labelled cases, see :func:`agunetr_train.data.cases.find_cases`; None takes the experiment's source.
        cache: where data are downloaded to, or drawn, once.
        say: called with a sentence on what takes long.
        progress: called with ("download", bytes done, bytes in all).

    Raises:
        InputError: a folder is needed, it holds no cases, or the download fails.
        OutputError: the cache cannot be written to.
    """
    if folder is not None:
        return find_cases(folder)
    if experiment.data.source == "phantoms":
        return find_cases(draw_phantoms(experiment.data, cache, say))
    if experiment.data.source == "msd-spleen":
        from agunetr_train.data.msd_download import download_msd_spleen

        return find_cases(download_msd_spleen(cache, say, progress))
    raise InputError(
        f"The experiment {experiment.name} brings no data.", "Give a folder of labelled cases with --data FOLDER."
    )


def draw_phantoms(source: DataSource, cache: Path, say: Callable[[str], None]) -> Path:
    """The folder of the phantoms that ``source`` describes, with ``images/`` and ``labels/``; drawn once.

    Raises:
        InputError: size or spacing are out of the phantom's range.
        OutputError: ``cache`` cannot be written to.
    """
    size, spacing = source.size or DEFAULT_SIZE, source.spacing_mm or DEFAULT_SPACING_MM
    parameters = json.dumps([PHANTOM_FORMAT, source.cases, source.seed, size, spacing])
    target = Path(cache) / f"phantoms-{hashlib.sha256(parameters.encode()).hexdigest()[:12]}"
    if target.is_dir():
        return target
    say(f"Drawing {source.cases} phantoms into {target}.")
    try:
        with new_folder(target) as unfinished:
            _draw(source, size, spacing, unfinished)
    except ValueError as error:
        raise InputError(f"The phantoms cannot be drawn: {error}", "Correct 'data' in the experiment.") from error
    return target


def _draw(source: DataSource, size: tuple[int, ...], spacing_mm: tuple[float, ...], folder: Path) -> None:
    for part in ("images", "labels"):
        (folder / part).mkdir()
    facts = {}
    for number in range(source.cases):
        name = f"phantom_{number:03d}"
        phantom = make_phantom(source.seed + number, size, spacing_mm)
        write_volume(phantom.ct, folder / "images" / f"{name}.nii.gz")
        write_volume(phantom.spleen, folder / "labels" / f"{name}.nii.gz")
        facts[name] = {**PHANTOM_FACTS, "seed": phantom.seed, "contrast": phantom.contrast}
    write_json(facts, folder / CASE_FACTS)

"""One scan, one or more models, to files: masks, gate maps and ``result.json``.

Everything is first written into a hidden folder on the same disk and moved when all of it is there, ``result.json``
last: a run that fails, is cancelled or is killed leaves no file under a final name.

``result.json``::

    {"format": 1, "agunetr_version": "0.1.0",
     "input": {..., "size": [i, j, k], "spacing_mm": [i, j, k]},
     "device": "cpu", "device_reason": "...", "precision": "exact", "precision_reason": "...",
     "warnings": [{"kind": "...", "message": "..."}],
     "seconds": {"prepare", "load", "windows", "restore", "measure", "write", "total"},
     "models": [{"name", "title", "variant", "checksum", "mask": FILE, "volume_ml", "voxels", "longest_axis_mm",
                 "mean_hu", "attention": {GATE: FILE}, "warnings": [...], "seconds": {...}, "windows": N}],
     "agreement": [{"first": MODEL, "second": MODEL, "dice": 0.97}]}
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from agunetr import __version__
from agunetr.errors import Cancelled, ModelError, Notice, OutputError
from agunetr.inference.attention import ALL, wanted_gates
from agunetr.inference.dicom_series import is_dicom_file
from agunetr.inference.inferer import CancelQuery, Progress
from agunetr.inference.result_folder import ResultFolder
from agunetr.inference.segmenter import Segmentation, Segmenter, SegmentOptions
from agunetr.inference.volume import Volume
from agunetr.inference.writing import write_json, write_volume
from agunetr.measures import describe_mask, dice_score

if TYPE_CHECKING:
    from agunetr.models.bundle import ModelBundle

RESULT_FORMAT = 1
RESULT_FILE = "result.json"


def run_job(
    volume: Volume,
    input_notices: Sequence[Notice],
    bundles: Sequence[ModelBundle],
    options: SegmentOptions,
    output_folder: Path | str,
    segmenter: Segmenter | None = None,
    progress: Progress | None = None,
    cancelled: CancelQuery | None = None,
    input_description: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Segment one scan with every model and write the results.

    Args:
        volume: a CT in HU that passed :func:`agunetr.inference.checks.check_volume`.
        input_notices: what the reading and the checks noticed; they become the result's warnings.
        bundles: the models, at least one, each name once.
        options: how to segment.
        output_folder: ``<model>.nii.gz``, ``<model>_<gate>.nii.gz`` and ``result.json`` go there; made if missing.
        segmenter: one with warm networks; a new one where None.
        progress: told (stage, done, total); with several models the stage starts with the model's name.
        cancelled: asked between windows and between stages.
        input_description: what ``result.json`` says about the input; the file or folder of its path is never replaced.
        overwrite: replace results of an earlier run, and remove gate maps of it that this one has not.

    Returns:
        What ``result.json`` holds.

    Raises:
        OutputError: results are there already, would replace the input, or cannot be written.
        ModelError: no model, two of one name, or no model has a gate that was asked for.
        InputError, DeviceError, MemoryExhausted, Cancelled: see :meth:`Segmenter.segment`.
    """
    started = time.perf_counter()
    _check_models(bundles, options)
    names = _file_names(bundles, options)
    output = Path(output_folder)
    source = _source(input_description)
    for name in names:
        if _is_input(output / name, source):
            raise OutputError(
                f"The result {output / name} would replace the input.", "Choose another folder for the results."
            )
    segmenter = segmenter or Segmenter(options)
    entries: list[dict[str, Any]] = []
    masks: list[np.ndarray] = []
    answer: Segmentation | None = None
    with ResultFolder(output, names, overwrite) as folder:
        try:
            for bundle in bundles:
                told = _with_name(progress, bundle.name) if len(bundles) > 1 else progress
                answer = segmenter.segment(volume, bundle, told, cancelled, options)
                entries.append(_write_model(folder.path, volume, bundle, answer, told))
                masks.append(answer.mask)
        finally:
            segmenter.forget_scan()
        agreement = [
            {"first": bundle.name, "second": other.name, "dice": dice_score(mask, other_mask)}
            for (bundle, mask), (other, other_mask) in itertools.combinations(zip(bundles, masks, strict=True), 2)
        ]
        result = {
            "format": RESULT_FORMAT,
            "agunetr_version": __version__,
            "input": {
                **(input_description or {}),
                "size": list(volume.size),
                "spacing_mm": [round(spacing, 6) for spacing in volume.spacing_mm],
            },
            "device": answer.device,
            "device_reason": answer.device_reason,
            "precision": answer.precision,
            "precision_reason": answer.precision_reason,
            "warnings": [notice.to_dict() for notice in input_notices],
            "seconds": _summed(entries) | {"total": round(time.perf_counter() - started, 3)},
            "models": entries,
            "agreement": agreement,
        }
        write_json(result, folder.path / RESULT_FILE)
        if cancelled is not None and cancelled():
            raise Cancelled()
        folder.publish([name for name in _gate_maps_there(output) if not _is_input(output / name, source)])
    return result


def _write_model(
    folder: Path, volume: Volume, bundle: ModelBundle, answer: Segmentation, progress: Progress | None
) -> dict[str, Any]:
    """Write one model's files and return its entry of ``result.json``."""
    mask = volume.with_array(answer.mask)
    started = time.perf_counter()
    if progress is not None:
        progress("write", 0, 1)
    description = describe_mask(mask, volume)
    measured = time.perf_counter()
    write_volume(mask, folder / _mask_file(bundle))
    for gate, gate_map in answer.attention.items():
        write_volume(gate_map, folder / _gate_file(bundle, gate))
    seconds = {**answer.seconds, "measure": measured - started, "write": time.perf_counter() - measured}
    if progress is not None:
        progress("write", 1, 1)
    return {
        "name": bundle.name,
        "title": bundle.title,
        "variant": bundle.variant,
        "checksum": bundle.checksum,
        "mask": _mask_file(bundle),
        "volume_ml": description.volume_ml,
        "voxels": description.voxels,
        "longest_axis_mm": description.longest_axis_mm,
        "mean_hu": description.mean_hu,
        "attention": {gate: _gate_file(bundle, gate) for gate in answer.attention},
        "warnings": [notice.to_dict() for notice in answer.notices],
        "seconds": {stage: round(value, 3) for stage, value in seconds.items()},
        "windows": answer.windows,
    }


def _source(input_description: Mapping[str, Any] | None) -> Path | None:
    path = (input_description or {}).get("path")
    return Path(path).expanduser() if path else None


def _is_input(path: Path, source: Path | None) -> bool:
    """Whether the file is the input, or one of the DICOM files in the input's folder or a folder in that."""
    if source is None or not path.is_file() or not source.exists():
        return False
    if source.is_dir():
        return path.resolve().is_relative_to(source.resolve()) and is_dicom_file(path)
    return path.samefile(source)


def _gate_maps_there(output: Path) -> list[str]:
    """The gate maps that the folder's ``result.json`` names; no other file, whatever somebody wrote into it."""
    try:
        models = json.loads((output / RESULT_FILE).read_text(encoding="utf-8"))["models"]
        names = [
            file
            for model in models
            for gate, file in model["attention"].items()
            if file == f"{model['name']}_{gate}.nii.gz" and Path(file).name == file
        ]
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return []
    return [name for name in names if (output / name).is_file()]


def _check_models(bundles: Sequence[ModelBundle], options: SegmentOptions) -> None:
    if not bundles:
        raise ModelError("No model was chosen.", "Choose at least one.")
    # Two names that differ in their case alone are one file on Windows and macOS.
    names = [bundle.name.casefold() for bundle in bundles]
    twice = next((bundle.name for bundle in bundles if names.count(bundle.name.casefold()) > 1), None)
    if twice is not None:
        raise ModelError(f"Two of the chosen models are called {twice}.", "Choose each model once.")
    known = dict.fromkeys(gate for bundle in bundles for gate in bundle.gate_names)
    unknown = [gate for gate in options.attention if gate not in known and gate != ALL]
    if unknown:
        remedy = f"Choose from {', '.join(known)}." if known else "Leave the attention maps out, or add a gated model."
        raise ModelError(f"No chosen model has a gate called {unknown[0]}.", remedy)


def _file_names(bundles: Sequence[ModelBundle], options: SegmentOptions) -> list[str]:
    """Every file of the job; ``result.json`` last, so that it is only there when all the others are.

    Raises:
        ModelError: two results would have one name.
    """
    names = []
    for bundle in bundles:
        gates, _ = wanted_gates(options.attention, bundle.gate_names)
        names += [_mask_file(bundle), *(_gate_file(bundle, gate) for gate in gates)]
    twice = next((name for name in names if [other.casefold() for other in names].count(name.casefold()) > 1), None)
    if twice is not None:
        raise ModelError(f"Two results would be called {twice}.", "Segment with these models one after the other.")
    return [*names, RESULT_FILE]


def _mask_file(bundle: ModelBundle) -> str:
    return f"{bundle.name}.nii.gz"


def _gate_file(bundle: ModelBundle, gate: str) -> str:
    return f"{bundle.name}_{gate}.nii.gz"


def _with_name(progress: Progress | None, name: str) -> Progress | None:
    if progress is None:
        return None
    return lambda stage, done, total: progress(f"{name}: {stage}", done, total)


def _summed(entries: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Seconds of each stage, all models together."""
    stages = dict.fromkeys(stage for entry in entries for stage in entry["seconds"])
    return {stage: round(sum(entry["seconds"].get(stage, 0.0) for entry in entries), 3) for stage in stages}

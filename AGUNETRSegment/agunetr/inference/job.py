"""One scan, one or more models, to files: masks, gate maps and ``result.json``.

Everything is first written into a hidden folder on the same disk and moved when all of it is there, ``result.json``
last: a run that fails, is cancelled or is killed leaves no file under a final name.

``result.json``::

    {"format": 1, "agunetr_version": "0.1.0",
     "input": {..., "size": [i, j, k], "spacing_mm": [i, j, k]}, "options": {the fields of SegmentOptions},
     "device": "cpu", "device_reason": "...", "precision": "exact", "precision_reason": "...",
     "warnings": [{"kind": "...", "message": "..."}],
     "seconds": {"localise" where that was done, "prepare", "load", "windows", "restore", "measure", "write", "total"},
     "models": [{"name", "title", "variant", "checksum", "device", "device_reason", "engine", "engine_reason",
                 "mask": FILE, "volume_ml", "voxels", "longest_axis_mm", "mean_hu",
                 "attention": {GATE: FILE}, "warnings": [...], "seconds": {...},
                 "windows": N, "window_batch": N, "windows_of_dense": N, "search": "dense" | "localised" | "region",
                 "search_reason": "...",
                 "reference": {the fields of MaskComparison: "dice", "hausdorff95_mm", "surface_dice" ...}}],
     "reference": {"path": FILE, "label": N, "volume_ml": 180.2},
     "agreement": [{"first": MODEL, "second": MODEL, "dice": 0.97}]}

Both ``reference`` are there where a reference mask was given, ``label`` where one was named.
"""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from agunetr import __version__
from agunetr.errors import Cancelled, Notice, OutputError
from agunetr.events import jsonable
from agunetr.inference.inferer import CancelQuery, Progress
from agunetr.inference.result_folder import ResultFolder
from agunetr.inference.result_names import (
    RESULT_FILE,
    check_models,
    file_names,
    gate_file,
    gate_maps_there,
    input_path,
    is_input,
    mask_file,
)
from agunetr.inference.segmenter import Segmentation, Segmenter, SegmentOptions
from agunetr.inference.volume import Volume
from agunetr.inference.writing import write_json, write_volume
from agunetr.measures import describe_mask, dice_score

if TYPE_CHECKING:
    from agunetr.inference.reference import Reference
    from agunetr.models.bundle import ModelBundle

RESULT_FORMAT = 1


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
    reference: Reference | None = None,
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
        reference: a mask of this scan to score every model against; its file is never replaced.

    Returns:
        What ``result.json`` holds.

    Raises:
        OutputError: results are there already, would replace the input or the reference, or cannot be written.
        ModelError: no model, two of one name, or no model has a gate that was asked for.
        InputError, DeviceError, MemoryExhausted, Cancelled: see :meth:`Segmenter.segment`.
    """
    arguments = (volume, input_notices, bundles, options, output_folder, input_description, overwrite, reference)
    with ScanJob(*arguments) as job:
        segmenter = segmenter or Segmenter(options)
        try:
            for bundle in bundles:
                answer = job.segment(bundle, segmenter, progress, cancelled)
                job.write(bundle, answer, progress)
        finally:
            segmenter.forget_scan()
        return job.finish(cancelled)


class ScanJob:
    """The steps of :func:`run_job`, for a caller that takes them at different times or in different threads.

    A context: until :meth:`finish` everything lies in a hidden folder, which the end of the context removes. Each model
    is segmented and written once, in the order of ``bundles``. Arguments and errors are those of :func:`run_job`.
    """

    def __init__(
        self,
        volume: Volume,
        input_notices: Sequence[Notice],
        bundles: Sequence[ModelBundle],
        options: SegmentOptions,
        output_folder: Path | str,
        input_description: Mapping[str, Any] | None = None,
        overwrite: bool = False,
        reference: Reference | None = None,
    ) -> None:
        self._started = time.perf_counter()
        check_models(bundles, options)
        names = file_names(bundles, options)
        self._output = Path(output_folder)
        self._source = input_path(input_description)
        self._reference = reference
        kept = {"input": self._source, "reference": Path(reference.path).expanduser() if reference else None}
        for name, (kind, source) in itertools.product(names, kept.items()):
            if is_input(self._output / name, source):
                raise OutputError(
                    f"The result {self._output / name} would replace the {kind}.",
                    "Choose another folder for the results.",
                )
        self._volume = volume
        self._input_notices = input_notices
        self._input_description = input_description or {}
        self._bundles = bundles
        self._options = options
        self._entries: list[dict[str, Any]] = []
        self._masks: list[np.ndarray] = []
        self._answer: Segmentation | None = None
        self._folder = ResultFolder(self._output, names, overwrite)

    def __enter__(self) -> ScanJob:
        self._folder.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._folder.__exit__(kind, error, trace)

    def segment(
        self,
        bundle: ModelBundle,
        segmenter: Segmenter,
        progress: Progress | None = None,
        cancelled: CancelQuery | None = None,
    ) -> Segmentation:
        """One model's answer; nothing is written."""
        return segmenter.segment(self._volume, bundle, self._told(progress, bundle), cancelled, self._options)

    def write(self, bundle: ModelBundle, answer: Segmentation, progress: Progress | None = None) -> None:
        """Measure one model's mask and write its files into the hidden folder."""
        told = self._told(progress, bundle)
        entry = _write_model(self._folder.path, self._volume, bundle, answer, told)
        if self._reference is not None:
            _score(entry, answer.mask, self._reference, told)
        self._entries.append(entry)
        self._masks.append(answer.mask)
        self._answer = answer

    def finish(self, cancelled: CancelQuery | None = None) -> dict[str, Any]:
        """Write ``result.json``, move all files to their final names, and return what ``result.json`` holds."""
        pairs = itertools.combinations(zip(self._bundles, self._masks, strict=True), 2)
        answer, reference = self._answer, self._reference
        reference_notices = reference.notices if reference is not None else ()
        result = {
            "format": RESULT_FORMAT,
            "agunetr_version": __version__,
            "input": {
                **self._input_description,
                "size": list(self._volume.size),
                "spacing_mm": [round(spacing, 6) for spacing in self._volume.spacing_mm],
            },
            "options": jsonable(dataclasses.asdict(self._options)),
            "device": answer.device,
            "device_reason": answer.device_reason,
            "precision": answer.precision,
            "precision_reason": answer.precision_reason,
            "warnings": [notice.to_dict() for notice in (*self._input_notices, *reference_notices)],
            "seconds": _summed(self._entries) | {"total": round(time.perf_counter() - self._started, 3)},
            "models": self._entries,
            **({} if reference is None else {"reference": reference.to_dict()}),
            "agreement": [
                {"first": bundle.name, "second": other.name, "dice": dice_score(mask, other_mask)}
                for (bundle, mask), (other, other_mask) in pairs
            ],
        }
        write_json(result, self._folder.path / RESULT_FILE)
        if cancelled is not None and cancelled():
            raise Cancelled()
        outdated = gate_maps_there(self._output)
        self._folder.publish([name for name in outdated if not is_input(self._output / name, self._source)])
        return result

    def _told(self, progress: Progress | None, bundle: ModelBundle) -> Progress | None:
        return _with_name(progress, bundle.name) if len(self._bundles) > 1 else progress


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
    write_volume(mask, folder / mask_file(bundle))
    for gate, gate_map in answer.attention.items():
        write_volume(gate_map, folder / gate_file(bundle, gate))
    seconds = {**answer.seconds, "measure": measured - started, "write": time.perf_counter() - measured}
    if progress is not None:
        progress("write", 1, 1)
    return {
        "name": bundle.name,
        "title": bundle.title,
        "variant": bundle.variant,
        "checksum": bundle.checksum,
        "device": answer.device,
        "device_reason": answer.device_reason,
        "engine": answer.engine,
        "engine_reason": answer.engine_reason,
        "mask": mask_file(bundle),
        "volume_ml": description.volume_ml,
        "voxels": description.voxels,
        "longest_axis_mm": description.longest_axis_mm,
        "mean_hu": description.mean_hu,
        "attention": {gate: gate_file(bundle, gate) for gate in answer.attention},
        # A gate that this model lacks is one that another model of the job has: what none has, the job refuses.
        "warnings": [notice.to_dict() for notice in answer.notices if notice.kind != "no-such-gate"],
        "seconds": {stage: round(value, 3) for stage, value in seconds.items()},
        "windows": answer.windows,
        "window_batch": answer.window_batch,
        "windows_of_dense": answer.windows_of_dense,
        "search": answer.search,
        "search_reason": answer.search_reason,
    }


def _score(entry: dict[str, Any], mask: np.ndarray, reference: Reference, progress: Progress | None) -> None:
    """Add a model's scores against the reference to its entry."""
    started = time.perf_counter()
    if progress is not None:
        progress("score", 0, 1)
    entry["reference"] = reference.scores(mask)
    entry["seconds"]["score"] = round(time.perf_counter() - started, 3)
    if progress is not None:
        progress("score", 1, 1)


def _with_name(progress: Progress | None, name: str) -> Progress | None:
    if progress is None:
        return None
    return lambda stage, done, total: progress(f"{name}: {stage}", done, total)


def _summed(entries: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Seconds of each stage, all models together."""
    stages = dict.fromkeys(stage for entry in entries for stage in entry["seconds"])
    return {stage: round(sum(entry["seconds"].get(stage, 0.0) for entry in entries), 3) for stage in stages}

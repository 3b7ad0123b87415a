"""Scores of a trained job: every test case through the same segmenter that users run, on the case's own grid.

Whole scans are searched (the localiser that comes with AGUNETR belongs to other models), PyTorch computes in float32,
and the weights are rounded to 16 bits just as the exported model stores them: the scores are that model's.

::

    RUN/<job>/model.json           how large the network is, which weights were scored, how
    RUN/<job>/test/<case>.json     measures, time and memory of one case
    RUN/<job>/test/<case>.nii.gz   its mask, on the scan's grid
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from agunetr.errors import InputError, OutputError
from agunetr.inference.devices import choose_device
from agunetr.inference.segmenter import Segmenter, SegmentOptions
from agunetr.inference.volume import Volume
from agunetr.inference.writing import write_json, write_volume
from agunetr.measures import compare_masks
from agunetr.models.bundle import ModelBundle
from agunetr_train.data.cases import Case
from agunetr_train.data.preparation import read_case
from agunetr_train.evaluation.model_sizes import model_sizes
from agunetr_train.evaluation.peak_memory import PeakMemory
from agunetr_train.evaluation.trained_model import trained_model
from agunetr_train.experiments.jobs import Job
from agunetr_train.experiments.splits import Split
from agunetr_train.run_folder import RunFolder

FACTS = ("contrast", "whole_spleen", "label_grade", "label_origin")
"""What of a case's facts stands beside its scores, since it says how to read them."""


def part_to_score(split: Split) -> tuple[str, tuple[str, ...]]:
    """``test`` and its cases; where a split has none, ``validation`` and its cases, which training looked at."""
    return ("test", split.test) if split.test or not split.validation else ("validation", split.validation)


def score_options(device: torch.device | str) -> SegmentOptions:
    """How cases are scored: the whole scan, by PyTorch, in float32; the rest as users have it by default."""
    return SegmentOptions(device=str(device), engine="torch", precision="exact", localise=False)


def score_job(
    run: RunFolder,
    job: Job,
    cases: Sequence[Case],
    device: torch.device | str = "auto",
    say: Callable[[str], None] = print,
    stop: Callable[[], bool] | None = None,
) -> None:
    """Score the test cases of a job, or its validation cases where the split has no test cases.

    Cases that were scored with these very weights already are left alone, so that an interrupted scoring goes on.

    Args:
        run, job: whose weights; unfinished jobs can be scored too.
        cases: those to score; others among them are passed over.
        device: see :class:`~agunetr.inference.segmenter.SegmentOptions`.
        say: told one line a case.
        stop: asked before every batch of windows whether to stop.

    Raises:
        InputError: the job has no checkpoint, a case is missing or cannot be read.
        DeviceError: there is no such device.
        OutputError: a score or mask cannot be written; the other cases' are kept.
        Cancelled: ``stop`` said so; the cases that were scored are kept.
    """
    part, names = part_to_score(run.splits()[job.fold])
    given = {case.name: case for case in cases}
    if missing := [name for name in names if name not in given]:
        raise InputError(
            f"The data lacks the case {missing[0]!r}, which is to be scored.", "Give the data of this run."
        )
    folder = scores_folder(run, job)
    options = score_options(choose_device(str(device))[0])
    with trained_model(run, job, say) as model:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{folder} cannot be made ({error.strerror}).", "Choose another run folder.") from error
        segmenter = Segmenter(options)
        write_json(_model_record(run, job, model, options), model_record(run, job), overwrite=True)
        for number, name in enumerate(names, start=1):
            if _is_scored(folder / f"{name}.json", model, part):
                continue
            row = _score(segmenter, model, given[name], folder, stop)
            # Written last: a case counts as scored once this is there.
            write_json({**row, "part": part, "weights": model.checksum}, folder / f"{name}.json", overwrite=True)
            say(f"{job.name}: {part} case {name} ({number} of {len(names)}): Dice {row['dice']:.4f}")
    if not names:
        say(f"{job.name}: nothing was scored, for its split has neither test nor validation cases.")


def scores_folder(run: RunFolder, job: Job | str) -> Path:
    """Where the scores and masks of a job lie."""
    return run.job(job) / "test"


def model_record(run: RunFolder, job: Job | str) -> Path:
    """Where the sizes of a job's network lie."""
    return run.job(job) / "model.json"


def read_scores(run: RunFolder, job: Job, checksum: str | None = None) -> list[dict[str, Any]]:
    """The scores of a job that are there, in the order of its split; unfinished jobs have some or none.

    Args:
        run, job: whose.
        checksum: of the weights that must have been scored; None takes what there is.

    Raises:
        InputError: a record is damaged.
    """
    part, names = part_to_score(run.splits()[job.fold])
    rows = (_read(scores_folder(run, job) / f"{name}.json") for name in names)
    return [row for row in rows if row and row["part"] == part and checksum in (None, row["weights"])]


def _score(
    segmenter: Segmenter, model: ModelBundle, case: Case, folder: Path, stop: Callable[[], bool] | None
) -> dict[str, Any]:
    image, label = read_case(case)
    with PeakMemory(segmenter.options.device) as memory:
        found = segmenter.segment(image, model, cancelled=stop)
    segmenter.forget_scan()
    write_volume(Volume(found.mask, image.ijk_to_ras), folder / f"{case.name}.nii.gz", overwrite=True)
    return {
        "case": case.name,
        "patient": case.patient,
        **compare_masks(found.mask, label.array, image.spacing_mm).to_dict(),
        # Loading happens once and would be the first case's alone.
        "seconds": round(sum(value for stage, value in found.seconds.items() if stage != "load"), 3),
        "seconds_by_stage": {stage: round(value, 3) for stage, value in found.seconds.items()},
        "windows": found.windows,
        "device": found.device,
        "threads": torch.get_num_threads(),
        "peak_memory_bytes": memory.resident_bytes,
        "peak_device_memory_bytes": memory.device_bytes,
        "notices": [notice.to_dict() for notice in found.notices],
        **{fact: case.facts[fact] for fact in FACTS if fact in case.facts},
    }


def _model_record(run: RunFolder, job: Job, model: ModelBundle, options: SegmentOptions) -> dict[str, Any]:
    return {
        "job": job.name,
        "variant": model.variant,
        "gates": list(model.gate_names),
        **model_sizes(model.network_config),
        "spacing_mm": list(model.spacing_mm),
        "file_bytes": model.size_bytes,
        "weights": model.checksum,
        "finished": run.is_finished(job),
        "engine": options.engine,
        "precision": options.precision,
        "overlap": options.overlap,
        "largest_component": options.largest_component,
        "fill_holes": options.fill_holes,
        "threshold": options.threshold,
    }


def _is_scored(record: Path, model: ModelBundle, part: str) -> bool:
    if not record.with_suffix(".nii.gz").is_file():
        return False
    try:
        row = _read(record)
    except InputError:
        return False  # it is made again
    return row is not None and (row["weights"], row["part"]) == (model.checksum, part)


def _read(record: Path) -> dict[str, Any] | None:
    try:
        row = json.loads(record.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        row = None
    if not isinstance(row, dict) or not {"case", "dice", "part", "weights"} <= row.keys():
        raise InputError(f"{record} is damaged.", "Remove it; scoring the job again makes it anew.")
    return row

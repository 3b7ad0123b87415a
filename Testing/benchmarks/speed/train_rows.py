"""Training: one full-size step in turns with MONAI's, and what loading a patch takes beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from agunetr.inference.reading import read_volume
from agunetr.inference.writing import write_volume
from speed.filling import empty_row, filled_row
from speed.rows import Row
from speed.segment_rows import why_not_fast
from speed.subjects import Measured
from speed.workbench import FULL_SIZE_SPACING_MM, SEED, Workbench

REFERENCE = "MONAI"
PRECISIONS = {"train-step-exact": "float32", "train-step-fast": "bfloat16"}


def measure_steps(bench: Workbench, names: list[str]) -> list[Row]:
    """The rows ``train-step-<precision>``."""
    no_bfloat16 = why_not_fast()
    model = bench.full_size
    common = {"bundle": str(model.bundle.folder), "window": str(bench.window_file)}
    subjects = {REFERENCE: ("train-step-monai", common)}
    skipped = {}
    for name in names:
        if PRECISIONS[name] == "bfloat16" and no_bfloat16 and not bench.smoke:
            skipped[name] = f"Fast means bfloat16, and here: {no_bfloat16}"
        else:
            subjects[name] = ("train-step-ours", common | {"precision": PRECISIONS[name]})
    measured = bench.take_turns(subjects) if len(subjects) > 1 else {}
    rows = []
    for name in names:
        if name in skipped:
            rows.append(empty_row(name, skipped[name]))
            continue
        details = dict(input=f"a window of {bench.ct.what}", weights=model.what, seed=SEED)
        row = filled_row(name, measured[name], measured[REFERENCE], **details)
        if not row.not_measured:
            row.agreement["loss_difference"] = _loss_difference(measured[name], measured[REFERENCE])
            row.details["losses"] = [facts["loss"] for facts in measured[name].facts]
        rows.append(row)
    return rows


def measure_loading(bench: Workbench, names: list[str]) -> list[Row]:
    """The row ``train-loading``: seconds of a patch over seconds of our fastest step that this CPU has."""
    draw = {
        "ct": str(bench.ct.file),
        "label": str(bench.ct.label or brightest_part(bench)),
        "window": bench.window.shape[0],
        "spacing_mm": 3.0 if bench.smoke else FULL_SIZE_SPACING_MM[0],
        "cache": str(bench.work),
    }
    step = {"bundle": str(bench.full_size.bundle.folder), "window": str(bench.window_file), "precision": "auto"}
    measured = bench.take_turns({"patch": ("train-draw", draw), "step": ("train-step-ours", step)})
    row = filled_row(names[0], measured["patch"], measured["step"], input=bench.ct.what, seed=SEED)
    if not row.not_measured:
        row.details |= {"patch": measured["patch"].last["patch"], "step": measured["step"].last["precision_reason"]}
    return [row]


def brightest_part(bench: Workbench) -> Path:
    """A mask for a CT that has none: a patch costs the same whatever is marked."""
    volume, _notices = read_volume(bench.ct.file)
    bright = volume.array > float(volume.array.max()) / 2
    return write_volume(volume.with_array(bright.astype(np.uint8)), bench.work / "brightest.nii.gz", overwrite=True)


def _loss_difference(ours: Measured, reference: Measured) -> float:
    """The largest difference of the losses of the same step, as a share of the loss; steps follow on each other."""
    pairs = zip(ours.facts, reference.facts, strict=True)
    return max(abs(one["loss"] - other["loss"]) / abs(other["loss"]) for one, other in pairs)

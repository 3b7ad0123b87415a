"""One full-size window: every engine and precision in turns with MONAI's network and with the machine's own limit."""

from __future__ import annotations

import statistics

import numpy as np

from speed.filling import empty_row, filled_row, mask_difference
from speed.rows import Row
from speed.segment_rows import why_not_fast
from speed.subjects import Measured
from speed.tasks import kept_mask
from speed.workbench import SEED, Workbench

REFERENCE = "MONAI"


def measure(bench: Workbench, names: list[str]) -> list[Row]:
    """The rows ``window-<precision>-<engine>``."""
    no_bfloat16 = why_not_fast()
    model = bench.full_size
    common = {"bundle": str(model.bundle.folder), "window": str(bench.window_file)}
    subjects = {REFERENCE: ("window-monai", common | {"mask_file": bench.mask_file("window-monai")})}
    skipped = {}
    for name in names:
        _window, precision, engine = name.split("-")
        if precision == "fast" and no_bfloat16 and not bench.smoke:
            skipped[name] = f"Fast means bfloat16, and here: {no_bfloat16}"
            continue
        arguments = {"engine": engine, "precision": precision, "mask_file": bench.mask_file(name)}
        subjects[name] = ("window-ours", common | arguments)
    # What the fast rows are compared with; the exact row of the same engine need not have been asked for.
    for name in [name for name in subjects if "-fast-" in name]:
        exact = name.replace("fast", "exact")
        if exact not in subjects:
            arguments = {"engine": name.rpartition("-")[2], "precision": "exact", "mask_file": bench.mask_file(exact)}
            subjects[exact] = ("window-ours", common | arguments)
    kinds = {name.split("-")[1] for name in subjects if name != REFERENCE}
    for kind in sorted(kinds):
        subjects[f"peak-{kind}"] = ("peak", {"precision": kind, "small": bench.smoke})
    measured = bench.take_turns(subjects)

    rows = []
    for name in names:
        if name in skipped:
            rows.append(empty_row(name, skipped[name]))
            continue
        ours, reference = measured[name], measured[REFERENCE]
        row = filled_row(name, ours, reference, input=f"a window of {bench.ct.what}", weights=model.what, seed=SEED)
        if not row.not_measured:
            _compare(bench, row, measured)
        rows.append(row)
    return rows


def _compare(bench: Workbench, row: Row, measured: dict[str, Measured]) -> None:
    """Agreement of the masks, and the share of the machine's peak."""
    ours = kept_mask(bench.mask_file(row.name))
    expected = kept_mask(bench.mask_file("window-monai"))
    row.agreement["mask_difference"] = mask_difference(ours, expected)
    row.agreement["dice"] = _dice(ours, expected)
    exact = row.name.replace("fast", "exact")
    if exact != row.name and not measured[exact].failure:
        row.agreement["dice_with_exact"] = _dice(ours, kept_mask(bench.mask_file(exact)))
    peak = measured[f"peak-{row.name.split('-')[1]}"]
    if not peak.failure:
        rates = [facts["gflops"] for facts in peak.facts]
        work = measured[REFERENCE].last["window_gflop"]
        row.peak_fraction = work / row.ours / statistics.median(rates)
        row.details |= {"window_gflop": round(work, 2), "peak_gflops": rates, "peak_kernels": peak.last["kernels"]}


def _dice(first: np.ndarray, second: np.ndarray) -> float:
    total = int(first.sum()) + int(second.sum())
    return 2.0 * int((first & second).sum()) / total if total else 1.0

"""Long scans: the memory of one of 800 slices, and how time and memory grow with the slices."""

from __future__ import annotations

from typing import Any

from speed.filling import empty_row
from speed.rows import NotMeasured, Row
from speed.workbench import Workbench

LONG_SIZE, LONG_SPACING_MM = (512, 512, 800), (0.7, 0.7, 1.0)
SLICES = (100, 200, 400, 800)
MOST_REPETITIONS = 3
DENSE = {"device": "cpu", "localise": False}


def measure_memory(bench: Workbench, names: list[str]) -> list[Row]:
    """The row ``memory``: one whole Segment, every window computed, in a process of its own."""
    row = empty_row(names[0])
    model = bench.full_size
    ct = bench.sized(LONG_SIZE, LONG_SPACING_MM, ".nii")
    arguments = {"ct": str(ct.file), "bundle": str(model.bundle.folder), "options": DENSE}
    ours = bench.take_turns({"ours": ("segment-ours", arguments)}, most=1)["ours"].demand()
    if ours.peak_mb is None:
        raise NotMeasured("Memory is measured in a process of its own, on a system that tells its peak.")
    row.repetitions["ours"] = ours.seconds
    row.peak_memory_mb = ours.peak_mb
    row.details = {"input": ct.what, "weights": model.what, "resident_mb": ours.resident_mb, **ours.last}
    return [row]


def measure_growth(bench: Workbench, names: list[str]) -> list[Row]:
    """The row ``growth``: the embedded base model on the first 100 to 800 slices of one scan, every window computed."""
    row = empty_row(names[0])
    model = bench.compact[0]
    subjects = {}
    for slices in SLICES:
        ct = bench.sized((*LONG_SIZE[:2], slices), LONG_SPACING_MM, ".nii")
        arguments: dict[str, Any] = {"ct": str(ct.file), "bundle": str(model.bundle.folder)}
        arguments |= {"options": DENSE, "warm_up_ct": str(bench.warm_up_ct.file)}
        subjects[str(slices)] = ("segment-ours", arguments)
    measured = bench.take_turns(subjects, most=MOST_REPETITIONS)
    points = []
    for slices, ours in ((int(name), found.demand()) for name, found in measured.items()):
        seconds = sorted(ours.seconds)[len(ours.seconds) // 2]
        point = {"slices": slices, "seconds": round(seconds, 4), "windows": ours.last["windows"]}
        point |= {"repetitions": [round(second, 4) for second in ours.seconds]}
        if ours.peak_mb is not None:
            point |= {"peak_memory_mb": round(ours.peak_mb, 1), "working_mb": round(ours.working_mb, 1)}
        points.append(point)
    row.details = {"points": points, "input": f"{bench.long_source.what}, {LONG_SPACING_MM} mm", "weights": model.what}
    row.details |= {"time_growth": growth(points, "seconds"), "windows_growth": growth(points, "windows")}
    if all("working_mb" in point for point in points):
        row.details["memory_growth"] = growth(points, "working_mb")
        row.peak_memory_mb = max(point["peak_memory_mb"] for point in points)
    return [row]


def growth(points: list[dict[str, Any]], quantity: str) -> float:
    """How much more the longest scan takes for each slice than the shortest; 1 is linear, less is better."""
    first, last = points[0], points[-1]
    return round((last[quantity] / last["slices"]) / (first[quantity] / first["slices"]), 4)

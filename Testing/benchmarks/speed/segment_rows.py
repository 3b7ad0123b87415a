"""Whole Segments: dense, localised, with an embedded model, and with two models."""

from __future__ import annotations

from typing import Any

import torch

from agunetr.inference.backends import choose_precision
from speed.filling import dice_of_files, empty_row, filled_row
from speed.rows import Row
from speed.workbench import Workbench

REFERENCE = "MONAI"
CLICK_SIZE, CLICK_SPACING_MM = (512, 512, 300), (0.8, 0.8, 1.5)
WAYS: dict[str, dict[str, Any]] = {
    "segment-dense-exact": {"precision": "exact", "localise": False},
    "segment-dense-fast": {"precision": "fast", "localise": False},
    "segment-localised": {"precision": "auto", "localise": True},
}


def measure_segment(bench: Workbench, names: list[str]) -> list[Row]:
    """The rows ``segment-*``: each way in turns with one reference."""
    model = bench.full_size
    skipped = {}
    no_bfloat16 = why_not_fast()
    if no_bfloat16 and not bench.smoke:
        skipped["segment-dense-fast"] = f"Fast means bfloat16, and here: {no_bfloat16}"
    if not model.finds_the_organ and not bench.smoke:
        skipped["segment-localised"] = "It needs full-size weights that find the organ; give labelled CTs with --data."
    asked = [name for name in names if name not in skipped]
    # What the localised mask is compared with: the same precision, every window.
    dense = "segment-dense-exact" if no_bfloat16 else "segment-dense-fast"
    if "segment-localised" in asked and dense not in asked:
        asked.insert(0, dense)
    common = {"ct": str(bench.ct.file), "bundle": str(model.bundle.folder)}
    subjects = {REFERENCE: ("segment-monai", common | {"mask_file": bench.mask_file("segment-monai")})}
    for name in asked:
        arguments = {"options": _options(WAYS[name]), "mask_file": bench.mask_file(name)}
        subjects[name] = ("segment-ours", common | arguments | {"warm_up_ct": str(bench.warm_up_ct.file)})
    measured = bench.take_turns(subjects) if asked else {}

    rows = []
    for name in names:
        if name in skipped:
            rows.append(empty_row(name, skipped[name]))
            continue
        row = filled_row(name, measured[name], measured[REFERENCE], input=bench.ct.what, weights=model.what)
        if not row.not_measured:
            row.agreement["dice"] = dice_of_files(bench.mask_file(name), bench.mask_file("segment-monai"), True)
            if name == "segment-localised" and not measured[dense].failure:
                row.agreement["dice_with_dense"] = dice_of_files(bench.mask_file(name), bench.mask_file(dense))
        rows.append(row)
    return rows


def measure_compact_click(bench: Workbench, names: list[str]) -> list[Row]:
    """The row ``compact-click``."""
    model = bench.compact[-1]
    ct = bench.ct if bench.smoke else bench.sized(CLICK_SIZE, CLICK_SPACING_MM, ".nii.gz")
    common = {"ct": str(ct.file), "bundle": str(model.bundle.folder)}
    files = {name: bench.mask_file(f"click-{name}") for name in ("ours", "monai")}
    ours = {"options": {"device": "cpu"}, "warm_up_ct": str(ct.file), "mask_file": files["ours"]}
    measured = bench.take_turns(
        {
            REFERENCE: ("segment-monai", common | {"mask_file": files["monai"]}),
            "ours": ("segment-ours", common | ours),
        }
    )
    row = filled_row(names[0], measured["ours"], measured[REFERENCE], input=ct.what, weights=model.what)
    if not row.not_measured:
        row.agreement["dice"] = dice_of_files(files["ours"], files["monai"], clean_reference=True)
    return [row]


def measure_two_models(bench: Workbench, names: list[str]) -> list[Row]:
    """The row ``two-models``: reading, both masks and writing, against the same for the base model alone."""
    folders = [str(model.bundle.folder) for model in bench.compact]
    common = {"ct": str(bench.ct.file), "options": {"device": "cpu"}}
    measured = bench.take_turns(
        {
            "one": ("job-ours", common | {"bundles": folders[:1]}),
            "both": ("job-ours", common | {"bundles": folders}),
        }
    )
    what = " and ".join(model.bundle.name for model in bench.compact)
    row = filled_row(names[0], measured["both"], measured["one"], input=bench.ct.what, weights=what)
    if not row.not_measured:
        agreement = measured["both"].last["agreement"]
        row.agreement["dice_between_the_models"] = agreement[0]["dice"]
    return [row]


def _options(way: dict[str, Any]) -> dict[str, Any]:
    return {"device": "cpu", **way}


def why_not_fast() -> str:
    """Why auto does not take bfloat16 on this CPU; empty where it does."""
    chosen, reason = choose_precision("auto", torch.device("cpu"))
    return "" if chosen == "fast" else reason

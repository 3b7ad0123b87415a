"""What is around the network: before and after it, and between its windows."""

from __future__ import annotations

import numpy as np

from agunetr.inference.reading import read_mask, read_volume
from agunetr.inference.resampling import prepare
from speed.filling import dice_of_files, filled_row, mask_difference
from speed.rows import Row
from speed.subjects import Measured
from speed.tasks import kept_mask
from speed.weights import INTENSITY_RANGE
from speed.workbench import FULL_SIZE_SPACING_MM, SEED, Workbench

BALL_ML = 250.0
STITCHED_SHAPE = (366, 303, 336)
STITCHED_WINDOW = (96, 96, 96)


def measure_pre_post(bench: Workbench, names: list[str]) -> list[Row]:
    """The row ``pre-post``: a ball of a spleen's volume takes the place of what a network would answer."""
    volume, _notices = read_volume(bench.ct.file)
    if bench.ct.label is not None:
        label = read_mask(bench.ct.label)
        centre = label.ras_of(np.argwhere(label.array > 0).mean(axis=0)[::-1])
    else:
        centre = volume.ras_of((np.asarray(volume.size) - 1) / 2)
    radius = (BALL_ML * 1000 * 3 / (4 * np.pi)) ** (1 / 3) / (2 if bench.smoke else 1)
    common = {
        "ct": str(bench.ct.file),
        "spacing_mm": list(FULL_SIZE_SPACING_MM),
        "intensity_range": list(INTENSITY_RANGE),
        "centre": [float(value) for value in centre],
        "radius_mm": float(radius),
    }
    files = {name: bench.mask_file(f"pre-post-{name}") for name in ("ours", "monai")}
    measured = bench.take_turns(
        {name: (f"pre-post-{name}", common | {"mask_file": file}) for name, file in files.items()}
    )
    row = filled_row(names[0], measured["ours"], measured["monai"], input=bench.ct.what)
    if not row.not_measured:
        row.agreement["dice"] = dice_of_files(files["ours"], files["monai"], clean_reference=True)
        for name in files:
            row.details[f"network_shape_{name}"] = measured[name].last["network_shape"]
    return [row]


def measure_stitching(bench: Workbench, names: list[str]) -> list[Row]:
    """The row ``stitching``: answers that are there already are put together as the windows of a CT."""
    if bench.smoke:
        shape, window = (40, 33, 36), (16, 16, 16)
    elif bench.data is None and bench.ct_file is None:
        shape, window = STITCHED_SHAPE, STITCHED_WINDOW
    else:
        volume, _notices = read_volume(bench.ct.file)
        shape, window = prepare(volume, FULL_SIZE_SPACING_MM, INTENSITY_RANGE).size, STITCHED_WINDOW
    common = {"shape": list(shape), "window": list(window), "seed": SEED}
    files = {name: bench.mask_file(f"stitching-{name}") for name in ("ours", "monai")}
    measured = bench.take_turns(
        {name: (f"stitching-{name}", common | {"mask_file": file}) for name, file in files.items()}
    )
    what = f"random answers for windows of {window} over {shape} voxels"
    row = filled_row(names[0], measured["ours"], measured["monai"], input=what, seed=SEED)
    if row.not_measured:
        return [row]
    row.repetitions = {"ours": _stitching(measured["ours"]), "reference": _stitching(measured["monai"])}
    row.agreement["mask_difference"] = mask_difference(kept_mask(files["ours"]), kept_mask(files["monai"]))
    ours_mb, reference_mb = measured["ours"].working_mb, measured["monai"].working_mb
    if ours_mb is not None and reference_mb:
        row.details |= {
            "memory_share": round(ours_mb / reference_mb, 4),
            "working_mb": round(ours_mb, 1),
            "reference_working_mb": round(reference_mb, 1),
        }
    return [row]


def _stitching(measured: Measured) -> list[float]:
    """Seconds without those in which the answers were copied, which neither pipeline would spend."""
    return [seconds - facts["answering_s"] for seconds, facts in zip(measured.seconds, measured.facts, strict=True)]

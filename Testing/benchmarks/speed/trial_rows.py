"""What might pay, tried beside the plain way: seconds of both, and how much the masks differ."""

from __future__ import annotations

from speed.filling import empty_row, filled_row, mask_difference
from speed.rows import Row
from speed.tasks import kept_mask
from speed.workbench import SEED, Workbench

TOO_LONG_FOR_SMOKE = ("trial-torch-compile",)
STITCHED = {"shape": [366, 303, 336], "window": [96, 96, 96]}
STITCHED_SMALL = {"shape": [40, 33, 36], "window": [16, 16, 16]}


def measure(bench: Workbench, names: list[str]) -> list[Row]:
    """The rows ``trial-<way>``; the reference is the plain way of the same engine."""
    model = bench.full_size
    windows = {"bundle": str(model.bundle.folder), "window": str(bench.window_file)}
    stitched = (STITCHED_SMALL if bench.smoke else STITCHED) | {"seed": SEED}
    tried = [name for name in names if not (bench.smoke and name in TOO_LONG_FOR_SMOKE)]
    plain = {name: plain_way(name) for name in tried}
    subjects = {}
    for way in dict.fromkeys([*plain.values(), *(name.removeprefix("trial-") for name in tried)]):
        if way.startswith("float"):
            subjects[way] = ("trial-accumulator", stitched | {"way": way, "mask_file": bench.mask_file(f"trial-{way}")})
        else:
            subjects[way] = ("trial-window", windows | {"way": way, "mask_file": bench.mask_file(f"trial-{way}")})
    measured = bench.take_turns(subjects)
    rows = []
    for name in names:
        if name not in tried:
            rows.append(empty_row(name, "It takes a minute to compile, too long for the smoke form."))
            continue
        way = name.removeprefix("trial-")
        row = filled_row(name, measured[way], measured[plain[name]], against=plain[name], weights=model.what, seed=SEED)
        if not row.not_measured:
            masks = [kept_mask(bench.mask_file(f"trial-{one}")) for one in (way, plain[name])]
            row.agreement["mask_difference"] = mask_difference(*masks)
            row.details |= {"preparing_s": measured[way].last.get("preparing_s", 0.0)}
        rows.append(row)
    return rows


def plain_way(name: str) -> str:
    """What a trial is held against."""
    return "float32" if "float" in name else name.removeprefix("trial-").partition("-")[0]

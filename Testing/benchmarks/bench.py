"""``make bench``: this project against MONAI's own pipeline, on the same weights and the same CT.

Prints machine, versions, every repetition and a table of ratios, agreement and memory, and writes them to
``results/bench.json`` and ``results/bench.png`` beside this file and into the README. Rows that are measured replace
those of an earlier run on the same machine; the others stay. Without labelled CTs a phantom and random weights are
taken, and the rows that need more say so.

Usage:  bench.py [--rows NAME ...] [--repetitions 5] [--data FOLDER] [--ct FILE] [--smoke] [--train-only]
Exit:   0 measured, whether the targets hold or not; 1 a row ended in a fault, or with --smoke the masks disagree;
        2 the command line is wrong; 130 interrupted, with what was measured until then kept
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from datetime import datetime, timezone
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT / "AGUNETRSegment"), str(ROOT / "AGUNETRTrain"), str(HERE)]

from speed.definitions import DEFINITIONS, groups_of  # noqa: E402

RESULTS = HERE / "results"
SHARED_DATA = ROOT.parent / "shared" / "data" / "cases"
SMOKE_DICE = 0.98


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--rows", nargs="+", metavar="NAME", default=list(DEFINITIONS), help=", ".join(DEFINITIONS))
    made.add_argument("--repetitions", type=int, default=5, help="of each timed row; targets need at least 5 (5)")
    made.add_argument("--data", type=Path, help="labelled CTs: <case>/ct.nii.gz with spleen.nii.gz and case.json")
    made.add_argument("--ct", type=Path, help="segment this CT in place of one of the labelled ones")
    made.add_argument("--no-training", action="store_true", help="random full-size weights where none are cached")
    made.add_argument("--train-only", action="store_true", help="train the full-size weights and measure nothing")
    made.add_argument("--smoke", action="store_true", help="tiny networks, one repetition, for the agreement alone")
    made.add_argument("--output", type=Path, help=f"folder for bench.json and bench.png ({RESULTS.name} beside this)")
    made.add_argument("--no-readme", action="store_true", help="leave the README as it is")
    return made


def main(arguments: list[str] | None = None) -> int:
    """Measures what was asked for; see the module's docstring."""
    options = parser().parse_args(arguments)
    try:
        groups = groups_of(options.rows)
    except ValueError as error:
        parser().error(str(error))
    if options.repetitions < 1:
        parser().error("--repetitions must be at least 1.")
    data = options.data or (SHARED_DATA if SHARED_DATA.is_dir() else None)
    for given in filter(None, (options.data, options.ct)):
        if not given.exists():
            parser().error(f"{given} does not exist.")
    with tempfile.TemporaryDirectory(prefix="agunetr-bench-") as work:
        from speed.workbench import Workbench

        if options.smoke:  # what a smoke run compiles is of no use to anybody later
            os.environ["AGUNETR_CACHE"] = work
        bench = Workbench(
            Path(work),
            1 if options.smoke else options.repetitions,
            options.smoke,
            data=None if options.smoke else data,
            ct_file=options.ct,
            may_train=not options.no_training,
            say=lambda text: print(text, flush=True),
        )
        try:
            if options.train_only:
                bench.say(f"The full-size model has {bench.full_size.what}.")
                return 0 if bench.full_size.finds_the_organ else 1
            output = options.output or (None if options.smoke else RESULTS)
            return run(bench, groups, output, not options.no_readme)
        except KeyboardInterrupt:
            print("Interrupted; what was measured until now is kept.", file=sys.stderr)
            return 130


def run(bench, groups: dict[str, list[str]], output: Path | None, into_readme: bool) -> int:
    """Measure the groups one after the other, write after each, and print the table at the end."""
    from speed.groups import measure_group
    from speed.machine import describe_machine, describe_versions, load_average
    from speed.report import machine_line, peak_line, remarks, table, trials_table
    from speed.results import joined, read_results, write_results

    started = datetime.now(timezone.utc).isoformat(timespec="seconds")
    heading = {"machine": describe_machine(), "versions": describe_versions(), "started": started}
    bench.say(machine_line(heading))
    _warn_of_load(load_average(), heading["machine"]["cores"])
    old_heading, old = read_results(output / "bench.json") if output is not None else ({}, [])
    measured, sound = [], True
    for group, names in groups.items():
        bench.say(f"{', '.join(names)}:")
        rows, is_sound = measure_group(bench, group, names)
        sound = sound and is_sound
        measured += rows
        for row in rows:
            told = (f"{key}: {row.details[key]}" for key in ("input", "weights", "seed") if key in row.details)
            bench.say(f"  {row.name}: {'; '.join(told) or row.not_measured}")
        if output is not None:
            everything, dropped = joined(heading, old_heading, old, measured)
            write_results(output / "bench.json", heading, everything)
    shown = measured
    if output is not None:
        shown = everything
        if dropped:
            bench.say(dropped)
        publish(heading, shown, output, into_readme and output == RESULTS and not bench.smoke)
    print(*filter(None, [table(shown), *remarks(shown), peak_line(shown), trials_table(shown)]), sep="\n")
    if bench.smoke and (faults := disagreements(measured)):
        print(*faults, sep="\n", file=sys.stderr)
        return 1
    return 0 if sound else 1


def publish(heading: dict, rows: list, output: Path, into_readme: bool) -> None:
    """Draw the chart and bring the README up to date."""
    from speed.chart import draw
    from speed.report import put_into, report

    chart = output / "bench.png"
    drawn = draw(rows, chart)
    if into_readme:
        link = chart.relative_to(ROOT).as_posix() if drawn else None
        put_into(ROOT / "README.md", report(heading, rows, link))


def disagreements(rows: list) -> list[str]:
    """What the smoke form finds wrong: masks that differ from the reference's, and rows that ended in a fault."""
    failed = [row for row in rows if row.not_measured.startswith(("A fault", "It failed"))]
    faults = [f"{row.name}: {row.not_measured}" for row in failed]
    for row in rows:
        for name, value in row.agreement.items():
            wrong = value > 0.02 if name == "mask_difference" else name.startswith("dice") and value < SMOKE_DICE
            if wrong and name != "dice_between_the_models" or (name == "equal_masks" and not value):
                faults.append(f"{row.name}: {name} is {value:.4f}")
    return faults


def _warn_of_load(load: float | None, cores: int | None) -> None:
    if load is not None and cores and load > 0.5 * cores:
        print(
            f"Other programs keep this machine busy (load average {load} on {cores} cores): times will be too long, "
            "and ratios less certain.",
            file=sys.stderr,
        )


if __name__ == "__main__":
    sys.exit(main())

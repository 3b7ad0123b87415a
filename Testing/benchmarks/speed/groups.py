"""The groups of rows, and how one is measured without taking the others down with it."""

from __future__ import annotations

import traceback
from collections.abc import Callable

from agunetr.errors import AgunetrError
from speed import chain_rows, growth_rows, process_rows, segment_rows, train_rows, trial_rows, window_rows
from speed.filling import empty_row
from speed.machine import load_average
from speed.rows import NotMeasured, Row
from speed.workbench import Workbench

GROUPS: dict[str, Callable[[Workbench, list[str]], list[Row]]] = {
    "window": window_rows.measure,
    "pre-post": chain_rows.measure_pre_post,
    "stitching": chain_rows.measure_stitching,
    "segment": segment_rows.measure_segment,
    "two-models": segment_rows.measure_two_models,
    "second-click": process_rows.measure_second_click,
    "compact-click": segment_rows.measure_compact_click,
    "memory": growth_rows.measure_memory,
    "growth": growth_rows.measure_growth,
    "throughput": process_rows.measure_throughput,
    "train-step": train_rows.measure_steps,
    "train-loading": train_rows.measure_loading,
    "trials": trial_rows.measure,
}


def measure_group(bench: Workbench, group: str, names: list[str]) -> tuple[list[Row], bool]:
    """The rows of one group, measured or with the reason why not.

    Returns:
        The rows, and whether the group ran without a fault. A feature that is missing is no fault.
    """
    before = load_average()
    try:
        rows = GROUPS[group](bench, names)
    except (NotMeasured, AgunetrError) as problem:
        return [empty_row(name, str(problem)) for name in names], True
    except Exception as error:  # hours of other rows must not be lost with this one
        traceback.print_exc()
        return [empty_row(name, f"A fault: {type(error).__name__}: {error}") for name in names], False
    for row in rows:
        row.details["load_average"] = {"before": before, "after": load_average()}
    return rows, True

"""The page's tables of the run itself: jobs, networks and costs, data, splits, settings, environment."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from agunetr_train.experiments.splits import PARTS
from agunetr_train.report.collect import JobResults, RunResults
from agunetr_train.report.page_tables import MISSING, Table


def job_table(results: RunResults) -> Table:
    """How far each job is."""
    rows = []
    for job in results.jobs:
        done = job.finished or {}
        state = "stopped early" if done.get("stopped_early") else job.state
        best = done.get("best_validation_dice")
        rows.append(
            [
                str(job.job.number), job.job.name, state, f"{job.epochs_done} of {job.job.stage.epochs}",
                MISSING if best is None else f"{best:.4f} (epoch {done.get('best_epoch')})",
                f"{len(job.tested) - len(job.unscored)} of {len(job.tested)}",
            ]
        )  # fmt: skip
    return Table("", ["job", "name", "training", "epochs", "best validation Dice", "cases scored"], rows)


def model_table(results: RunResults) -> Table:
    """Sizes, times and memory of each stage, means over its jobs."""
    rows = []
    for stage in results.experiment.stages:
        jobs = results.of_stage(stage.name)
        cases = [values for job in jobs for values in job.scores.values()]
        rows.append(
            [
                stage.name, stage.variant,
                _mean_text(_each(jobs, "parameters"), lambda n: f"{n:,.0f}"),
                _mean_text(_each(jobs, "gate_parameters"), lambda n: f"{n:,.0f}"),
                _mean_text(_each(jobs, "flops_per_window"), lambda n: f"{n / 1e9:.2f}"),
                _mean_text([(job.finished or {}).get("seconds") for job in jobs], _duration),
                _mean_text(_each(jobs, "seconds_per_step"), lambda n: f"{n:.3f}"),
                _mean_text(_each(jobs, "data_share"), lambda n: f"{100 * n:.1f} %"),
                _most(_each(jobs, "peak_memory_bytes")),
                _mean_text([values.get("seconds") for values in cases], lambda n: f"{n:.1f}"),
                _most([values.get("peak_memory_bytes") for values in cases]),
                ", ".join(_told(jobs, ("device", "precision"))) or MISSING,
            ]
        )  # fmt: skip
    head = ["stage", "network", "parameters", "of the gates", "GFLOP a window", "training", "s a step"]
    head += ["waiting for data", "peak memory, training", "s a case", "peak memory, a case", "trained on"]
    notes = ["Means over the jobs of a stage, memory the largest. A multiply-add counts as two operations."]
    return Table("", head, rows, notes)


def data_table(results: RunResults) -> Table | None:
    """The cases with origin, licence and what is known of their masks; None before the data was checked."""
    if not results.data:
        return None
    rows = []
    for name, facts in results.data.items():
        spacing = facts.get("spacing_mm")
        rows.append(
            [
                name,
                str(facts.get("patient") or name),
                MISSING if not spacing else " \N{MULTIPLICATION SIGN} ".join(f"{step:.3g}" for step in spacing),
                MISSING if facts.get("label_ml") is None else f"{facts['label_ml']:.1f}",
                _grade(results, name), *(str(facts.get(key) or "not stated") for key in ("licence", "origin")),
            ]
        )  # fmt: skip
    head = ["case", "patient", "spacing (mm)", "mask (ml)", "mask drawn by", "licence", "origin"]
    return Table("", head, rows, [f"{finding}" for finding in results.findings], folded=len(rows) > 24)


def split_table(results: RunResults) -> Table | None:
    """The cases of each part, a row a fold; None before the data was split."""
    if not results.splits:
        return None
    rows = [
        [f"fold {number}" if len(results.splits) > 1 else "split"]
        + [f"{', '.join(getattr(split, part)) or 'none'} ({len(getattr(split, part))})" for part in PARTS]
        for number, split in enumerate(results.splits, 1)
    ]
    return Table("", ["", *PARTS], rows, ["A patient's cases are all in one part."])


def settings_table(results: RunResults) -> Table:
    """The stages' settings, every one with its value; those that differ between stages come first."""
    stages = [_flat(stage.model_dump(mode="json")) for stage in results.experiment.stages]
    keys = list(dict.fromkeys(key for stage in stages for key in stage if key != "name"))
    rows = [[key, *(_setting(stage.get(key)) for stage in stages)] for key in keys]
    rows.sort(key=lambda row: len(set(row[1:])) == 1)
    head = ["setting", *(stage.name for stage in results.experiment.stages)]
    return Table("Settings of the stages", head, rows, ["Settings that differ between stages come first."], folded=True)


def environment_table(results: RunResults) -> Table | None:
    """Machine and versions; None without a record."""
    if not results.environment:
        return None
    return Table("", ["", "value"], [[key, _setting(value)] for key, value in results.environment.items()])


def experiment_text(results: RunResults) -> str:
    """The resolved experiment as its file would say it."""
    return json.dumps(results.experiment.to_dict(), indent=1, ensure_ascii=False)


def _each(jobs: Iterable[JobResults], key: str) -> list[Any]:
    return [job.facts.get(key, job.model.get(key)) for job in jobs]


def _mean_text(values: Iterable[Any], text: Any) -> str:
    numbers = [value for value in values if isinstance(value, int | float)]
    return text(float(np.mean(numbers))) if numbers else MISSING


def _most(values: Iterable[Any]) -> str:
    numbers = [value for value in values if isinstance(value, int | float) and value > 0]
    return f"{max(numbers) / 2**30:.2f} GiB" if numbers else MISSING


def _told(jobs: Iterable[JobResults], keys: Iterable[str]) -> list[str]:
    jobs = list(jobs)
    told = ["/".join(dict.fromkeys(str(job.facts[key]) for job in jobs if job.facts.get(key))) for key in keys]
    return [text for text in told if text]


def _duration(seconds: float) -> str:
    minutes, _ = divmod(round(seconds), 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{seconds / 60:.1f} min"


def _grade(results: RunResults, case: str) -> str:
    """Who made the mask and how good it is said to be; the grade stands beside the scores alone."""
    grades = (job.scores[case].get("label_grade") for job in results.jobs if case in job.scores)
    grade = next((str(grade) for grade in grades if grade), "")
    origin = str(results.data[case].get("label_origin") or "not stated")
    return f"{origin} (grade {grade})" if grade else origin


def _flat(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat.update(_flat(value, f"{before}{key}.") if isinstance(value, dict) and value else {f"{before}{key}": value})
    return flat


def _setting(value: Any) -> str:
    if value is None or value == [] or value == {}:
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    return str(value)

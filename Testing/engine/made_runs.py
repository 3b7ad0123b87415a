"""Folders of runs as training and scoring leave them, with numbers drawn by a seed: nothing is trained."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage
from tiny_experiments import experiment_values

from agunetr.inference.volume import Volume
from agunetr.inference.writing import write_json, write_volume
from agunetr.phantom import make_phantom
from agunetr_train.evaluation.scoring import part_to_score
from agunetr_train.experiments.jobs import Job, jobs_of
from agunetr_train.experiments.reading import experiment_from
from agunetr_train.experiments.splits import make_splits
from agunetr_train.run_folder import RunFolder, write_record

STAGES = [{"name": "base", "variant": "unetr"}, {"name": "gated", "variant": "agunetr-v2"}]
FACTS = {
    "origin": "made up",
    "licence": "CC0-1.0",
    "use": "train",
    "label_origin": "ensemble",
    "size": [24, 20, 20],
    "spacing_mm": [14.0, 14.0, 14.0],
}
GATES = ("enc1", "enc2")

Dice = Callable[[str, Job], float | None]
"""The Dice of a case after a job; None leaves the case unscored."""


def drawn_dice(help_of_gates: float = 0.03, spread: float = 0.04) -> Dice:
    """Dice of cases that are harder or easier for every job alike; gated jobs are better by ``help_of_gates``."""

    def dice(case: str, job: Job) -> float:
        base = np.random.default_rng([ord(letter) for letter in case]).normal(0.72, 0.1)
        luck = np.random.default_rng([job.number, *map(ord, case)]).normal(0, spread)
        return float(np.clip(base + luck + (help_of_gates if job.stage.variant != "unetr" else 0), 0, 1))

    return dice


def made_run(
    folder: Path,
    cases: int = 12,
    dice: Dice | None = None,
    epochs_done: Callable[[Job], int] = lambda job: job.stage.epochs,
    validated: bool = True,
    scans: Path | None = None,
    facts: dict[str, Any] | None = None,
    patients: Sequence[str] | None = None,
    **changes: Any,
) -> RunFolder:
    """A run of ``cases`` cases called ``case_1``, ``case_2``, ...

    Args:
        folder: of the run.
        dice: of each case after each job; :func:`drawn_dice` without it.
        epochs_done: of each job; 0 for one that was not begun. Jobs without all epochs are not scored.
        validated: whether there were validations.
        scans: where one scan and its mask are written, which all cases share; None makes no files but records.
        facts: of all cases, beside or in place of :data:`FACTS`.
        patients: of the cases, in their order.
        changes: of the experiment's top-level keys.
    """
    defaults = {"split": {"validation": 2, "test": 6}, "stages": STAGES, "defaults": {"epochs": 6}}
    experiment = experiment_from(experiment_values(**{**defaults, **changes}), "made run")
    run = RunFolder(folder)
    run.open(experiment)
    names = [f"case_{number}" for number in range(1, cases + 1)]
    patient_of = dict(zip(names, patients or names, strict=True))
    splits = make_splits(experiment.split, patient_of)
    run.write_splits(splits)
    write_record(folder / "data.json", {"cases": _data(patient_of, scans, facts or {}), "findings": []})
    spleen = None if scans is None else write_scan(scans)
    for job in jobs_of(experiment):
        done = epochs_done(job)
        if done:
            _write_training(run, job, done, validated, list(splits[job.fold].validation))
        if done < job.stage.epochs:
            continue
        write_record(run.job(job) / "finished.json", _finished(job, validated))
        part, names = part_to_score(splits[job.fold])
        _write_scores(run, job, part, [(name, patient_of[name]) for name in names], dice or drawn_dice(), spleen)
    return run


def write_scan(folder: Path, size=(24, 20, 20), spacing_mm=(14.0, 14.0, 14.0)) -> Volume:
    """``ct.nii.gz`` and ``spleen.nii.gz`` of a phantom; the spleen is given back."""
    phantom = make_phantom(3, size=size, spacing_mm=spacing_mm)
    folder.mkdir(parents=True, exist_ok=True)
    write_volume(phantom.ct, folder / "ct.nii.gz", overwrite=True)
    write_volume(phantom.spleen, folder / "spleen.nii.gz", overwrite=True)
    return phantom.spleen


def change_score(run: RunFolder, job: str, case: str, **changes: Any) -> None:
    """Replace values of one scored case."""
    path = run.job(job) / "test" / f"{case}.json"
    write_record(path, {**json.loads(path.read_text(encoding="utf-8")), **changes})


def _data(patients: dict[str, str], scans: Path | None, facts: dict[str, Any]) -> dict[str, Any]:
    place = scans or Path("nowhere")
    return {
        name: {
            "image": str(place / "ct.nii.gz"),
            "label": str(place / "spleen.nii.gz"),
            "patient": patient,
            **FACTS,
            "label_ml": round(180 + 7.3 * number, 1),
            **facts,
        }
        for number, (name, patient) in enumerate(patients.items())
    }


def _write_training(run: RunFolder, job: Job, epochs: int, validated: bool, validation: list[str]) -> None:
    random = np.random.default_rng(job.number)
    folder = run.job(job)
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    gates: list[dict[str, Any]] = []
    for epoch in range(1, epochs + 1):
        progress = epoch / job.stage.epochs
        loss = 0.3 + 1.1 * np.exp(-4 * progress) + random.normal(0, 0.02)
        rows.append({"epoch": epoch, "step": 2 * epoch, "loss": round(float(loss), 6), "learning_rate": 1e-4})
        if validated and epoch % job.stage.validate_every == 0:
            dice = float(np.clip(0.8 * (1 - np.exp(-3 * progress)) + random.normal(0, 0.02), 0, 1))
            row = {"epoch": epoch, "step": 2 * epoch, "validation_dice": dice}
            rows.append({**row, "validation_dice_by_case": dict.fromkeys(validation, dice)})
        for number, gate in enumerate(GATES if job.stage.variant != "unetr" else ()):
            gamma = 0.4 * progress / (number + 1) if job.stage.variant == "agunetr-v2" else None
            inside, outside = 0.88 - 0.1 * progress, 0.88 - (0.4 - 0.1 * number) * progress
            gates.append({"epoch": epoch, "gate": gate, "gamma": gamma, "inside": inside, "outside": outside})
    _write_rows(run.metrics(job), rows)
    if gates:
        _write_rows(folder / "gates.jsonl", gates)
    parameters = 1_203_000 if job.stage.variant == "unetr" else 1_215_900
    write_record(
        folder / "job.json",
        {
            "name": job.name, "number": job.number, "stage": job.stage.name, "variant": job.stage.variant,
            "fold": job.fold, "seed": job.seed, "parameters": parameters, "gate_parameters": parameters - 1_203_000,
            "device": "cpu", "precision": "float32", "peak_memory_bytes": 3 << 29, "seconds_per_step": 0.412,
            "data_share": 0.031,
        },
    )  # fmt: skip


def _finished(job: Job, validated: bool) -> dict[str, Any]:
    best = {"best_epoch": job.stage.epochs, "best_validation_dice": 0.7812} if validated else {}
    epochs = job.stage.epochs
    return {"epochs": epochs, "steps": 2 * epochs, "stopped_early": False, "seconds": 754.0, **best}


def _write_scores(
    run: RunFolder, job: Job, part: str, cases: list[tuple[str, str]], dice: Dice, spleen: Volume | None
) -> None:
    folder = run.job(job) / "test"
    folder.mkdir()
    write_json({"flops_per_window": 3.1e9, "weights": job.name}, run.job(job) / "model.json")
    for name, patient in cases:
        value = dice(name, job)
        if value is None:
            continue
        volume = 200.0 * (0.5 + value / 2)
        row = {
            "case": name, "patient": patient, "part": part, "weights": job.name, "dice": value,
            "hausdorff95_mm": round(2 + 40 * (1 - value), 4), "surface_dice": value**1.2, "volume_ml": volume,
            "reference_volume_ml": 200.0, "volume_error_ml": volume - 200, "relative_volume_error": volume / 200 - 1,
            "seconds": 2.5, "peak_memory_bytes": 1 << 30, "label_grade": "B",
        }  # fmt: skip
        write_json(row, folder / f"{name}.json")
        if spleen is not None:
            moved = ndimage.shift(spleen.array, (job.number % 2, 0, job.number % 3), order=0)
            write_volume(spleen.with_array(moved), folder / f"{name}.nii.gz")


def _write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")

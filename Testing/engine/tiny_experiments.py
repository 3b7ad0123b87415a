"""Experiments that train in a second: tiny networks on coarse phantoms."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agunetr.inference.writing import write_volume
from agunetr.phantom import make_phantom
from agunetr_train.experiments.definition import Experiment
from agunetr_train.experiments.reading import load_experiment

TINY_NETWORK = {
    "size": "compact",
    "window": [32, 32, 32],
    "feature_size": 4,
    "hidden_size": 24,
    "mlp_dim": 48,
    "heads": 2,
    "layers": 4,
}
PLAIN_AUGMENTATION = {
    "p_affine": 0.0,
    "p_flip": 0.5,
    "p_grid_distortion": 0.0,
    "p_enhancement": 0.0,
    "p_histogram_shift": 0.0,
    "p_gamma": 0.0,
    "p_noise": 0.0,
    "p_blur": 0.0,
    "p_low_resolution": 0.0,
}
"""Random, and quick to compute."""

STAGE = {
    "epochs": 2,
    "steps_per_epoch": 2,
    "warm_up_steps": 1,
    "validate_every": 1,
    "validation_overlap": 0.25,
    "augmentation": PLAIN_AUGMENTATION,
}
"""Values of a stage that takes a second; give ``name`` and ``variant`` beside them."""

CASES = ("one", "two", "three", "four")
SPLIT = {"training": ["one", "two"], "validation": ["three"], "test": ["four"]}


def experiment_values(**changes: Any) -> dict[str, Any]:
    """The content of an experiment's file with two stages; ``changes`` replace top-level keys."""
    values = {
        "name": "tiny",
        "description": "for tests",
        "split": SPLIT,
        "spacing_mm": 8.0,
        "network": TINY_NETWORK,
        "defaults": STAGE,
        "stages": [
            {"name": "base", "variant": "unetr"},
            {"name": "gated", "variant": "agunetr-v2", "start": "base"},
        ],
    }
    return {**values, **changes}


def write_experiment(folder: Path, **changes: Any) -> Path:
    """``folder/tiny.json`` with :func:`experiment_values`."""
    path = folder / "tiny.json"
    path.write_text(json.dumps(experiment_values(**changes)), encoding="utf-8")
    return path


def tiny_experiment(folder: Path, **changes: Any) -> Experiment:
    """The experiment of :func:`write_experiment`, read back."""
    return load_experiment(write_experiment(folder, **changes))


def one_stage(name: str = "base", variant: str = "unetr", **values: Any) -> dict[str, Any]:
    """``changes`` for :func:`experiment_values` that leave one stage with other ``values``."""
    return {"stages": [{"name": name, "variant": variant, **values}]}


def write_phantoms(folder: Path, names: Sequence[str] = CASES) -> Path:
    """Phantoms of 48x40x40 voxels of 7 mm, a folder each with ``ct.nii.gz``, ``spleen.nii.gz`` and ``case.json``."""
    facts = {"origin": "phantom", "licence": "CC0", "contrast": True, "whole_spleen": True}
    for seed, name in enumerate(names):
        phantom = make_phantom(seed, size=(48, 40, 40), spacing_mm=(7.0, 7.0, 7.0))
        (folder / name).mkdir(parents=True)
        write_volume(phantom.ct, folder / name / "ct.nii.gz")
        write_volume(phantom.spleen, folder / name / "spleen.nii.gz")
        (folder / name / "case.json").write_text(json.dumps(facts), encoding="utf-8")
    return folder

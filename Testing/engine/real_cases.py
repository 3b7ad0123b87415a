"""The embedded models on one real CT with a mask, for the tests of the real CTs."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest

from agunetr.inference.reading import read_mask, read_volume
from agunetr.inference.resampling import resample_mask
from agunetr.inference.segmenter import Segmenter, SegmentOptions
from agunetr.measures import dice_score
from agunetr.models.bundle import ModelBundle
from agunetr.models.library import ModelLibrary

MODELS = ("compact-base", "compact-gated")


@cache
def segmenter() -> Segmenter:
    """One for all tests of a process, so that networks stay loaded."""
    return Segmenter(SegmentOptions(precision="exact"))


@cache
def bundles() -> dict[str, ModelBundle]:
    """The embedded models, whatever the user of this machine has imported."""
    found = {bundle.name: bundle for bundle in ModelLibrary().list() if bundle.embedded}
    return {name: found[name] for name in MODELS}


def check_case(folder: Path) -> str:
    """Segment a case with both models, compare each Dice with what the model card says; gives a line to print."""
    facts = json.loads((folder / "case.json").read_text(encoding="utf-8"))
    volume, _ = read_volume(folder / "ct.nii.gz")
    reference = resample_mask(read_mask(folder / "spleen.nii.gz"), volume)
    dice = {}
    for model, bundle in bundles().items():
        dice[model] = dice_score(segmenter().segment(volume, bundle).mask, reference)
        stated = {row["case"]: row["dice"] for row in bundle.scores["cases"]}
        if folder.name in stated:
            role = "kept out"
            assert dice[model] == pytest.approx(stated[folder.name], abs=0.01), "the model card states another Dice"
        else:
            role = "trained on"
            assert folder.name in {source["name"] for source in bundle.description.training_data}
            assert dice[model] > 0.7
    contrast = "contrast" if facts["contrast"] else "no contrast"
    whole = "whole" if facts["whole_spleen"] else "cut"
    values = ", ".join(f"{model} {value:.3f}" for model, value in dice.items())
    return f"Dice {folder.name} ({role}, {contrast}, {whole}, grade {facts['label_grade']}): {values}"

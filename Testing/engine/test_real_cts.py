"""The embedded models on real CTs with masks (skipped where those are not there); every Dice is printed at the end.

A Dice against these masks is agreement with them, not accuracy: no expert drew them.
"""

from __future__ import annotations

import json

import numpy as np
import pytest

from agunetr.inference.reading import read_mask, read_volume
from agunetr.inference.resampling import resample_mask
from agunetr.inference.segmenter import Segmenter, SegmentOptions
from agunetr.measures import dice_score
from agunetr.models.library import ModelLibrary

MODELS = ("compact-base", "compact-gated")
CASES = (
    "crlm-1004",
    "crlm-1006",
    "pancreatic-cb001",
    "lidc-0001",
    "cptac-pda-00189",
    "radiogenomics-r01-001",
    "acrin-flt-breast-001",
    "totalsegmentator-example",
    "interobserver-05",
    "lung1-002",
    "lung1-001",
    "matrad-liver",
)


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    return Segmenter(SegmentOptions(precision="exact"))


@pytest.fixture(scope="module")
def bundles(tmp_path_factory) -> dict:
    library = ModelLibrary(tmp_path_factory.mktemp("no-models-of-the-user"))
    return {name: library.find(name) for name in MODELS}


@pytest.mark.parametrize("name", CASES)
def test_embedded_models_on_a_labelled_ct(name, shared_data, bundles, segmenter, report_line):
    folder = shared_data / "cases" / name
    facts = json.loads((folder / "case.json").read_text(encoding="utf-8"))
    volume, _ = read_volume(folder / "ct.nii.gz")
    reference = resample_mask(read_mask(folder / "spleen.nii.gz"), volume)
    dice = {}
    for model, bundle in bundles.items():
        dice[model] = dice_score(segmenter.segment(volume, bundle).mask, reference)
        stated = {row["case"]: row["dice"] for row in bundle.scores["cases"]}
        role = "kept out" if name in stated else "trained on"
        if name in stated:
            assert dice[model] == pytest.approx(stated[name], abs=0.01), "the model card states another Dice"
        else:
            assert name in {source["name"] for source in bundle.description.training_data}
            assert dice[model] > 0.7
    contrast = "contrast" if facts["contrast"] else "no contrast"
    whole = "whole" if facts["whole_spleen"] else "cut"
    values = ", ".join(f"{model} {value:.3f}" for model, value in dice.items())
    report_line(f"Dice {name} ({role}, {contrast}, {whole}, grade {facts['label_grade']}): {values}")


def test_the_dicom_series_gets_its_mask_on_the_right_organ(shared_data, bundles, segmenter, report_line):
    volume, notices = read_volume(shared_data / "dicom" / "totalsegmentator")
    organs = read_mask(shared_data / "dicom" / "totalsegmentator_organs.nii.gz")
    spleen = resample_mask(organs.with_array((organs.array == 1).astype(np.uint8)), volume)
    assert spleen.any() and volume.size == (512, 512, 20)
    for model, bundle in bundles.items():
        mask = segmenter.segment(volume, bundle).mask
        report_line(f"Dice DICOM series, a slab of 40 mm: {model} {dice_score(mask, spleen):.3f}")
        assert mask.any(), "no spleen found"
        inside = (mask & spleen).sum() / mask.sum()
        assert inside > 0.5, f"only {inside:.0%} of the mask of {model} lies in the spleen"

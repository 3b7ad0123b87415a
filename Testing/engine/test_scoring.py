"""Scores of a job are those of the model that users run, on the scan's own grid, and are made once."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
import torch
from untrained_runs import cases_of, finish, the_job, untrained_run

from agunetr.errors import Cancelled, DeviceError, InputError, ModelError
from agunetr.evaluation import compare
from agunetr.inference.segmenter import Segmentation, Segmenter, SegmentOptions
from agunetr.networks.variants import network_config
from agunetr_train.data.preparation import read_case
from agunetr_train.evaluation import scoring
from agunetr_train.evaluation.model_sizes import model_sizes
from agunetr_train.evaluation.scoring import part_to_score, read_scores, score_job
from agunetr_train.evaluation.trained_model import trained_model
from agunetr_train.experiments.splits import Split


def silent(text: str) -> None:
    """For what nobody reads."""


class NothingFound:
    """Stands in for the segmenter where its answer does not matter."""

    def __init__(self, options: SegmentOptions) -> None:
        self.options = options

    def segment(self, image, model, cancelled=None) -> Segmentation:
        return Segmentation(
            mask=np.zeros(image.array.shape, np.uint8), attention={}, notices=[], seconds={"load": 1.0, "windows": 2.0},
            windows=8, windows_of_dense=8, search="dense", search_reason="", window_batch=1, device="cpu",
            device_reason="", engine="torch", engine_reason="", precision="exact", precision_reason="",
            model=model.name, checksum=model.checksum,
        )  # fmt: skip

    def forget_scan(self) -> None:
        """It keeps none."""


@pytest.fixture
def quick(monkeypatch):
    """Scoring without a network."""
    monkeypatch.setattr(scoring, "Segmenter", NothingFound)


@pytest.fixture(scope="module")
def scored(phantom_cases, tmp_path_factory):
    """A run whose gated job has been scored; not to be changed."""
    run = untrained_run(tmp_path_factory.mktemp("scored"), phantom_cases)
    said: list[str] = []
    score_job(run, the_job(run, "gated"), cases_of(phantom_cases), "cpu", said.append)
    return run, said


def test_a_case_is_scored_by_its_mask_on_the_scans_own_grid(scored, phantom_cases):
    run, said = scored
    row = json.loads((run.job("gated") / "test" / "four.json").read_text(encoding="utf-8"))
    written = run.job("gated") / "test" / "four.nii.gz"
    again = compare(written, phantom_cases / "four" / "spleen.nii.gz").scores.to_dict()
    assert {name: row[name] for name in again} == pytest.approx(again, rel=1e-6)
    assert row["volume_ml"] > 0 and len(said) == 1 and "four" in said[0]
    assert (row["case"], row["patient"], row["part"], row["device"]) == ("four", "four", "test", "cpu")
    assert row["contrast"] is True and row["windows"] > 1
    assert 0 < row["seconds"] < sum(row["seconds_by_stage"].values())
    assert row["peak_memory_bytes"] > 50e6 and row["peak_device_memory_bytes"] is None


def test_scoring_stops_within_a_case_and_leaves_nothing_half_done(phantom_cases, tmp_path):
    run = untrained_run(tmp_path, phantom_cases)
    asked = iter([False, False])
    with pytest.raises(Cancelled):
        score_job(run, the_job(run, "gated"), cases_of(phantom_cases), "cpu", silent, lambda: next(asked, True))
    assert not list((run.job("gated") / "test").iterdir())


def test_the_mask_is_the_one_that_users_get(scored, phantom_cases):
    run, _ = scored
    case = next(case for case in cases_of(phantom_cases) if case.name == "four")
    image, label = read_case(case)
    options = SegmentOptions(device="cpu", engine="torch", precision="exact", localise=False)
    with trained_model(run, the_job(run, "gated")) as model:
        found = Segmenter(options).segment(image, model)
        row = read_scores(run, the_job(run, "gated"), model.checksum)[0]
    expected = 2 * np.sum((found.mask > 0) & (label.array > 0)) / (found.mask.sum() + label.array.sum())
    assert row["dice"] == pytest.approx(expected)


def test_cases_are_scored_once_and_anew_with_other_weights_or_a_damaged_score(quick, phantom_cases, tmp_path):
    run = untrained_run(tmp_path, phantom_cases)
    job, cases = the_job(run, "base"), cases_of(phantom_cases)
    folder = run.job(job) / "test"
    said: list[str] = []

    def scored_anew() -> bool:
        said.clear()
        score_job(run, job, cases, "cpu", said.append)
        return bool(said)

    assert scored_anew()
    os.utime(folder / "four.json", (1, 1))
    assert not scored_anew() and (folder / "four.json").stat().st_mtime == 1
    (folder / "four.nii.gz").unlink()
    assert scored_anew()
    (folder / "four.json").write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match="four.json is damaged"):
        read_scores(run, job)
    assert scored_anew()
    before = read_scores(run, job)[0]
    finish(run, job, seed=99, step=8)
    assert scored_anew()
    after = read_scores(run, job)[0]
    assert after["weights"] != before["weights"]
    assert read_scores(run, job, after["weights"]) == [after]
    assert read_scores(run, job, before["weights"]) == []
    assert {path.name for path in folder.iterdir()} == {"four.json", "four.nii.gz"}


def test_validation_cases_stand_in_where_there_are_no_test_cases_and_say_so(quick, phantom_cases, tmp_path):
    split = {"training": ["one", "two"], "validation": ["three"]}
    run = untrained_run(tmp_path, phantom_cases, split=split, stages=[{"name": "base", "variant": "unetr"}])
    job = the_job(run, "base")
    score_job(run, job, cases_of(phantom_cases), "cpu", silent)
    assert [(row["case"], row["part"]) for row in read_scores(run, job)] == [("three", "validation")]
    assert part_to_score(Split(("a",), (), ())) == ("test", ())
    assert part_to_score(Split(("a",), ("b",), ("c",))) == ("test", ("c",))


def test_what_is_undefined_is_said_to_be_so(quick, phantom_cases, tmp_path):
    run = untrained_run(tmp_path, phantom_cases)
    score_job(run, the_job(run, "base"), cases_of(phantom_cases), "cpu", silent)
    row = read_scores(run, the_job(run, "base"))[0]
    assert (row["dice"], row["hausdorff95_mm"], row["surface_dice"], row["volume_ml"]) == (0, None, 0, 0)
    assert row["relative_volume_error"] == -1 and row["seconds"] == 2.0


def test_nothing_to_score_is_said(phantom_cases, tmp_path):
    split = {"training": ["one", "two"]}
    run = untrained_run(tmp_path, phantom_cases, split=split, stages=[{"name": "base", "variant": "unetr"}])
    said: list[str] = []
    score_job(run, the_job(run, "base"), [], "cpu", said.append)
    assert "neither test nor validation" in said[-1] and read_scores(run, the_job(run, "base")) == []


def test_refusals_are_one_sentence_and_leave_no_half_score(phantom_cases, tmp_path):
    run = untrained_run(tmp_path, phantom_cases)
    job = the_job(run, "base")
    with pytest.raises(InputError, match="lacks the case 'four'"):
        score_job(run, job, cases_of(phantom_cases)[1:], "cpu", silent)
    with pytest.raises(DeviceError):
        score_job(run, job, cases_of(phantom_cases), "cuda:77", silent)
    assert not (run.job(job) / "test").exists()
    (run.job(job) / "checkpoint_step=4.pt").unlink()
    with pytest.raises(InputError, match="base has no checkpoint"):
        score_job(run, job, cases_of(phantom_cases), "cpu", silent)


def test_a_network_that_diverged_is_refused(phantom_cases, tmp_path):
    run = untrained_run(tmp_path, phantom_cases)
    job = the_job(run, "base")
    path = run.job(job) / "checkpoint_step=4.pt"
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["network"]["out.conv.conv.bias"][0] = float("nan")
    torch.save(checkpoint, path)
    with pytest.raises(ModelError, match="not finite"):
        score_job(run, job, cases_of(phantom_cases), "cpu", silent)


def test_the_models_sizes_stand_beside_the_scores(scored):
    run, _ = scored
    record = json.loads((run.job("gated") / "model.json").read_text(encoding="utf-8"))
    with trained_model(run, the_job(run, "gated")) as model:
        network = model.network()
        assert record["weights"] == model.checksum and record["file_bytes"] == model.size_bytes
    assert record["parameters"] == sum(weight.numel() for weight in network.parameters())
    assert record["gates"] == ["enc1", "enc2"] and 0 < record["gate_parameters"] < 0.01 * record["parameters"]


def test_full_size_networks_are_as_large_as_the_study_says():
    base, plain, improved = (model_sizes(network_config(name)) for name in ("unetr", "agunetr-v1", "agunetr-v2"))
    assert base["parameters"] == pytest.approx(92.8e6, rel=1e-3) and base["gate_parameters"] == 0
    assert base["flops_per_window"] == pytest.approx(146e9, rel=5e-3)
    assert (plain["gate_parameters"], improved["gate_parameters"]) == (3105, 12900)
    more = [round(gated["flops_per_window"] / base["flops_per_window"] * 100 - 100, 1) for gated in (plain, improved)]
    assert more == [0.2, 0.6]

"""A trained job becomes a model that is listed, with the scores, origins and terms that belong to its weights."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from untrained_runs import OPEN_GATES, cases_of, finish, the_job, untrained_run

from agunetr.errors import InputError, OutputError
from agunetr.inference.volume import Volume
from agunetr.models.bundle import load_bundle
from agunetr.models.library import ModelLibrary
from agunetr_train.evaluation import export
from agunetr_train.evaluation.export import export_job
from agunetr_train.evaluation.scoring import read_scores, score_job
from agunetr_train.evaluation.spleen_free_parts import spleen_free_parts
from agunetr_train.evaluation.training_sources import TrainingSource, training_sources
from agunetr_train.training.checkpoints import job_weights


def silent(text: str) -> None:
    """For what nobody reads."""


@pytest.fixture(scope="module")
def data(phantom_cases, tmp_path_factory) -> Path:
    """The phantoms, of which "two" may only be used for evaluation and "one" says nothing of its terms."""
    folder = shutil.copytree(phantom_cases, tmp_path_factory.mktemp("data") / "cases")
    write_facts(folder, "one", origin="drawn", label_origin="ensemble", label_grade="A")
    write_facts(folder, "two", origin="drawn", licence="CC BY-NC 3.0", use="evaluate")
    return folder


def write_facts(folder: Path, case: str, **facts: str) -> None:
    (folder / case / "case.json").write_text(json.dumps(facts), encoding="utf-8")


@pytest.fixture(scope="module")
def scored_run(phantom_cases, tmp_path_factory):
    """A run on cases of free terms whose gated job was scored; not to be changed."""
    folder = tmp_path_factory.mktemp("scored")
    run = untrained_run(folder, phantom_cases, licence="CC BY 4.0", limits=["Knows nothing."])
    score_job(run, the_job(run, "gated"), cases_of(phantom_cases), "cpu", silent)
    return run


@pytest.fixture(scope="module")
def models(scored_run, tmp_path_factory) -> Path:
    """A folder with the exported gated job."""
    folder = tmp_path_factory.mktemp("library") / "models"
    export_job(scored_run, the_job(scored_run, "gated"), "tiny-gated", folder, device="cpu", say=silent)
    return folder


def test_an_exported_model_is_listed_with_its_weights_origins_and_recipe(scored_run, models):
    (model,) = [model for model in ModelLibrary(models).list() if not model.embedded]
    assert (model.name, model.variant, model.licence) == ("tiny-gated", "agunetr-v2", "CC BY 4.0")
    assert [(source["name"], source["use"]) for source in model.description.training_data] == [
        ("one", "training"),
        ("two", "training"),
    ]
    exported, trained = model.network().state_dict(), job_weights(scored_run, the_job(scored_run, "gated"))
    assert all(torch.allclose(value, trained[name], atol=1e-3) for name, value in exported.items())
    assert "--job 2" in model.description.recipe["command"] and model.description.recipe["steps"] == 4
    card = model.card_path.read_text(encoding="utf-8")
    assert "CC0" in card and "Knows nothing." in card and "Non-commercial" not in card


def test_its_scores_are_those_of_the_run_and_of_these_very_weights(scored_run, models):
    model = load_bundle(models / "tiny-gated")
    (row,) = read_scores(scored_run, the_job(scored_run, "gated"), model.checksum)
    (shown,) = model.scores["cases"]
    assert (shown["case"], shown["part"], shown["contrast"]) == ("four", "test", True)
    assert shown["dice"] == pytest.approx(row["dice"], abs=1e-4) and model.scores["mean_dice"] == shown["dice"]
    assert shown["reference_ml"] == pytest.approx(row["reference_volume_ml"], abs=0.1)
    assert "not accuracy" in model.scores["note"] and "took no part" in model.scores["note"]


def test_nothing_is_scored_twice_and_scores_of_other_weights_are_not_taken(phantom_cases, tmp_path, monkeypatch):
    run = untrained_run(tmp_path, phantom_cases)
    job = the_job(run, "gated")
    score_job(run, job, cases_of(phantom_cases), "cpu", silent)
    finish(run, job, seed=99, step=8)
    said: list[str] = []
    export_job(run, job, "anew", tmp_path / "models", device="cpu", say=said.append)
    assert any("no scores of these weights" in line for line in said)
    monkeypatch.setattr(export, "score_job", lambda *given: pytest.fail("it was scored"))
    model = export_job(run, job, "again", tmp_path / "models", device="cpu", say=silent)
    assert model.scores == load_bundle(tmp_path / "models" / "anew").scores


def test_a_model_is_never_overwritten_and_wrong_names_are_refused_at_once(scored_run, models, monkeypatch):
    job = the_job(scored_run, "gated")
    monkeypatch.setattr(export, "training_sources", lambda *given: pytest.fail("work was done"))
    before = (models / "tiny-gated" / "configs" / "metadata.json").read_bytes()
    with pytest.raises(OutputError, match="never overwritten"):
        export_job(scored_run, job, "tiny-gated", models, say=silent)
    assert (models / "tiny-gated" / "configs" / "metadata.json").read_bytes() == before
    for name in ("../away", "a b", "x_enc1"):
        with pytest.raises(InputError, match="cannot be called so"):
            export_job(scored_run, job, name, models, say=silent)
    with pytest.raises(InputError, match="title"):
        export_job(scored_run, job, "x", models, title="two\nlines", say=silent)
    with pytest.raises(InputError, match="role 'boss'"):
        export_job(scored_run, job, "x", models, role="boss", say=silent)
    (scored_run.job("base") / "finished.json").rename(scored_run.job("base") / "kept")
    try:
        with pytest.raises(InputError, match="base is not finished"):
            export_job(scored_run, the_job(scored_run, "base"), "x", models, say=silent)
    finally:
        (scored_run.job("base") / "kept").rename(scored_run.job("base") / "finished.json")


def test_data_for_evaluation_alone_makes_no_model_unless_asked_and_then_the_card_says_so(data, tmp_path):
    run = untrained_run(tmp_path, data, licence="CC BY 4.0", split={"training": ["one", "two"]})
    job = the_job(run, "gated")
    with pytest.raises(InputError, match=r"trained on two, whose terms .*CC BY-NC 3.0.*--research-only"):
        export_job(run, job, "mine", tmp_path / "models", say=silent)
    assert not (tmp_path / "models").exists()
    said: list[str] = []
    model = export_job(run, job, "mine", tmp_path / "models", research_only=True, device="cpu", say=said.append)
    assert model.licence.startswith("Non-commercial research only") and "CC BY 4.0" not in model.licence
    assert any("Not to be passed on" in limit and "two" in limit for limit in model.description.limits)
    assert any("terms of one" in limit and "not stated" in limit for limit in model.description.limits)
    assert model.description.training_data[0]["labels"] == "ensemble, grade A"
    assert model.scores == {} and any("no scores" in line for line in said)
    # What learns from such a model is bound by the same terms.
    stages = [{"name": "next", "variant": "agunetr-v2", "warm_start": str(model.folder), **OPEN_GATES}]
    heir = untrained_run(tmp_path / "heir", data, stages=stages, split={"training": ["three"]})
    found = training_sources(heir, the_job(heir, "next"))
    assert [(source.name, source.restricted) for source in found] == [
        ("three", False), ("one", False), ("two", True), ("mine", True),
    ]  # fmt: skip
    with pytest.raises(InputError, match="trained on two, mine"):
        export_job(heir, the_job(heir, "next"), "heir", tmp_path / "models", say=silent)


def test_weights_of_another_run_bring_their_origins_and_a_bare_file_none(phantom_cases, scored_run, tmp_path):
    teacher, file = scored_run.job("gated"), tmp_path / "bought.safetensors"
    stages = [
        {"name": "first", "variant": "unetr", "warm_start": str(file)},
        {"name": "second", "variant": "unetr", "start": "first", "teacher": str(teacher)},
    ]
    run = untrained_run(tmp_path / "run", phantom_cases, stages=stages, split={"training": ["three"]})
    found = [(source.name, source.use) for source in training_sources(run, the_job(run, "second"))]
    assert found == [
        ("three", "training"),
        ("bought.safetensors", "training of the weights that first began with"),
        ("one", "training of the teacher of second"),
        ("two", "training of the teacher of second"),
    ]


@pytest.mark.parametrize(
    ("licence", "restricted"),
    [
        ("CC BY-NC 3.0 (TCIA, not verified)", True),
        ("CC BY-NC-SA 4.0", True),
        ("for non-commercial use", True),
        ("Research only", True),
        ("CC BY 4.0 (stated beside the data)", False),
        ("TCIA policy: mostly CC BY 3.0 (the collection page was not checked)", False),
        ("CC BY-SA 4.0", False),
        ("not stated", False),
    ],
)
def test_which_terms_bind(licence, restricted):
    assert TrainingSource("a", licence=licence).restricted is restricted


def test_a_localiser_is_exported_as_such_with_what_it_saves(scored_run, tmp_path):
    job = the_job(scored_run, "gated")
    model = export_job(scored_run, job, "where", tmp_path, role="localiser", device="cpu", say=silent)
    assert model.role == "localiser" and not [found for found in ModelLibrary(tmp_path).list() if not found.embedded]
    (row,) = model.scores["localisation"]
    assert row["case"] == "four" and (row["answer"] == "found" or row["answer"].startswith("doubt: "))


def test_scans_that_moved_are_told_of_and_a_localiser_needs_them(phantom_cases, tmp_path):
    data = shutil.copytree(phantom_cases, tmp_path / "cases")
    run = untrained_run(tmp_path / "run", data)
    job = the_job(run, "gated")
    score_job(run, job, cases_of(data), "cpu", silent)
    data.rename(tmp_path / "moved")
    said: list[str] = []
    model = export_job(run, job, "mine", tmp_path / "models", device="cpu", say=said.append)
    assert model.scores["mean_dice"] >= 0 and any("four is no longer at" in line for line in said)
    with pytest.raises(InputError, match="four is no longer at"):
        export_job(run, job, "where", tmp_path / "models", role="localiser", device="cpu", say=silent)


def test_a_run_whose_data_was_never_recorded_is_refused(phantom_cases, tmp_path):
    run = untrained_run(tmp_path, phantom_cases)
    (run.root / "data.json").write_text("[]", encoding="utf-8")
    with pytest.raises(InputError, match="data.json is damaged"):
        export_job(run, the_job(run, "base"), "mine", tmp_path / "models", say=silent)
    (run.root / "data.json").unlink()
    with pytest.raises(InputError, match="no record of its data"):
        export_job(run, the_job(run, "base"), "mine", tmp_path / "models", say=silent)


def test_parts_without_spleen_keep_their_place_in_the_patient():
    array = np.zeros((60, 4, 4), np.int16)
    array[:, 0, 0] = np.arange(60)
    label = np.zeros_like(array)
    label[30:35] = 1
    flipped = np.diag([4.0, 4.0, -5.0, 1.0])
    parts = dict(spleen_free_parts(Volume(array, flipped), Volume(label, flipped)))
    assert {place: part.array[:, 0, 0].tolist() for place, part in parts.items()} == {"above": [*range(24)]}
    upright = np.diag([4.0, 4.0, 5.0, 1.0])
    parts = dict(spleen_free_parts(Volume(array[::-1], upright), Volume(label[::-1], upright)))
    assert parts["above"].array[:, 0, 0].tolist() == [*range(23, -1, -1)]
    assert parts["above"].ras_of(np.array([0, 0, 0]))[2] == 36 * 5.0
    assert not [*spleen_free_parts(Volume(array, upright), Volume(np.zeros_like(label), upright))]

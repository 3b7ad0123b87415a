"""Training in small: experiments as data, cases on disk, a run that resumes exactly, export to a model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from agunetr.errors import InputError
from agunetr.inference.volume import Volume
from agunetr.inference.writing import write_volume
from agunetr.models.bundle import load_bundle
from agunetr.phantom import make_phantom
from agunetr_train.__main__ import main
from agunetr_train.data.cases import find_cases, pick_cases
from agunetr_train.data.preparation import cached_case, load_prepared, read_case
from agunetr_train.evaluation.export import spleen_free_parts
from agunetr_train.experiments.definition import Augmentation, load_experiment, shipped_experiments, with_split
from agunetr_train.run_folder import RunFolder
from agunetr_train.training.augmentation import NEAR, near_foreground, training_transforms
from agunetr_train.training.trainer import stage_weights

TINY_NETWORK = {
    "size": "compact",
    "window": [32, 32, 32],
    "feature_size": 4,
    "hidden_size": 24,
    "mlp_dim": 48,
    "heads": 2,
    "layers": 4,
}
STAGE = {"spacings_mm": [8.0], "epochs": 2, "steps_per_epoch": 2, "warm_up_steps": 1, "validate_every": 1}


def experiment_values(**changes) -> dict:
    values = {
        "name": "tiny",
        "description": "for tests",
        "training": ["one", "two"],
        "validation": ["three"],
        "test": [],
        "spacing_mm": 8.0,
        "network": TINY_NETWORK,
        "stages": [
            {"name": "first", "variant": "unetr", **STAGE},
            {"name": "gated", "variant": "agunetr-v2", "start": "first", **STAGE},
        ],
    }
    return {**values, **changes}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Three phantoms, a folder each."""
    folder = tmp_path_factory.mktemp("cases")
    for seed, name in enumerate(("one", "two", "three")):
        phantom = make_phantom(seed, size=(48, 40, 40), spacing_mm=(7.0, 7.0, 7.0))
        (folder / name).mkdir()
        write_volume(phantom.ct, folder / name / "ct.nii.gz")
        write_volume(phantom.spleen, folder / name / "spleen.nii.gz")
        facts = {"origin": "phantom", "licence": "CC0", "contrast": True, "whole_spleen": True}
        (folder / name / "case.json").write_text(json.dumps(facts), encoding="utf-8")
    return folder


def write_experiment(folder: Path, **changes) -> Path:
    path = folder / "tiny.json"
    path.write_text(json.dumps(experiment_values(**changes)), encoding="utf-8")
    return path


def train(experiment: Path, data: Path, run: Path, *more: str) -> int:
    return main(["train", str(experiment), "--data", str(data), "--run", str(run), *more])


@pytest.fixture(scope="module")
def finished_run(data, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    assert train(write_experiment(folder), data, folder / "run") == 0
    return folder / "run"


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, second[name]) for name, value in first.items())


def test_every_shipped_experiment_is_valid():
    assert "compact-embedded" in shipped_experiments()
    for name in shipped_experiments():
        assert load_experiment(name).stages


def test_a_run_keeps_its_settings_metrics_and_checkpoints(finished_run):
    assert json.loads((finished_run / "experiment.json").read_text())["stages"][1]["augmentation"]["p_noise"] >= 0
    assert "torch" in json.loads((finished_run / "environment.json").read_text())
    for stage in ("first", "gated"):
        rows = [json.loads(line) for line in (finished_run / stage / "metrics.jsonl").read_text().splitlines()]
        assert [row["epoch"] for row in rows if "loss" in row] == [1, 2]
        assert all(0 <= row["validation_dice"] <= 1 for row in rows if "validation_dice" in row)
        assert RunFolder(finished_run).is_finished(stage)
        assert list((finished_run / stage).glob("events.*"))


def test_an_interrupted_run_ends_with_the_weights_of_an_uninterrupted_one(finished_run, data, tmp_path, monkeypatch):
    from monai.engines import SupervisedTrainer

    steps = SupervisedTrainer._iteration
    seen = []

    def interrupted(self, engine, batch):
        seen.append(1)
        if len(seen) == 4:  # the last step of the second epoch
            raise KeyboardInterrupt
        return steps(self, engine, batch)

    experiment = write_experiment(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(SupervisedTrainer, "_iteration", interrupted)
        assert train(experiment, data, tmp_path / "run", "--stage", "first") == 130
    assert train(experiment, data, tmp_path / "run", "--stage", "first") == 0
    assert same(stage_weights(RunFolder(finished_run), "first"), stage_weights(RunFolder(tmp_path / "run"), "first"))


def test_a_finished_run_is_left_alone(finished_run, data, tmp_path):
    before = stage_weights(RunFolder(finished_run), "gated")
    assert train(write_experiment(tmp_path), data, finished_run) == 0
    assert same(before, stage_weights(RunFolder(finished_run), "gated"))


def test_a_folder_of_other_settings_is_refused(finished_run, data, tmp_path, capsys):
    assert train(write_experiment(tmp_path, seed=3), data, finished_run) == 3
    assert "other settings" in capsys.readouterr().err


def test_export_makes_a_model_with_origins_and_scores(finished_run, data, tmp_path):
    command = ["export", str(finished_run), "--data", str(data), "--stage", "gated", "--name", "tiny-gated"]
    assert main([*command, "--output", str(tmp_path)]) == 0
    bundle = load_bundle(tmp_path / "tiny-gated")
    assert bundle.variant == "agunetr-v2"
    assert [source["name"] for source in bundle.description.training_data] == ["one", "two"]
    assert [row["case"] for row in bundle.scores["cases"]] == ["three"]
    assert "CC0" in (tmp_path / "tiny-gated" / "docs" / "README.md").read_text(encoding="utf-8")
    exported, trained = bundle.network().state_dict(), stage_weights(RunFolder(finished_run), "gated")
    assert all(torch.allclose(value, trained[name], atol=1e-3) for name, value in exported.items())
    assert main([*command, "--output", str(tmp_path)]) == 3


def test_a_stage_does_not_start_from_an_unfinished_one(data, tmp_path, capsys):
    assert train(write_experiment(tmp_path), data, tmp_path / "run", "--stage", "gated") == 3
    assert "first, which is not finished" in capsys.readouterr().err


def test_a_localiser_is_exported_as_such_with_what_it_saves(finished_run, data, tmp_path):
    command = ["export", str(finished_run), "--data", str(data), "--stage", "gated", "--name", "where"]
    assert main([*command, "--output", str(tmp_path), "--role", "localiser"]) == 0
    bundle = load_bundle(tmp_path / "where")
    assert bundle.role == "localiser"
    rows = bundle.scores["localisation"]
    assert [row["case"] for row in rows] == [row["case"] for row in bundle.scores["cases"]]
    assert all(row["answer"] == "found" or row["answer"].startswith("doubt: ") for row in rows)


def test_an_unfinished_stage_is_not_exported(data, tmp_path, capsys):
    experiment = write_experiment(tmp_path)
    assert train(experiment, data, tmp_path / "run", "--stage", "first") == 0
    command = ["export", str(tmp_path / "run"), "--data", str(data), "--stage", "gated", "--name", "x"]
    assert main([*command, "--output", str(tmp_path / "models")]) == 3
    assert "not finished" in capsys.readouterr().err


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


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (dict(colour="red"), "colour"),
        (dict(validation=["one"]), "'one' is in training and in validation"),
        (dict(training=[]), "training names no case"),
        (dict(stages=[]), "stages"),
        (dict(stages=3), "wrong kind"),
        (dict(stages=[{"name": "a", "variant": "unetr", **STAGE, "start": "b"}]), "no earlier stage"),
        (dict(stages=[{"name": "a", "variant": "unetr", **STAGE, "epochs": 0}]), "epochs"),
        (dict(stages=[{"name": "a", "variant": "unetr", **STAGE, "dice_smoothing": 0}]), "dice_smoothing"),
        (dict(stages=[{"name": "a", "variant": "unetr", **STAGE, "augmentation": {"slab_slices": [9, 3]}}]), "slab_"),
        (dict(stages=[{"name": "a", "variant": "v9", **STAGE}]), "variant"),
        (dict(stages=[{"name": "a", "variant": "unetr", **STAGE, "rate": 1}]), "rate"),
        (dict(stages=[{"name": "a", "variant": "unetr", **STAGE, "augmentation": {"flip": 1}}]), "flip"),
    ],
)
def test_a_wrong_experiment_is_refused_by_the_key(tmp_path, changes, words):
    with pytest.raises(InputError, match=words):
        load_experiment(write_experiment(tmp_path, **changes))


def test_cases_are_split_by_the_seed_where_none_are_named(tmp_path):
    values = experiment_values()
    for part in ("training", "validation", "test"):
        values.pop(part)
    (tmp_path / "split.json").write_text(json.dumps(values), encoding="utf-8")
    experiment = load_experiment(tmp_path / "split.json")
    names = [f"case-{number}" for number in range(10)]
    split = with_split(experiment, names)
    assert sorted((*split.training, *split.validation, *split.test)) == names
    assert (len(split.training), len(split.validation), len(split.test)) == (6, 2, 2)
    assert with_split(experiment, names[::-1]) == split
    with pytest.raises(InputError, match="too few"):
        with_split(experiment, ["a", "b"])


def test_an_unknown_experiment_or_a_broken_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="compact-embedded"):
        load_experiment("no-such-experiment")
    (tmp_path / "broken.json").write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match="no JSON"):
        load_experiment(tmp_path / "broken.json")


def test_decathlon_and_nnunet_folders_are_read(tmp_path):
    for folder in ("imagesTr", "labelsTr"):
        (tmp_path / folder).mkdir()
    for name in ("imagesTr/spleen_2_0000.nii.gz", "labelsTr/spleen_2.nii.gz", "imagesTr/._spleen_2.nii.gz"):
        (tmp_path / name).touch()
    cases = find_cases(tmp_path)
    assert list(cases) == ["spleen_2"] and cases["spleen_2"].label.name == "spleen_2.nii.gz"


def test_missing_cases_and_masks_are_named(data, tmp_path):
    with pytest.raises(InputError, match="'four'"):
        pick_cases(find_cases(data), ("one", "four"))
    with pytest.raises(InputError, match="No labelled case"):
        find_cases(tmp_path)
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.nii.gz").touch()
    with pytest.raises(InputError, match="case a has no mask"):
        find_cases(tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda mask: mask.with_array(mask.array * 2), "the value 2"),
        (lambda mask: mask.with_array(mask.array * 0), "is empty"),
        (lambda mask: Volume(mask.array[:-1].copy(), mask.ijk_to_ras), "different grids"),
    ],
)
def test_a_wrong_mask_is_refused(data, tmp_path, change, words):
    case = find_cases(data)["one"]
    _, mask = read_case(case)
    write_volume(change(mask), tmp_path / "mask.nii.gz")
    with pytest.raises(InputError, match=words):
        read_case(type(case)(case.name, case.image, tmp_path / "mask.nii.gz"))


def test_prepared_cases_are_made_once_and_follow_their_content(data, tmp_path):
    case = find_cases(data)["one"]
    first = cached_case(case, 8.0, (-175.0, 250.0), tmp_path)
    stamp = first.stat().st_mtime_ns
    assert cached_case(case, 8.0, (-175.0, 250.0), tmp_path).stat().st_mtime_ns == stamp
    assert cached_case(case, 9.0, (-175.0, 250.0), tmp_path) != first
    arrays = load_prepared(first)
    assert arrays["image"].shape == arrays["label"].shape and arrays["image"].dtype == np.float32
    assert 0 < ((arrays["label"] > 0) & (arrays["label"] < 1)).sum(), "the mask stays soft at its rim"
    assert not list(tmp_path.glob("*.tmp"))


def test_patches_repeat_with_the_seed_and_stay_in_range(data, tmp_path):
    arrays = load_prepared(cached_case(find_cases(data)["one"], 8.0, (-175.0, 250.0), tmp_path))
    case = {name: torch.from_numpy(array) for name, array in arrays.items()}
    case[NEAR] = near_foreground(case["label"], 2)
    transforms = training_transforms((32, 32, 32), 0.5, Augmentation())

    def patches(seed: int) -> list[dict]:
        transforms.set_random_state(seed=seed)
        return [transforms(dict(case))[0] for _ in range(4)]

    first, again, other = patches(1), patches(1), patches(2)
    for patch, repeated in zip(first, again, strict=True):
        assert torch.equal(torch.as_tensor(patch["image"]), torch.as_tensor(repeated["image"]))
        assert patch["image"].shape == patch["label"].shape == (1, 32, 32, 32)
        assert 0 <= float(patch["image"].min()) and float(patch["image"].max()) <= 1
        assert 0 <= float(patch["label"].min()) and float(patch["label"].max()) <= 1 + 1e-6
    assert any(not torch.equal(a["image"], b["image"]) for a, b in zip(first, other, strict=True))

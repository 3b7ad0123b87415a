"""Experiment files: every wrong key or value is refused with a sentence that names it."""

from __future__ import annotations

import json

import pytest
from tiny_experiments import TINY_NETWORK, experiment_values, one_stage, tiny_experiment, write_experiment

from agunetr.errors import InputError
from agunetr_train.experiments.definition import Experiment
from agunetr_train.experiments.reading import experiment_from, load_experiment


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (dict(colour="red"), "the key 'colour' is unknown"),
        (dict(spacing_mm="3"), "spacing_mm is '3'"),
        (dict(spacing_mm=0.0), "spacing_mm is 0"),
        (dict(labels="hard"), "labels is 'hard'"),
        (dict(intensity_range=[250, -175]), "intensity_range"),
        (dict(seeds=[]), "seeds is"),
        (dict(seeds=[1, 1]), "seeds names a seed twice"),
        (dict(stages=[]), "stages is"),
        (dict(stages=3), "stages is 3"),
        (dict(name="a/b"), "name is 'a/b'"),
        (dict(compare=["base", "third"]), "no stage 'third'"),
        (dict(data={"source": "internet"}), "data.source is 'internet'"),
        (dict(data={"folder": "x"}), "the key 'data.folder' is unknown"),
        (dict(split={"training": ["one"], "validation": ["one"]}), "'one' is in split.training and in split.valid"),
        (dict(split={"training": []}), "training names no case"),
        (dict(split={"folds": 1}), "split.folds is 1"),
        (dict(split={"folds": 2, "training": ["one"]}), "split.training is given beside split.folds"),
        (dict(split={"test": 1.5}), "split.test is 1.5"),
        (dict(network={"size": "huge"}), "size is 'huge'"),
        (dict(network={**TINY_NETWORK, "layer": 4}), "layer is no argument"),
        (dict(defaults={"epoch": 4}), "'stages.base.epoch' is unknown"),
        (one_stage(variant="agunetr-v9"), "variant is 'agunetr-v9'"),
        (one_stage(start="b"), "no earlier stage"),
        (one_stage(epochs=0), "stages.base.epochs is 0"),
        (one_stage(epochs=2.0), "stages.base.epochs is 2.0"),
        (one_stage(learning_rate=0), "stages.base.learning_rate is 0"),
        (one_stage(precision="double"), "stages.base.precision is 'double'"),
        (one_stage(keep="first"), "stages.base.keep is 'first'"),
        (one_stage(dice_smoothing=0), "stages.base.dice_smoothing is 0"),
        (one_stage(foreground_share=1.2), "foreground_share is 1.2"),
        (one_stage(validation_overlap=1), "validation_overlap is 1"),
        (one_stage(distillation_temperature=0), "distillation_temperature is 0"),
        (one_stage(patches_per_step=3, accumulation_steps=2), "accumulation_steps 2 does not divide"),
        (one_stage(rate=1), "'stages.base.rate' is unknown"),
        (one_stage(network={"gates": ["enc3"]}), "gates and gate_formula of unetr are fixed"),
        (one_stage(variant="agunetr-deep", network={"gates": ["enc9"]}), "'enc9'"),
        (one_stage(augmentation={"flip": 1}), "'stages.base.augmentation.flip' is unknown"),
        (one_stage(augmentation={"p_flip": 2}), "stages.base.augmentation.p_flip is 2"),
        (one_stage(augmentation={"slab_slices": [9, 3]}), "slab_slices"),
        (one_stage(augmentation={"p_rotate90": 0.5}, network={"window": [32, 48, 32]}), "32x48 voxels, which is not"),
    ],
)
def test_a_wrong_experiment_is_refused_by_the_key(tmp_path, changes, words):
    with pytest.raises(InputError, match=words):
        load_experiment(write_experiment(tmp_path, **changes))


def test_two_stages_need_two_names_and_one_beginning_each(tmp_path):
    base = {"name": "base", "variant": "unetr"}
    with pytest.raises(InputError, match="same name"):
        load_experiment(write_experiment(tmp_path, stages=[base, base]))
    both = {"name": "gated", "variant": "agunetr-v2", "start": "base", "warm_start": "compact-base"}
    with pytest.raises(InputError, match="start and warm_start"):
        load_experiment(write_experiment(tmp_path, stages=[base, both]))


def test_an_unknown_experiment_or_a_broken_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="study-v1"):
        load_experiment("no-such-experiment")
    (tmp_path / "broken.json").write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match="no JSON"):
        load_experiment(tmp_path / "broken.json")
    (tmp_path / "list.json").write_text("[]", encoding="utf-8")
    with pytest.raises(InputError, match="the file"):
        load_experiment(tmp_path / "list.json")


def test_a_missing_key_is_named(tmp_path):
    values = experiment_values()
    del values["spacing_mm"]
    with pytest.raises(InputError, match="'spacing_mm' is missing"):
        experiment_from(values, "tiny.json")


def test_defaults_fill_what_a_stage_leaves_out_and_nested_values_are_merged(tmp_path):
    experiment = tiny_experiment(
        tmp_path,
        defaults={"epochs": 7, "augmentation": {"p_flip": 0.3, "p_noise": 0.1}},
        stages=[
            {"name": "base", "variant": "unetr"},
            {"name": "gated", "variant": "agunetr-v2", "epochs": 9, "augmentation": {"p_noise": 0.0}},
        ],
    )
    base, gated = experiment.stages
    assert (base.epochs, gated.epochs) == (7, 9)
    assert (base.augmentation.p_noise, gated.augmentation.p_noise) == (0.1, 0.0)
    assert gated.augmentation.p_flip == 0.3


def test_the_resolved_experiment_holds_every_value_and_reads_back_as_the_same(tmp_path):
    experiment = tiny_experiment(tmp_path)
    resolved = experiment.to_dict()
    assert set(resolved["stages"][1]) == set(type(experiment.stages[1]).model_fields)
    assert resolved["stages"][1]["augmentation"]["p_noise"] == 0.0
    again = experiment_from(json.loads(json.dumps(resolved)), "experiment.json")
    assert isinstance(again, Experiment) and again == experiment


def test_without_a_choice_the_stages_that_nobody_continues_are_compared(tmp_path):
    assert tiny_experiment(tmp_path).compared == ("gated",)
    assert tiny_experiment(tmp_path, compare=["gated", "base"]).compared == ("gated", "base")


def test_a_stage_may_change_the_network(tmp_path):
    experiment = tiny_experiment(tmp_path, **one_stage(variant="agunetr-v2", network={"gamma_start": 0.5}))
    config = experiment.network_config(experiment.stage("base"))
    assert config.gamma_start == 0.5 and config.window == (32, 32, 32)

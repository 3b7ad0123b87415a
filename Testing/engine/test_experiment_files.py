"""The shipped experiments: the study's numbers (SPEC, section 3), and what each of the others varies."""

from __future__ import annotations

import pytest

from agunetr_train.experiments.definition import Experiment, Stage
from agunetr_train.experiments.jobs import jobs_of
from agunetr_train.experiments.reading import load_experiment, shipped_experiments
from agunetr_train.experiments.splits import make_splits

TEST_CASES = {f"spleen_{number}" for number in (2, 6, 8, 10, 12, 13, 14, 16, 18, 20)}
MSD_NUMBERS = (
    *(2, 3, 6, 8, 9, 10, 12, 13, 14, 16, 17, 18, 19, 20, 21, 22, 24, 25, 26, 27, 28, 29, 31, 32, 33, 38, 40, 41),
    *(44, 45, 46, 47, 49, 52, 53, 56, 59, 60, 61, 62, 63),
)
"""The 41 labelled volumes of MSD Task09_Spleen."""

OFF = (
    *("p_affine", "p_grid_distortion", "p_enhancement", "p_histogram_shift", "p_gamma", "p_noise", "p_blur"),
    *("p_low_resolution", "p_slab", "p_arms", "margin_voxels"),
)
"""What the study did not do to its patches."""


def msd_cases() -> dict[str, str]:
    return {f"spleen_{number}": f"spleen_{number}" for number in MSD_NUMBERS}


def assert_full_size(experiment: Experiment, stage: Stage) -> None:
    config = experiment.network_config(stage)
    assert (config.window, config.feature_size, config.layers) == ((96, 96, 96), 16, 12)
    assert (config.hidden_size, config.mlp_dim, config.heads) == (768, 3072, 12)


@pytest.mark.parametrize("name", sorted(shipped_experiments()))
def test_every_shipped_experiment_can_be_read_and_has_jobs(name):
    experiment = load_experiment(name)
    assert experiment.name == name and experiment.description
    assert len(jobs_of(experiment)) >= len(experiment.stages)
    assert all(experiment.stage(stage) for stage in experiment.compared)


@pytest.mark.parametrize(
    ("name", "parts", "epochs", "rate", "chance", "variants"),
    [
        ("study-v1", (6, 4, 10), 100, 1e-4, 0.2, ("unetr", "agunetr-v1")),
        ("study-v2", (24, 7, 10), 200, 5e-5, 0.5, ("unetr", "agunetr-v2")),
    ],
)
def test_the_study_is_repeated_with_its_own_numbers(name, parts, epochs, rate, chance, variants):
    experiment = load_experiment(name)
    assert experiment.data.source == "msd-spleen"
    assert (experiment.spacing_mm, experiment.intensity_range, experiment.labels) == (1.0, (-175.0, 250.0), "nearest")
    (split,) = make_splits(experiment.split, msd_cases())
    assert tuple(map(len, (split.training, split.validation, split.test))) == parts
    assert set(split.test) == TEST_CASES
    assert tuple(experiment.stage(stage).variant for stage in experiment.compared) == variants
    assert len(experiment.stages) == 2 and len(experiment.seeds) == 1
    for stage in experiment.stages:
        assert_full_size(experiment, stage)
        assert (stage.epochs, stage.learning_rate, stage.keep) == (epochs, rate, "best")
        # One patch of every training volume an epoch, one patch a step; warm-up, then cosine.
        assert (stage.steps_per_epoch, stage.patches_per_step, stage.accumulation_steps) == (None, 1, 1)
        assert stage.warm_up_steps == epochs * parts[0] // 10 and stage.final_learning_rate == 0
        assert (stage.foreground_share, stage.foreground_reach, stage.validation_overlap) == (0.5, 0, 0.5)
        assert (stage.ema_momentum, stage.deep_supervision, stage.teacher, stage.patience) == (0, False, None, 0)
        assert stage.dice_smoothing == 1e-5 and stage.spacings_mm in ((), (1.0,))
        a = stage.augmentation
        assert (a.p_flip, a.p_rotate90, a.p_scale, a.p_shift) == (chance, chance, 0.1, 0.1)
        assert [key for key in OFF if getattr(a, key)] == []


def test_the_variants_of_the_study_differ_in_nothing_but_their_gates():
    for name in ("study-v1", "study-v2"):
        base, gated = load_experiment(name).stages
        assert base.model_copy(update={"name": gated.name, "variant": gated.variant}) == gated


def test_the_study_on_synthetic_scans_is_the_same_but_for_its_scans():
    study, synthetic = load_experiment("study-v1"), load_experiment("study-v1-synthetic")
    own = ("name", "description", "data", "licence", "limits", "stages", "defaults")
    assert synthetic.model_copy(update={key: getattr(study, key) for key in own}) == study
    for ours, theirs in zip(synthetic.stages, study.stages, strict=True):
        assert ours.model_copy(update={"validate_every": theirs.validate_every}) == theirs


@pytest.mark.parametrize("name", ["gates-deep", "gate-schedule", "gamma-bias-sweep", "kfold-5"])
def test_the_future_work_has_the_settings_of_study_v2(name):
    ours, study = load_experiment(name), load_experiment("study-v2")
    assert (ours.data, ours.spacing_mm, ours.labels, ours.network) == (
        study.data, study.spacing_mm, study.labels, study.network,
    )  # fmt: skip
    changed = {"name", "variant", "network", "start", "gates_frozen_epochs", "warm_up_steps"}
    for stage in ours.stages:
        assert_full_size(ours, stage)
        differing = {key for key, value in stage if value != getattr(study.stage("base"), key)}
        if stage.start is None:
            assert differing <= changed
    if not ours.split.folds:
        assert ours.split == study.split


def test_deep_gates_sit_at_enc3_and_enc4_in_both_formulas():
    experiment = load_experiment("gates-deep")
    configs = [experiment.network_config(stage) for stage in experiment.stages if stage.variant == "agunetr-deep"]
    sets = {(config.gate_formula, config.gates) for config in configs}
    every = ("enc1", "enc2", "enc3", "enc4")
    assert sets == {
        (formula, gates)
        for formula in ("improved", "attention")
        for gates in (("enc3",), ("enc3", "enc4"), every)
    }  # fmt: skip


def test_gates_are_released_after_some_epochs_or_added_to_the_trained_base():
    experiment = load_experiment("gate-schedule")
    frozen = [stage.gates_frozen_epochs for stage in experiment.stages if stage.gates_frozen_epochs]
    assert frozen and all(0 < epochs < 200 for epochs in frozen)
    gated, base = experiment.stage("gated-continued"), experiment.stage("base-continued")
    assert gated.start == base.start == "base"
    assert gated.model_copy(update={"name": base.name, "variant": "unetr"}) == base
    assert experiment.compared[0] == "base"


def test_the_sweep_is_a_grid_of_gamma_and_bias_with_the_gate_of_the_study_in_it():
    experiment = load_experiment("gamma-bias-sweep")
    gated = [experiment.network_config(stage) for stage in experiment.stages if stage.variant == "agunetr-v2"]
    starts = {(config.gamma_start, config.psi_bias) for config in gated}
    gammas, biases = ({start[n] for start in starts} for n in (0, 1))
    assert len(starts) == len(gated) == len(gammas) * len(biases)
    assert (0.0, 2.0) in starts and experiment.compared[0] == "base"


def test_cross_validation_scores_every_volume_once_with_three_seeds():
    experiment = load_experiment("kfold-5")
    splits = make_splits(experiment.split, msd_cases())
    assert sorted(case for split in splits for case in split.test) == sorted(msd_cases())
    assert (len(splits), len(experiment.seeds), len(jobs_of(experiment))) == (5, 3, 45)
    assert [stage.variant for stage in experiment.stages] == ["unetr", "agunetr-v1", "agunetr-v2"]


def test_the_student_has_a_twin_without_teacher_and_the_teachers_test_volumes():
    experiment, study = load_experiment("compact-student"), load_experiment("study-v2")
    alone, taught = experiment.stages
    assert alone.teacher is None and taught.teacher.endswith("study-v2/gated")
    assert taught.model_copy(update={"name": alone.name, "teacher": None}) == alone
    assert experiment.split == study.split


def test_smoke_and_compact_real_have_folds_and_seeds_for_every_part_of_the_report():
    for name in ("smoke", "compact-real"):
        experiment = load_experiment(name)
        assert experiment.split.folds >= 2 and len(experiment.seeds) >= 2
        assert experiment.compared == ("base", "v1", "v2")
        assert {stage.variant for stage in experiment.stages} == {"unetr", "agunetr-v1", "agunetr-v2"}
    assert load_experiment("smoke").data.source == "phantoms"
    assert load_experiment("compact-real").licence.startswith("not to be shared")

"""Tables and statistics of the report, on numbers whose answers are known; and the study's own table 1."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
from made_runs import change_score, made_run
from scipy import stats

from agunetr_train.experiments.jobs import Job
from agunetr_train.report import statistics
from agunetr_train.report.collect import collect
from agunetr_train.report.conclusion import conclude
from agunetr_train.report.figure_style import stage_styles
from agunetr_train.report.pairs import pairs_of
from agunetr_train.report.score_measures import DICE, HAUSDORFF95, VOLUME_ERROR
from agunetr_train.report.statistics import bootstrap_mean, compare_all, signed_rank
from agunetr_train.report.tables import case_rows, natural_order, stage_values, summaries

STUDY = {
    "spleen_2": (0.6919, 0.5705), "spleen_6": (0.7208, 0.6636), "spleen_8": (0.4172, 0.7004),
    "spleen_10": (0.6123, 0.5233), "spleen_12": (0.6602, 0.7093), "spleen_13": (0.7003, 0.7006),
    "spleen_14": (0.7752, 0.7643), "spleen_16": (0.4059, 0.4024), "spleen_18": (0.6792, 0.6198),
    "spleen_20": (0.8078, 0.8100),
}  # fmt: skip
"""Table 1 of the study: base, gated."""


@pytest.fixture(autouse=True)
def fewer_resamples(monkeypatch):
    """Enough for what is asserted, and ten times quicker."""
    monkeypatch.setattr(statistics, "RESAMPLES", 999)


def study_dice(case: str, job: Job) -> float:
    return list(STUDY.values())[int(case.removeprefix("case_")) - 11][job.stage.variant != "unetr"]


def study_run(folder):
    """Ten test cases with the study's scores."""
    names = [f"case_{number}" for number in range(1, 21)]
    split = {"training": names[:8], "validation": names[8:10], "test": names[10:]}
    return made_run(folder, cases=20, dice=study_dice, split=split)


def test_the_studys_table_is_reproduced(tmp_path):
    rows = case_rows(collect(study_run(tmp_path / "run")))
    assert len(rows) == 11 and rows[-1].case == "mean"
    # The study printed 0.6464; its own rows average to 0.64642.
    assert round(rows[-1].values["base"], 4) == 0.6471
    assert round(rows[-1].values["gated"], 4) == 0.6464
    assert rows[2].differences["gated"] == pytest.approx(0.7004 - 0.4172)
    assert rows[-1].differences["gated"] == pytest.approx(rows[-1].values["gated"] - rows[-1].values["base"])


def test_the_studys_numbers_show_no_difference(tmp_path):
    results = collect(study_run(tmp_path / "run"))
    dice = compare_all(results)[0]
    base, gated = (np.array(values) for values in zip(*STUDY.values(), strict=True))
    assert (dice.higher, dice.lower, dice.equal) == (4, 6, 0)
    assert dice.mean == pytest.approx((gated - base).mean())
    assert dice.test.p == pytest.approx(stats.wilcoxon(gated, base).pvalue)
    assert dice.over_cases.low < 0 < dice.over_cases.high
    sentence = conclude(results, [dice]).findings[0]
    assert "includes 0" in sentence and "do not show" in sentence


def test_wilcoxon_is_exact_counted_by_hand():
    differences = [0.3, 0.1, 0.5, -0.2, 0.7, 0.11, 0.9]
    ranks = stats.rankdata(np.abs(differences))
    observed = min(ranks[np.array(differences) > 0].sum(), ranks[np.array(differences) < 0].sum())
    signs = np.array(list(itertools.product([0, 1], repeat=len(ranks))))
    sums = signs @ ranks
    expected = (np.minimum(sums, ranks.sum() - sums) <= observed).mean()
    found = signed_rank(differences)
    assert found.p == pytest.approx(expected)
    assert (found.statistic, found.method) == (observed, "exact distribution")


def test_ties_take_the_permutation_of_the_signs():
    found = signed_rank([0.1, 0.1, 0.1, 0.2, -0.1, 0.3, 0.1 + 1e-13])
    assert "tied" in found.method and 0 < found.p < 1
    assert found == signed_rank([0.1, 0.1, 0.1, 0.2, -0.1, 0.3, 0.1]), "the last bits make no rank"


@pytest.mark.parametrize(
    ("differences", "told"),
    [([], "no pairs yet"), ([0.0] * 9, "no patient has a difference"), ([0.1, 0.2, 0.3, 0.4, 0.5], "below 0.062")],
)
def test_no_test_where_there_can_be_none(differences, told):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = signed_rank(differences)
    assert found.p is None and told in found.method


def test_bootstrap_covers_the_mean_it_should_and_repeats():
    values = np.random.default_rng(1).normal(0.05, 0.1, 25)
    found = bootstrap_mean([[value] for value in values], "patients", "BCa")
    half = stats.t.ppf(0.975, 24) * values.std(ddof=1) / 5
    assert found.low == pytest.approx(values.mean() - half, abs=0.01)
    assert found.high == pytest.approx(values.mean() + half, abs=0.01)
    assert found == bootstrap_mean([[value] for value in values], "patients", "BCa")


def test_scans_of_one_patient_are_drawn_together():
    """Ten copies of each value add no knowledge, so the interval must not shrink."""
    values = np.random.default_rng(2).normal(0, 1, 12)
    alone = bootstrap_mean([[value] for value in values], "patients", "percentile")
    copied = bootstrap_mean([[value] * 10 for value in values], "patients", "percentile")
    assert (copied.low, copied.high) == pytest.approx((alone.low, alone.high))


def test_no_interval_from_two_or_from_equal_values():
    assert "fewer than 3 patients" in bootstrap_mean([[0.1], [0.2]], "patients", "BCa").method
    assert "the same in all" in bootstrap_mean([[0.1]] * 9, "patients", "BCa").method


def test_seeds_are_averaged_before_patients_are_counted(tmp_path):
    results = collect(made_run(tmp_path / "run", seeds=[0, 1, 2]))
    dice = compare_all(results)[0]
    assert (dice.cases, dice.patients, dice.test.patients, len(dice.trainings)) == (6, 6, 6, 3)
    pairs = pairs_of(results, "gated", DICE)
    assert len(pairs) == 18
    assert dice.mean == pytest.approx(np.mean([pair.difference for pair in pairs]))
    assert dice.over_trainings.drawn == 3 and "seeds" in dice.over_trainings.method


def test_folds_are_drawn_with_their_seeds(tmp_path):
    split = {"folds": 4, "validation": 1}
    dice = compare_all(collect(made_run(tmp_path / "run", split=split, seeds=[0, 1])))[0]
    assert dice.cases == 12 and len(dice.trainings) == 8
    assert dice.over_trainings.drawn == 4 and "folds" in dice.over_trainings.method


def test_half_a_run_subtracts_only_what_belongs_together(tmp_path):
    """Seed 1 of the gated stage is not there yet, and its base is far off: the difference must not notice."""

    def dice(case: str, job: Job) -> float:
        return 0.1 if job.seed else 0.75 if job.stage.name == "gated" else 0.7

    run = made_run(tmp_path / "run", dice=dice, seeds=[0, 1], epochs_done=lambda job: 6 if job.number < 4 else 3)
    rows = case_rows(collect(run))
    assert rows[0].uneven and rows[0].values["base"] == pytest.approx(0.4)
    assert all(row.differences["gated"] == pytest.approx(0.05) for row in rows)
    assert "not complete" in " ".join(conclude(collect(run), compare_all(collect(run))).limits)


def test_an_undefined_distance_is_counted_and_never_0(tmp_path):
    run = made_run(tmp_path / "run", seeds=[0, 1])
    case = collect(run).jobs[0].tested[0]
    change_score(run, "base-seed0", case, dice=0.0, hausdorff95_mm=None, volume_ml=0.0)
    results = collect(run)
    assert stage_values(results, "base", HAUSDORFF95)[case] is None, "one seed without a mask leaves no mean"
    found = {(one.stage, one.measure): one for one in summaries(results)}["base", HAUSDORFF95]
    assert (found.cases, found.undefined) == (5, 1) and found.least > 0
    assert next(row for row in case_rows(results, HAUSDORFF95) if row.case == case).values["base"] is None
    assert HAUSDORFF95.text(None) == "undefined"
    assert any("undefined where a mask is empty" in limit for limit in conclude(results, compare_all(results)).limits)


def test_summary_is_mean_deviation_and_median(tmp_path):
    results = collect(study_run(tmp_path / "run"))
    found = {(one.stage, one.measure): one for one in summaries(results)}
    base = np.array([base for base, _ in STUDY.values()])
    one = found["base", DICE]
    assert (one.mean, one.deviation, one.median) == pytest.approx((base.mean(), base.std(ddof=1), np.median(base)))
    assert found["base", VOLUME_ERROR].mean < 0, "the sign of the volume error is kept"


def test_several_stages_share_their_chances(tmp_path):
    stages = [{"name": name, "variant": "agunetr-v2"} for name in ("a", "b", "c")]
    comparisons = compare_all(collect(made_run(tmp_path / "run", stages=stages, split={"folds": 3})))
    dice = [one for one in comparisons if one.measure is DICE]
    assert len(dice) == 2
    expected = stats.false_discovery_control([one.test.p for one in dice])
    assert [one.adjusted_p for one in dice] == pytest.approx(list(expected))
    assert all(one.adjusted_p is None for one in comparisons if one.measure is not DICE)


@pytest.mark.parametrize(
    ("changes", "found", "limit"),
    [
        pytest.param({"dice": lambda case, job: 0.8}, "the same scores", "few", id="identical scores"),
        pytest.param({"split": {"test": 1}}, "too little", "One case is few", id="one case"),
        pytest.param({"split": {"validation": 4}}, "mean Dice differs", "validation cases", id="no test cases"),
        pytest.param({"split": {}}, "no case is scored", "neither test nor", id="no validation, no test"),
        pytest.param({"epochs_done": lambda job: 0}, "no case is scored", "not complete", id="nothing begun"),
        pytest.param({"validated": False}, "mean Dice differs", "last weights", id="never validated"),
        pytest.param({"facts": {"origin": "phantom"}}, "mean Dice differs", "Cases are phantoms", id="phantoms"),
        pytest.param({"patients": ["p1", "p2"] * 6, "split": {"test": 2}}, "too little", "of 1 patient", id="scans"),
        pytest.param({}, "mean Dice differs", "not accuracy", id="masks by no expert"),
        pytest.param({}, "mean Dice differs", "trained once", id="one seed"),
        pytest.param({"seeds": [0, 1, 2]}, "mean Dice differs", "3 seeds are few", id="three seeds"),
        pytest.param({"stages": [{"name": "base", "variant": "unetr"}]}, "only stage", "blinded", id="one stage"),
    ],
)
def test_the_conclusion_says_what_limits_it(tmp_path, changes, found, limit):
    results = collect(made_run(tmp_path / "run", **changes))
    conclusion = conclude(results, compare_all(results))
    assert found in " ".join(conclusion.findings)
    assert limit in " ".join(conclusion.limits)


def test_masks_by_an_expert_are_not_called_doubtful(tmp_path):
    results = collect(made_run(tmp_path / "run", facts={"label_origin": "drawn by an expert radiologist"}))
    assert "accuracy" not in " ".join(conclude(results, []).limits)


def test_a_clear_effect_is_called_one_only_over_patients_and_trainings(tmp_path):

    def better(case: str, job: Job) -> float:
        help_of_gates = 0.1 + 0.001 * job.number + 0.0001 * int(case[5:])
        return 0.6 + 0.01 * int(case[5:]) + (help_of_gates if job.stage.name == "gated" else 0)

    for folds, expected in ((6, "higher, over patients and over trainings"), (4, "so few of them agree by chance")):
        split = {"folds": folds, "validation": 1}
        results = collect(made_run(tmp_path / f"{folds} folds", dice=better, split=split))
        comparisons = compare_all(results)
        assert comparisons[0].test.p < 0.05 and comparisons[0].over_trainings.low > 0
        assert expected in conclude(results, comparisons).findings[0]


def test_five_patients_prove_nothing_however_alike_they_are(tmp_path):
    def better(case: str, job: Job) -> float:
        return 0.6 + 0.01 * int(case[5:]) * (2 if job.stage.name == "gated" else 1)

    results = collect(made_run(tmp_path / "run", dice=better, split={"test": 5}))
    comparisons = compare_all(results)
    assert comparisons[0].over_cases.excludes_zero and comparisons[0].test.p is None
    assert "nothing follows from it" in conclude(results, comparisons).findings[0]


def test_scores_of_earlier_weights_are_left_out(tmp_path):
    run = made_run(tmp_path / "run")
    case = collect(run).jobs[0].tested[0]
    change_score(run, "base", case, weights="older")
    results = collect(run)
    assert case not in results.jobs[0].scores and "earlier weights" in results.notes[0]
    assert case in results.jobs[0].unscored


def test_damaged_records_are_left_out_and_named(tmp_path):
    run = made_run(tmp_path / "run")
    metrics = run.metrics("base")
    lines = metrics.read_text(encoding="utf-8").splitlines()
    metrics.write_text("\n".join([lines[0], "{broken", *lines[2:], '{"epoch": 7, "lo']), encoding="utf-8")
    (run.job("gated") / "job.json").write_text("{", encoding="utf-8")
    results = collect(run)
    assert results.notes == (
        "Line 2 of metrics.jsonl in base is damaged and was left out.",
        "job.json in gated is damaged and was left out.",
    ), "the last line may be just being written"


def test_no_two_stages_look_alike_and_neighbours_differ_in_dashes():
    styles = list(stage_styles([f"stage {number}" for number in range(13)]).values())
    assert len({(style.colour, style.dashes) for style in styles}) == 13
    assert all(one.dashes != other.dashes for one, other in itertools.pairwise(styles))


def test_names_are_sorted_as_people_count():
    assert sorted(["spleen_10", "spleen_2", "b", "spleen_2b"], key=natural_order) == [
        "b", "spleen_2", "spleen_2b", "spleen_10",
    ]  # fmt: skip

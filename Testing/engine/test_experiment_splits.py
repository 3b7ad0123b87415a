"""Which cases train, validate and test: by name, by number, by share, in folds, and never a patient in two parts."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agunetr.errors import InputError
from agunetr_train.experiments.definition import SplitPlan
from agunetr_train.experiments.splits import Split, check_split, make_splits

TEN = {f"case-{number}": f"case-{number}" for number in range(10)}
PAIRS = {f"case-{number}": f"patient-{number // 2}" for number in range(12)}
"""Twelve cases of six patients."""


def parts(split: Split) -> tuple[int, ...]:
    return len(split.training), len(split.validation), len(split.test)


def test_named_cases_stay_where_they_are_named_and_others_are_left_out():
    plan = SplitPlan(training=("case-1", "case-2"), validation=("case-3",), test=("case-0",))
    (split,) = make_splits(plan, TEN)
    assert split == Split(("case-1", "case-2"), ("case-3",), ("case-0",))


@pytest.mark.parametrize(
    ("plan", "numbers"),
    [
        (SplitPlan(), (10, 0, 0)),
        (SplitPlan(validation=2, test=3), (5, 2, 3)),
        (SplitPlan(validation=0.2, test=0.2), (6, 2, 2)),
        (SplitPlan(training=3, validation=1, test=("case-4", "case-5")), (3, 1, 2)),
        (SplitPlan(test=("case-4",)), (9, 0, 1)),
    ],
)
def test_what_is_not_named_is_drawn(plan, numbers):
    (split,) = make_splits(plan, TEN)
    assert parts(split) == numbers
    cases = [*split.training, *split.validation, *split.test]
    assert len(set(cases)) == len(cases)


def test_the_draw_follows_from_the_seed_and_not_from_the_order_of_the_cases():
    plan = SplitPlan(validation=2, test=3, seed=4)
    backwards = dict(reversed(TEN.items()))
    assert make_splits(plan, TEN) == make_splits(plan, backwards)
    others = {tuple(make_splits(SplitPlan(validation=2, test=3, seed=seed), TEN)) for seed in range(5)}
    assert len(others) == 5


@settings(max_examples=40, deadline=None)
@given(folds=st.integers(2, 6), validation=st.integers(0, 2), seed=st.integers(0, 50))
def test_every_case_is_tested_in_exactly_one_fold_and_patients_stay_together(folds, validation, seed):
    plan = SplitPlan(folds=folds, validation=validation or None, seed=seed)
    splits = make_splits(plan, PAIRS)
    assert len(splits) == folds
    assert sorted(case for split in splits for case in split.test) == sorted(PAIRS)
    for split in splits:
        patients = [{PAIRS[case] for case in part} for part in (split.training, split.validation, split.test)]
        assert sum(map(len, patients)) == len(set.union(*patients)) == 6
        assert len(split.validation) >= validation
        assert sum(parts(split)) == len(PAIRS)


def test_folds_leave_out_cases_that_are_kept_for_good():
    splits = make_splits(SplitPlan(folds=3, test=("case-0",)), TEN)
    assert all("case-0" not in (*split.training, *split.test) for split in splits)


def test_each_fold_chooses_its_checkpoint_by_other_cases():
    splits = make_splits(SplitPlan(folds=5, validation=1), TEN)
    assert len({split.validation for split in splits}) > 1
    fixed = make_splits(SplitPlan(folds=3, validation=("case-7",)), TEN)
    assert all(split.validation == ("case-7",) for split in fixed)


@pytest.mark.parametrize(
    ("plan", "patients", "words"),
    [
        (SplitPlan(folds=7), PAIRS, "6 patients are too few for 7 folds"),
        (SplitPlan(folds=2, validation=6), PAIRS, "No case is left for training"),
        (SplitPlan(test=6, validation=6), TEN, "too few cases: validation needs 6, and 4 are left"),
        (SplitPlan(validation=5, test=5), TEN, "No case is left for training"),
        (SplitPlan(training=9, test=2), TEN, "training needs 9"),
        (SplitPlan(test=("case-1", "case-99")), TEN, "lacks the case 'case-99' .missing are 1 of 2"),
        (SplitPlan(training=("case-0",), test=("case-1",)), PAIRS, "patient 'patient-0' is in training and, with the"),
        (SplitPlan(), {}, "No case is left for training"),
    ],
)
def test_a_split_that_cannot_be_is_refused(plan, patients, words):
    with pytest.raises(InputError, match=words):
        make_splits(plan, patients)


def test_a_patient_in_two_parts_is_refused_whoever_made_the_split():
    with pytest.raises(InputError, match="'p' is in training and, with the case 'b', in validation"):
        check_split(Split(("a",), ("b",), ()), {"a": "p", "b": "p"})


def test_a_split_survives_its_file():
    split = Split(("a", "b"), (), ("c",))
    assert Split.from_dict(split.to_dict()) == split

"""Do two stages differ? A paired test and two intervals, all scipy's, with what they cannot say.

* **Wilcoxon signed-rank test** (Wilcoxon 1945), two-sided, on one difference a patient: scores are averaged over seeds
  first, since several trainings do not make several patients. Cases without a difference are left out, as Wilcoxon
  did. The distribution is exact for up to 50 patients without ties, a complete permutation for up to 13 with ties,
  and a normal approximation beyond.
* **Over cases**: the mean difference with its 95 % bootstrap interval (Efron 1987, bias-corrected and accelerated).
  Patients are drawn, each with all its cases: it answers what other patients would have given these same trainings.
* **Over trainings**: each fold and seed gives one mean difference. With several folds the folds are drawn, each with
  all its seeds (trainings of one fold share their test cases); with one split the seeds are. Percentile interval: with
  so few values there is nothing to correct a bias from. It answers what other trainings would have given.

Several stages are compared with one: the p-values of their Dice are also adjusted (Benjamini and Hochberg 1995).
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from agunetr_train.report.collect import RunResults
from agunetr_train.report.pairs import Pair, mean_by_case, mean_by_training, pairs_of
from agunetr_train.report.score_measures import COMPARED_MEASURES, Measure

CONFIDENCE = 0.95
RESAMPLES = 9999
BOOTSTRAP_SEED = 20240607
FEWEST_FOR_TEST = 6
"""With five differences the smallest two-sided p is 0.0625: the test could not find anything at 5 %."""
FEWEST_FOR_INTERVAL = 3
MOST_FOR_EXACT = 50
MOST_FOR_PERMUTATION = 13
TIE = 1e-9
"""Differences that agree so closely are equal: what lies below is rounding, not segmentation."""


@dataclass(frozen=True)
class SignedRank:
    """Wilcoxon's test.

    Attributes:
        patients: with a difference other than 0.
        statistic: the smaller sum of ranks, or None where the test was not made.
        p: two-sided, or None.
        method: how p was found, or why there is none.
    """

    patients: int
    statistic: float | None
    p: float | None
    method: str


@dataclass(frozen=True)
class Interval:
    """A bootstrap interval of a mean.

    Attributes:
        drawn: how many independent things were drawn from.
        low, high: its ends, or None where there is none.
        method: how it was found, or why there is none.
    """

    drawn: int
    low: float | None
    high: float | None
    method: str

    @property
    def excludes_zero(self) -> bool:
        """Whether there is an interval and 0 lies outside."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


@dataclass(frozen=True)
class Comparison:
    """One stage against the reference, in one measure; differences are stage minus reference.

    Attributes:
        stage, reference, measure: what is compared.
        cases: number of cases with at least one pair. ``patients``: theirs.
        mean, median: of the cases' differences; None without any.
        higher, lower, equal: cases in which the stage's value is so.
        test: over patients.
        over_cases, over_trainings: intervals of the mean difference.
        trainings: (fold, seed) to the mean difference of that training.
        adjusted_p: of Dice, over all stages that are compared; None elsewhere, and where only one is.
    """

    stage: str
    reference: str
    measure: Measure
    cases: int
    patients: int
    mean: float | None
    median: float | None
    higher: int
    lower: int
    equal: int
    test: SignedRank
    over_cases: Interval
    over_trainings: Interval
    trainings: dict[tuple[int, int], float]
    adjusted_p: float | None = None


def compare_all(results: RunResults) -> list[Comparison]:
    """Every compared stage but the first against the first, in every measure that has a better and a worse."""
    comparisons = [
        compare(pairs_of(results, stage, measure), stage, results.compared[0], measure)
        for measure in COMPARED_MEASURES
        for stage in results.compared[1:]
    ]
    return _adjusted(comparisons)


def compare(pairs: Sequence[Pair], stage: str, reference: str, measure: Measure) -> Comparison:
    """One comparison from its pairs; without any pair all numbers are None."""
    by_case = mean_by_case(pairs)
    patient_of = {pair.case: pair.patient for pair in pairs}
    by_patient = _grouped((patient_of[case], difference) for case, difference in by_case.items())
    by_training = mean_by_training(pairs)
    folds = {fold for fold, _ in by_training}
    by_draw = _grouped((fold if len(folds) > 1 else seed, mean) for (fold, seed), mean in by_training.items())
    differences = np.array(list(by_case.values()))
    return Comparison(
        stage=stage,
        reference=reference,
        measure=measure,
        cases=len(differences),
        patients=len(by_patient),
        mean=float(differences.mean()) if len(differences) else None,
        median=float(np.median(differences)) if len(differences) else None,
        higher=int((differences > TIE).sum()),
        lower=int((differences < -TIE).sum()),
        equal=int((np.abs(differences) <= TIE).sum()),
        test=signed_rank([float(np.mean(values)) for values in by_patient]),
        over_cases=bootstrap_mean(by_patient, "patients", "BCa"),
        over_trainings=bootstrap_mean(by_draw, "folds" if len(folds) > 1 else "seeds", "percentile"),
        trainings=by_training,
    )


def signed_rank(differences: Sequence[float]) -> SignedRank:
    """Wilcoxon's signed-rank test of independent paired differences; see the head of this file."""
    # Rounding makes ties of what differs in the last bits only; ranks would make much of it.
    values = np.round(np.asarray(differences, np.float64) / TIE) * TIE
    values = values[values != 0]
    if len(values) == 0:
        return SignedRank(0, None, None, "no test: no patient has a difference" if len(differences) else "no pairs yet")
    if len(values) < FEWEST_FOR_TEST:
        return SignedRank(
            len(values),
            None,
            None,
            f"no test: with {len(values)} differences p could not fall below {2 * 0.5 ** len(values):.2g}",
        )
    ties = len(np.unique(np.abs(values))) < len(values)
    if not ties and len(values) <= MOST_FOR_EXACT:
        method, name = "exact", "exact distribution"
    elif len(values) <= MOST_FOR_PERMUTATION:
        method, name = stats.PermutationMethod(), "all permutations of the signs, since differences are tied"
    else:
        method, name = "auto", "normal approximation"
    found = stats.wilcoxon(values, method=method)
    return SignedRank(len(values), float(found.statistic), float(found.pvalue), name)


def bootstrap_mean(groups: Sequence[Sequence[float]], drawn: str, method: str) -> Interval:
    """The 95 % bootstrap interval of the mean of all values when whole groups are drawn with replacement.

    Args:
        groups: values that belong together, for example the cases of a patient.
        drawn: what a group is, plural, for the text.
        method: of :func:`scipy.stats.bootstrap`.
    """
    if len(groups) < FEWEST_FOR_INTERVAL:
        return Interval(len(groups), None, None, f"no interval from fewer than {FEWEST_FOR_INTERVAL} {drawn}")
    sums = np.array([np.sum(group) for group in groups], np.float64)
    counts = np.array([len(group) for group in groups], np.float64)
    means = sums / counts
    if np.ptp(means) <= TIE:
        return Interval(len(groups), None, None, f"no interval: the difference is the same in all {drawn}")
    with warnings.catch_warnings():
        # A degenerate distribution is told by the NaN that comes with the warning.
        warnings.simplefilter("ignore")
        found = stats.bootstrap(
            (sums, counts),
            lambda total, number, axis: total.sum(axis=axis) / number.sum(axis=axis),
            paired=True,
            vectorized=True,
            n_resamples=RESAMPLES,
            confidence_level=CONFIDENCE,
            method=method,
            random_state=np.random.default_rng(BOOTSTRAP_SEED),
        )
    low, high = (float(end) for end in found.confidence_interval)
    if not (np.isfinite(low) and np.isfinite(high)):
        return Interval(len(groups), None, None, f"no interval: the bootstrap over {len(groups)} {drawn} is degenerate")
    return Interval(len(groups), low, high, f"{method} bootstrap over {len(groups)} {drawn}, {RESAMPLES} resamples")


def _grouped(items: Iterable[tuple[Hashable, float]]) -> list[list[float]]:
    groups: dict[Hashable, list[float]] = defaultdict(list)
    for name, value in items:
        groups[name].append(value)
    return list(groups.values())


def _adjusted(comparisons: list[Comparison]) -> list[Comparison]:
    """Benjamini and Hochberg over the stages, in the one measure that the conclusion rests on: the first, Dice."""
    family = [one for one in comparisons if one.measure is COMPARED_MEASURES[0] and one.test.p is not None]
    if len(family) < 2:
        return comparisons
    adjusted = stats.false_discovery_control([one.test.p for one in family], method="bh")
    by_stage = {one.stage: float(p) for one, p in zip(family, adjusted, strict=True)}
    return [
        replace(one, adjusted_p=by_stage.get(one.stage)) if one.measure is COMPARED_MEASURES[0] else one
        for one in comparisons
    ]

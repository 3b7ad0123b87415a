"""What the numbers allow to conclude, and what not, in sentences that follow from them alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from agunetr_train.report.collect import RunResults
from agunetr_train.report.score_measures import DICE, HAUSDORFF95
from agunetr_train.report.statistics import FEWEST_FOR_INTERVAL, FEWEST_FOR_TEST, Comparison, Interval
from agunetr_train.report.tables import summaries

LEVEL = 0.05
FEW_CASES = 20
"""Below this the page warns that single cases carry the mean; the study itself had ten."""
FEW_DRAWN = 10
"""Below this the page warns of the interval over trainings."""
DRAWN_BY_HAND = ("expert", "radiologist", "manual", "physician")
"""Words in a mask's stated origin that mean a person of the trade drew it."""


@dataclass(frozen=True)
class Conclusion:
    """The page's answer.

    Attributes:
        findings: what the numbers say, one sentence or two for each compared stage.
        limits: what they do not say.
    """

    findings: tuple[str, ...]
    limits: tuple[str, ...]


def conclude(results: RunResults, comparisons: Sequence[Comparison]) -> Conclusion:
    """Sentences on the Dice of each compared stage against the first, and on everything that limits them."""
    dice = [one for one in comparisons if one.measure is DICE]
    findings = [sentence for one in dice for sentence in _finding(one)]
    if not dice:
        findings = _alone(results)
    limits = [
        *_unfinished(results), *_scored_on(results), *_numbers(results, dice), *_trainings(results, dice),
        *_undefined(results), *_labels(results), *_conduct(dice),
    ]  # fmt: skip
    return Conclusion(tuple(findings), tuple(limits))


def _finding(one: Comparison) -> list[str]:
    name = f"{one.stage} against {one.reference}"
    if one.mean is None:
        return [f"{name}: no case is scored for both yet, so nothing can be said."]
    numbers = f"the mean Dice differs by {_signed(one.mean)} over {_count(one.cases, 'case')}"
    numbers += f" ({_interval(one.over_cases)}; {_test(one)}); it is higher in {one.higher}, lower in {one.lower}"
    numbers += f" and equal in {one.equal}." if one.equal else "."
    return [f"{name}: {numbers} {_verdict(one)}"]


def _verdict(one: Comparison) -> str:
    p = one.test.p if one.adjusted_p is None else one.adjusted_p
    low, high = one.over_cases.low, one.over_cases.high
    if not one.higher and not one.lower:
        return "The two give the same scores, so nothing distinguishes them here."
    if low is None or high is None:
        return "That is too little to tell a difference from chance."
    if not one.over_cases.excludes_zero:
        return (
            "The interval includes 0: these numbers do not show that the stage is better, nor that it is worse; "
            f"anything from {_signed(low)} to {_signed(high)} is compatible with them."
        )
    way = "higher" if one.mean > 0 else "lower"
    if p is None:
        return (
            f"The Dice is {way} and the interval excludes 0, but so few patients agree by chance alone too often: "
            "nothing follows from it."
        )
    if p >= LEVEL:
        return f"The interval excludes 0 (the Dice is {way}) and the test does not agree: weak evidence."
    trainings = one.over_trainings
    if trainings.low is None:
        return (
            f"At the 5 % level the Dice of these very trainings is {way} over patients; "
            "whether other trainings would agree, the run cannot say."
        )
    if not trainings.excludes_zero:
        return (
            f"At the 5 % level the Dice is {way} over patients, but over trainings the interval "
            f"({_signed(trainings.low)} to {_signed(trainings.high)}) includes 0: it may be luck of the training."
        )
    if trainings.drawn < FEWEST_FOR_TEST:
        return (
            f"At the 5 % level the Dice is {way} over patients. The trainings point the same way, but so few of them "
            "agree by chance alone too often to prove that others would."
        )
    return f"At the 5 % level the Dice is {way}, over patients and over trainings, on data like these."


def _alone(results: RunResults) -> list[str]:
    stage = results.compared[0]
    found = next(one for one in summaries(results) if one.stage == stage and one.measure is DICE)
    if found.mean is None:
        return [f"{stage} is the only stage, and no case is scored yet."]
    return [
        f"{stage} is the only stage, so nothing is compared; "
        f"its mean Dice is {DICE.text(found.mean)} over {_count(found.cases, 'case')}."
    ]


def _unfinished(results: RunResults) -> list[str]:
    open_jobs = [job for job in results.jobs if job.state != "finished" or job.unscored]
    if not open_jobs:
        return []
    total = len(results.jobs)
    return [
        f"The run is not complete: {len(open_jobs)} of {_count(total, 'job')} are not trained or not scored to the "
        "end. Everything here is provisional; only trainings that both stages have are subtracted."
    ]


def _scored_on(results: RunResults) -> list[str]:
    if results.splits and not any(job.tested for job in results.jobs):
        return ["The split has neither test nor validation cases: nothing can be scored."]
    if any(job.part == "validation" and job.tested for job in results.jobs):
        return [
            "There are no test cases: the scores are of the validation cases, which training looked at to choose its "
            "checkpoint. They are too good, and no result on unseen patients."
        ]
    return []


def _numbers(results: RunResults, dice: Sequence[Comparison]) -> list[str]:
    cases = max((one.cases for one in dice), default=0)
    sentences = []
    if 0 < cases < FEW_CASES:
        number = "One case is" if cases == 1 else f"{cases} cases are"
        sentences.append(f"{number} few: single cases carry the mean, and small effects cannot be seen.")
    patients = max((one.patients for one in dice), default=0)
    if patients < cases:
        sentences.append(f"The {cases} cases are of {_count(patients, 'patient')}; the statistics count patients.")
    return sentences


def _trainings(results: RunResults, dice: Sequence[Comparison]) -> list[str]:
    compared = [one for one in dice if one.trainings]
    drawn = min((one.over_trainings.drawn for one in compared), default=0)
    sentences = []
    if any(len(one.trainings) == 1 for one in compared):
        sentences.append(
            "Each stage was trained once: another seed gives other weights, and the difference may change its sign."
        )
    elif 0 < drawn < FEW_DRAWN:
        what = "folds" if len({fold for one in compared for fold, _ in one.trainings}) > 1 else "seeds"
        narrow = "the interval over trainings is narrower than the truth" if drawn >= FEWEST_FOR_INTERVAL else (
            "there is no interval over trainings, and whether others would agree stays open"
        )
        sentences.append(f"{drawn} {what} are few: {narrow}.")
    if len(results.splits) > 1 and dice:
        sentences.append("Folds share most of their training cases, so their differences are not fully independent.")
    if results.jobs and not any(job.validations for job in results.jobs) and any(job.epochs for job in results.jobs):
        sentences.append("Nothing was validated during training: the last weights are scored, not the best.")
    return sentences


def _undefined(results: RunResults) -> list[str]:
    found = [one for one in summaries(results) if one.measure is HAUSDORFF95 and one.undefined]
    if not found:
        return []
    told = ", ".join(f"{one.stage} {one.undefined}" for one in found)
    return [
        f"The Hausdorff distance is undefined where a mask is empty ({told}); means leave these cases out, "
        "which flatters a model that finds nothing there."
    ]


def _labels(results: RunResults) -> list[str]:
    scored = sorted({case for job in results.jobs for case in job.tested})
    if not scored:
        return []
    if any("phantom" in str(results.data.get(case, {}).get("origin", "")).lower() for case in scored):
        return ["Cases are phantoms, drawn by a program: no result on them holds for patients."]
    origins = Counter(str(results.data.get(case, {}).get("label_origin") or "not stated") for case in scored)
    unproven = sum(n for origin, n in origins.items() if not any(word in origin.lower() for word in DRAWN_BY_HAND))
    if not unproven:
        return []
    told = ", ".join(f"{origin} ({number})" for origin, number in origins.most_common())
    return [
        f"For {unproven} of {len(scored)} reference masks the data does not say that an expert drew them ({told}). "
        "The scores are agreement with these masks, not accuracy."
    ]


def _conduct(dice: Sequence[Comparison]) -> list[str]:
    sentences = [
        "Nothing here was blinded or registered beforehand, and nothing says that the scans are like those of another "
        "hospital."
    ]
    if any(one.adjusted_p is not None for one in dice):
        sentences.append(
            f"{len(dice)} stages are held against one: the p-values of Dice are adjusted for it (Benjamini and "
            "Hochberg), the intervals are not."
        )
    if any(one.test.p is not None for one in dice):
        sentences.append(
            "Dice was the measure to compare; the other measures describe, and their p-values are not adjusted."
        )
    return sentences


def _interval(interval: Interval) -> str:
    if interval.low is None:
        return interval.method
    return f"95 % interval {_signed(interval.low)} to {_signed(interval.high)}"


def _test(one: Comparison) -> str:
    if one.test.p is None:
        return one.test.method
    adjusted = "" if one.adjusted_p is None else f", adjusted p {p_text(one.adjusted_p)}"
    return f"Wilcoxon p {p_text(one.test.p)}{adjusted}"


def p_text(p: float) -> str:
    """``= 0.031`` or ``< 0.001``."""
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"


def _signed(value: float) -> str:
    return DICE.text(value, signed=True)


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" + ("" if number == 1 else "s")

"""Which cases train, validate and test: named, drawn by a seed, or k-fold; whole patients at a time."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from agunetr.errors import InputError
from agunetr_train.experiments.definition import Part, SplitPlan

PARTS = ("training", "validation", "test")


@dataclass(frozen=True)
class Split:
    """Names of the cases of each part; a patient's cases are all in one of them."""

    training: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]

    def to_dict(self) -> dict[str, list[str]]:
        """A JSON-ready dictionary."""
        return {part: list(names) for part, names in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Split:
        """From :meth:`to_dict`'s form."""
        return cls(*(tuple(values[part]) for part in PARTS))


def make_splits(plan: SplitPlan, patients: Mapping[str, str]) -> list[Split]:
    """One split, or one for each fold.

    Args:
        plan: of the experiment.
        patients: name of each case to its patient; often the same text.

    Raises:
        InputError: a named case is missing, there are too few cases or patients, or a patient would be in two parts.
    """
    named = {part: value for part in PARTS if isinstance(value := getattr(plan, part), tuple)}
    missing = [name for names in named.values() for name in names if name not in patients]
    if missing:
        raise InputError(
            f"The data lacks the case {missing[0]!r} (missing are {len(missing)} of "
            f"{sum(map(len, named.values()))} that the experiment names).",
            "Point --data at the folder that holds the cases of this experiment.",
        )
    groups = _shuffled_patients(plan, patients, named)
    splits = _folds(plan, groups, named) if plan.folds else [_one(plan, groups, named, len(patients))]
    for split in splits:
        check_split(split, patients)
    return splits


def check_split(split: Split, patients: Mapping[str, str]) -> None:
    """Refuse a split without training cases or with a patient in two parts.

    Raises:
        InputError: see above; the message names the patient.
    """
    if not split.training:
        raise InputError("No case is left for training.", "Give more cases, or smaller parts for validation and test.")
    seen: dict[str, str] = {}
    for part in PARTS:
        for name in getattr(split, part):
            patient = patients.get(name, name)
            if seen.setdefault(patient, part) != part:
                raise InputError(
                    f"The patient {patient!r} is in {seen[patient]} and, with the case {name!r}, in {part}.",
                    "Put all cases of a patient into one part.",
                )


def _shuffled_patients(
    plan: SplitPlan, patients: Mapping[str, str], named: Mapping[str, Sequence[str]]
) -> list[tuple[str, ...]]:
    """The cases that nobody named, a tuple a patient, in the order that the seed gives."""
    taken = {name for names in named.values() for name in names}
    grouped: dict[str, list[str]] = {}
    for name in sorted(patients):
        if name not in taken:
            grouped.setdefault(patients[name], []).append(name)
    order = sorted(grouped)
    random.Random(plan.seed).shuffle(order)
    return [tuple(grouped[patient]) for patient in order]


def _one(
    plan: SplitPlan, groups: list[tuple[str, ...]], named: Mapping[str, Sequence[str]], cases: int
) -> Split:
    parts = dict(named)
    # Named training cases are all that trains: what nobody asked for is left out, never added quietly.
    wanted = {
        part: _number(getattr(plan, part), cases) for part in ("test", "validation", "training") if part not in parts
    }
    rest = list(groups)
    for part, number in wanted.items():
        if number is None:
            parts[part] = _names(rest) if part == "training" and not named.get("training") else ()
            continue
        taken = _take(rest, number, part)
        parts[part] = _names(taken)
    return Split(*(tuple(parts[part]) for part in PARTS))


def _folds(plan: SplitPlan, groups: list[tuple[str, ...]], named: Mapping[str, Sequence[str]]) -> list[Split]:
    if len(groups) < plan.folds:
        raise InputError(
            f"{len(groups)} patients are too few for {plan.folds} folds.", "Give more cases, or fewer folds."
        )
    splits = []
    for fold in range(plan.folds):
        tested = groups[fold :: plan.folds]
        rest = [group for group in groups if group not in tested]
        # Another part of the rest chooses the checkpoint in each fold; a fixed one would be seen by every fold.
        rest = rest[fold % max(len(rest), 1) :] + rest[: fold % max(len(rest), 1)]
        validation = named.get("validation")
        if validation is None:
            number = _number(plan.validation, sum(map(len, rest)))
            validation = _names(_take(rest, number, "validation")) if number else ()
        splits.append(Split(_names(rest), tuple(validation), _names(tested)))
    return splits


def _number(part: Part, cases: int) -> int | None:
    """How many cases a part takes; None for all that are left."""
    if isinstance(part, float):
        return max(1, round(part * cases))
    return part if isinstance(part, int) else None


def _take(groups: list[tuple[str, ...]], number: int, part: str) -> list[tuple[str, ...]]:
    """Move whole patients with at least ``number`` cases from ``groups`` to the answer."""
    taken: list[tuple[str, ...]] = []
    while sum(map(len, taken)) < number:
        if not groups:
            raise InputError(
                f"There are too few cases: {part} needs {number}, and {sum(map(len, taken))} are left for it.",
                "Give more cases, or ask for fewer.",
            )
        taken.append(groups.pop(0))
    return taken


def _names(groups: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(sorted(name for group in groups for name in group))

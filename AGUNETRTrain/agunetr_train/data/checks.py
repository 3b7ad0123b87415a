"""Can these cases be trained on, and does the split keep its parts apart? Looked at before any training.

What would make the numbers of a run meaningless is *fatal*; what a reader of its report should know is a warning.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agunetr.errors import InputError
from agunetr_train.data.cases import Case
from agunetr_train.data.examination import CaseFindings, Finding, examine_case
from agunetr_train.experiments.splits import PARTS, Split


@dataclass(frozen=True)
class DataReport:
    """What was found about the cases of an experiment.

    Attributes:
        cases: by name.
        examined: what was measured of each readable case.
        findings: fatal ones first.
        splits: the parts that the cases belong to, one entry a fold.
    """

    cases: Mapping[str, Case]
    examined: Mapping[str, CaseFindings]
    findings: tuple[Finding, ...]
    splits: tuple[Split, ...]

    def refuse(self) -> None:
        """Raise the first fatal finding, and say how many others there are.

        Raises:
            InputError: there is one.
        """
        fatal = [finding for finding in self.findings if finding.fatal]
        if fatal:
            others = f" {len(fatal) - 1} further faults are in the data report." if len(fatal) > 1 else ""
            raise InputError(fatal[0].message, f"{fatal[0].remedy}{others}")

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: ``cases``, by name, and ``findings``.

        Of each case: its files, patient, origin, licence, use, what is known of its scan and mask, and what
        :class:`~agunetr_train.data.examination.CaseFindings` holds. Paths are absolute. What is not known is an empty
        text, what could not be measured is missing.
        """
        cases = {}
        for name, case in self.cases.items():
            told = {key: str(case.facts.get(key, "")) for key in ("origin", "licence", "use", "label_origin")}
            told |= {key: case.facts[key] for key in ("label_grade", "contrast", "whole_spleen") if key in case.facts}
            files = {"image": str(case.image.absolute()), "label": str(case.label.absolute())}
            measured = self.examined[name].to_dict() if name in self.examined else {}
            cases[name] = {**files, "patient": case.patient, **told, **measured}
        return {"cases": cases, "findings": [finding.to_dict() for finding in self.findings]}

    def text(self) -> str:
        """For people: the findings, then a table of the cases."""
        fatal = sum(finding.fatal for finding in self.findings)
        patients = len({case.patient for case in self.cases.values()})
        verdict = f"faults that forbid training: {fatal}" if fatal else "nothing forbids training"
        lines = [f"Cases: {len(self.cases)}, patients: {patients}; {verdict}; warnings: {len(self.findings) - fatal}."]
        for number, split in enumerate(self.splits):
            parts = ", ".join(f"{part} {len(getattr(split, part))}" for part in PARTS)
            lines.append(f"Fold {number + 1}: {parts}." if len(self.splits) > 1 else f"Split: {parts}.")
        lines += [""] if self.findings else []
        for finding in self.findings:
            lines.append(f"{'FAULT' if finding.fatal else 'warning'}: {finding.message} {finding.remedy}".rstrip())
        return "\n".join([*lines, "", *self._table()]) + "\n"

    def _table(self) -> list[str]:
        titles = ("case", "part", "voxels", "spacing, mm", "mask, ml", "HU in mask", "licence")
        rows = [titles]
        for name, case in self.cases.items():
            found = self.examined.get(name)
            measured = found.cells() if found else ("cannot be used", "", "", "")
            rows.append((name, self._parts_of(name), *measured, str(case.facts.get("licence", ""))))
        if not self.splits:
            rows = [(name, *others) for name, _, *others in rows]
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]

    def _parts_of(self, name: str) -> str:
        found = [part for part in PARTS if any(name in getattr(split, part) for split in self.splits)]
        return found[0] if len(found) == 1 else "every fold" if found else "not used"


def check_cases(
    cases: Mapping[str, Case],
    splits: Sequence[Split],
    intensity_range: tuple[float, float],
    cache: Path | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> DataReport:
    """Read every case that a split uses (all, without splits) and look for what would spoil a run.

    Fatal are: a file that cannot be read or is no CT; image and mask of different geometry; values beyond 0 and 1 in a
    mask; an empty mask in training; an organ that ``intensity_range`` does not show; the same image in two parts of a
    split.

    Args:
        cases: by name.
        splits: one entry a fold.
        intensity_range: HU that become 0 and 1.
        cache: where measurements are kept, by the files' contents, so that the next check is quick.
        progress: called with ("check", done, total).
    """
    used = {name for split in splits for part in PARTS for name in getattr(split, part)} if splits else set(cases)
    chosen = {name: case for name, case in cases.items() if name in used}
    training = {name for split in splits for name in split.training} if splits else set(chosen)
    examined: dict[str, CaseFindings] = {}
    findings: list[Finding] = []
    for done, (name, case) in enumerate(chosen.items()):
        if progress is not None:
            progress("check", done, len(chosen))
        try:
            examined[name] = examine_case(case, cache)
        except InputError as error:
            # Some sentences of the reader name the file alone, some nothing.
            message = error.message if name in error.message else f"{name}: {error.message}"
            findings.append(Finding(name, True, message, error.remedy))
            continue
        findings += examined[name].judge(case, intensity_range, name in training)
    if progress is not None:
        progress("check", len(chosen), len(chosen))
    findings += _duplicates(examined, splits)
    findings += _terms(chosen, training)
    findings.sort(key=lambda finding: not finding.fatal)
    return DataReport(chosen, examined, tuple(findings), tuple(splits))


def _duplicates(examined: Mapping[str, CaseFindings], splits: Sequence[Split]) -> list[Finding]:
    by_voxels: dict[str, list[str]] = {}
    for name, found in examined.items():
        by_voxels.setdefault(found.voxels_sha256, []).append(name)
    findings = []
    for names in by_voxels.values():
        for other in names[1:]:
            apart = _parts_that_share(names[0], other, splits)
            if apart:
                message = f"{names[0]} (in {apart[0]}) and {other} (in {apart[1]}) are the same image."
                findings.append(Finding(other, True, message, "Remove one, or give both the same patient."))
            else:
                message = f"{names[0]} and {other} are the same image."
                findings.append(Finding(other, False, message, "It counts twice."))
    return findings


def _parts_that_share(first: str, second: str, splits: Sequence[Split]) -> tuple[str, str] | None:
    for split in splits:
        part_of = {name: part for part in PARTS for name in getattr(split, part)}
        parts = part_of.get(first), part_of.get(second)
        if None not in parts and parts[0] != parts[1]:
            return parts
    return None


def _terms(cases: Mapping[str, Case], training: set[str]) -> list[Finding]:
    """A warning for training cases whose terms allow evaluation alone."""
    return [
        Finding(name, False, f"The terms of {name} allow evaluation only ({case.facts.get('licence', 'no licence')}).",
                "Networks trained on it must not be passed on.")
        for name, case in cases.items()
        if name in training and str(case.facts.get("use", "")).startswith("evaluate")
    ]  # fmt: skip

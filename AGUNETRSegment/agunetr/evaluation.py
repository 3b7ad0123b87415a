"""Scores of predicted masks against reference masks: per case and model, and their means over cases."""

from __future__ import annotations

import csv
import io
import json
import os
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from agunetr.errors import Cancelled, InputError, Notice, OutputError
from agunetr.inference.volume import Volume
from agunetr.measures import MaskComparison, compare_masks
from agunetr.pairing import Pair, case_name, pair_masks

MEASURES = tuple(MaskComparison.__dataclass_fields__)
"""Names of the measured values, in the order of the table's columns; units are in the names."""


@dataclass(frozen=True)
class CaseScore:
    """One row of the table."""

    pair: Pair
    scores: MaskComparison
    notices: tuple[Notice, ...] = ()

    def to_dict(self) -> dict[str, object]:
        """The JSON form."""
        return {
            "case": self.pair.case,
            "model": self.pair.model,
            **self.scores.to_dict(),
            "prediction": str(self.pair.prediction),
            "reference": str(self.pair.reference),
            "warnings": [notice.to_dict() for notice in self.notices],
        }


@dataclass(frozen=True)
class Summary:
    """A measure over the cases where it is defined; all ``None`` where it is defined nowhere.

    Attributes:
        cases: how many cases it is defined for; a mean over fewer cases than the table has must be read so.
        deviation: sample standard deviation; ``None`` for fewer than two cases.
    """

    cases: int
    mean: float | None
    deviation: float | None
    median: float | None
    lowest: float | None
    highest: float | None

    @classmethod
    def of(cls, values: Sequence[float | None]) -> Summary:
        """Of the defined ones among ``values``."""
        known = [value for value in values if value is not None]
        if not known:
            return cls(0, None, None, None, None, None)
        deviation = statistics.stdev(known) if len(known) > 1 else None
        return cls(len(known), statistics.fmean(known), deviation, statistics.median(known), min(known), max(known))


@dataclass(frozen=True)
class Evaluation:
    """The rows, one a case and model, and what was noticed."""

    rows: tuple[CaseScore, ...]
    notices: tuple[Notice, ...] = field(default=())

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models, in the order of the rows."""
        return tuple(dict.fromkeys(row.pair.model for row in self.rows))

    def summary(self, model: str) -> dict[str, Summary]:
        """Measure to summary over the cases of one model."""
        rows = [row.scores.to_dict() for row in self.rows if row.pair.model == model]
        return {measure: Summary.of([row[measure] for row in rows]) for measure in MEASURES}

    def to_dict(self) -> dict[str, object]:
        """The JSON form; undefined values are ``None`` (null)."""
        return {
            "format": 1,
            "rows": [row.to_dict() for row in self.rows],
            "means": [
                {"model": model, **{measure: vars(value) for measure, value in self.summary(model).items()}}
                for model in self.models
            ],
            "warnings": [notice.to_dict() for notice in self.notices],
        }

    def to_csv(self) -> str:
        """A table with one row a case and model, then one row of means a model; undefined values are empty."""
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(["case", "model", *MEASURES])
        for row in self.rows:
            table.writerow([row.pair.case, row.pair.model, *map(_cell, row.scores.to_dict().values())])
        for model in self.models:
            table.writerow(["mean", model, *(_cell(value.mean) for value in self.summary(model).values())])
        return text.getvalue()

    def write(self, path: str | Path, overwrite: bool = False) -> None:
        """Write the table as .csv or .json; the file appears complete or not at all.

        Raises:
            OutputError: another suffix, an existing file (without ``overwrite``), or a folder that cannot be written.
        """
        path = Path(path)
        suffix = path.suffix.lower()
        if suffix not in (".csv", ".json"):
            raise OutputError(f"A table cannot be written as {path.name}.", "Choose a name that ends in .csv or .json.")
        if path.exists() and not overwrite:
            raise OutputError(f"{path} exists already.", "Choose another name, or ask for it to be overwritten.")
        text = self.to_csv() if suffix == ".csv" else json.dumps(self.to_dict(), indent=2, allow_nan=False) + "\n"
        unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
        try:
            unfinished.write_text(text, encoding="utf-8")
            os.replace(unfinished, path)
        except OSError as error:
            unfinished.unlink(missing_ok=True)
            raise OutputError(
                f"{path} cannot be written ({error.strerror}).", "Choose a folder that exists and can be written."
            ) from error


def evaluate(
    prediction: str | Path,
    reference: str | Path,
    prediction_label: int | None = None,
    reference_label: int | None = None,
    progress: Callable[[str, int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Evaluation:
    """Score predicted masks against references with every measure of :class:`MaskComparison`.

    Args:
        prediction, reference: files or folders, see :mod:`agunetr.pairing`.
        prediction_label, reference_label: the number of the organ in a label map; None takes every voxel above 0 of
            a mask and refuses a label map of several numbers.
        progress: called with ("evaluate", done, total).
        cancelled: asked between cases.

    Raises:
        InputError: a file is missing or no mask, or prediction and reference lie apart.
        Cancelled: ``cancelled`` said so.
    """
    pairs, notices = pair_masks(prediction, reference)
    rows = []
    for done, pair in enumerate(pairs):
        if cancelled is not None and cancelled():
            raise Cancelled()
        if progress is not None:
            progress("evaluate", done, len(pairs))
        rows.append(_score(pair, prediction_label, reference_label))
    if progress is not None:
        progress("evaluate", len(pairs), len(pairs))
    return Evaluation(tuple(rows), tuple(notices))


def compare(first: str | Path, second: str | Path, label: int | None = None) -> CaseScore:
    """Two mask files of one scan; the second counts as the reference.

    Raises:
        InputError: a file is missing or no mask, or the masks lie apart.
    """
    pair = Pair(case_name(Path(second)), case_name(Path(first)), Path(first), Path(second))
    return _score(pair, label, label)


def read_mask(path: str | Path, label: int | None = None) -> Volume:
    """A mask file (NIfTI, NRRD, MHA) as a uint8 volume of 0 and 1.

    Args:
        path: the file.
        label: the number of the organ in a label map; None takes every voxel above 0.

    Raises:
        InputError: the file is missing, not an image, not a mask, or a label map and no label was named.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} does not exist.", "Give a mask file.")
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise InputError(f"{path} cannot be read as an image.", "Give a NIfTI, NRRD or MHA file.") from error
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise InputError(f"{path} is not a three-dimensional mask.", "Give a mask with one number a voxel.")
    volume = Volume.from_sitk(image)
    numbers = _numbers(volume.array, path)
    if label is None and len(numbers) > 1:
        raise InputError(
            f"{path} is a label map of several numbers ({', '.join(map(str, numbers[:8]))}).",
            "Name the label to score.",
        )
    mask = volume.array > 0 if label is None else volume.array == label
    return volume.with_array(mask.astype(np.uint8))


def _numbers(array: np.ndarray, path: Path) -> list[int]:
    """The numbers above 0 in a label map."""
    # Slice by slice: np.unique of a whole scan sorts hundreds of millions of voxels.
    found = {value for part in array for value in np.unique(part).tolist()}
    if len(found) > 256 or any(value != value or value < 0 or value != int(value) for value in found):
        raise InputError(f"{path} holds intensities and is not a mask.", "Give a mask of 0 and 1, or a label map.")
    return sorted(int(value) for value in found if value > 0)


def _score(pair: Pair, prediction_label: int | None, reference_label: int | None) -> CaseScore:
    prediction = read_mask(pair.prediction, prediction_label)
    reference = read_mask(pair.reference, reference_label)
    notices: tuple[Notice, ...] = ()
    array = prediction.array
    if not prediction.same_grid(reference, tolerance_mm=0.05):
        array = _onto(prediction, reference, pair)
        notices = (
            Notice(
                "resampled", f"{pair.case}: the prediction lies on another grid; it was resampled to the reference's."
            ),
        )
    return CaseScore(pair, compare_masks(array, reference.array, reference.spacing_mm), notices)


def _onto(prediction: Volume, reference: Volume, pair: Pair) -> np.ndarray:
    """The prediction on the reference's grid, through the geometry.

    Raises:
        InputError: part of the predicted mask lies outside the reference's field, so it would be lost unseen.
    """
    from agunetr.inference.resampling import resample_mask

    array = resample_mask(prediction, reference)
    ijk = np.argwhere(prediction.array > 0)[:, ::-1]
    if ijk.size:
        inside = (prediction.ras_of(ijk) - reference.ijk_to_ras[:3, 3]) @ np.linalg.inv(reference.ijk_to_ras[:3, :3]).T
        outside = ((inside < -1) | (inside > np.asarray(reference.size))).any(axis=1).mean()
        if outside > 0.01:
            raise InputError(
                f"{100 * outside:.0f} % of the mask {pair.prediction} lies outside the field of {pair.reference}.",
                "Check that both are masks of one scan and keep its geometry.",
            )
    return array


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"

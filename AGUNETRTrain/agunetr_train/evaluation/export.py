"""From a trained stage to a model folder with its card: weights, origin of the data, recipe, scores.

The scores are those of the finished model on the input's own grid, made by the same
:class:`~agunetr.inference.segmenter.Segmenter` that users run, on patients that no weight was trained on.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from agunetr.errors import InputError, OutputError
from agunetr.inference.resampling import crop, nearest_ras_axes
from agunetr.inference.segmenter import Segmenter, SegmentOptions
from agunetr.inference.volume import Volume
from agunetr.measures import compare_masks
from agunetr.models.bundle import ModelBundle, save_bundle, update_bundle
from agunetr.models.metadata import LOCALISER, SEGMENTATION
from agunetr.networks.checkpoints import load_weights
from agunetr.networks.variants import build_network
from agunetr_train.data.cases import Case, find_cases, pick_cases
from agunetr_train.data.preparation import read_case
from agunetr_train.evaluation.localiser_scores import localisation_scores
from agunetr_train.experiments.definition import Experiment, Stage, load_experiment
from agunetr_train.run_folder import RunFolder
from agunetr_train.training.trainer import stage_weights

log = logging.getLogger(__name__)

SPLEEN_FREE_GAP_MM = 30.0
SPLEEN_FREE_LENGTH_MM = 100.0
"""Parts of kept-out scans that start this far from the spleen and are this long show whether a spleen is invented."""

SCORE_NOTE = (
    "A Dice is agreement with the reference masks, which no expert drew, not accuracy. Validation cases were "
    "looked at while training, test cases were not; no weight was trained on either."
)


def export_stage(
    run: RunFolder,
    stage_name: str,
    data: Path,
    name: str,
    output: Path,
    title: str | None = None,
    role: str = SEGMENTATION,
) -> ModelBundle:
    """Save the averaged weights of a finished stage as the model ``output/name`` and score it.

    Args:
        run: the run.
        stage_name: a stage of it.
        data: folder of labelled cases, for the origins and the scores.
        name, title: of the model; the title defaults to a description of the variant.
        output: folder of models; made if missing.
        role: ``segmentation`` or ``localiser``, see :class:`~agunetr.models.metadata.ModelDescription`.

    Raises:
        InputError: the run has no such stage, or the stage is not finished; the data lacks a case.
        OutputError: the model exists already or cannot be written.
    """
    record = run.root / "experiment.json"
    if not record.is_file():
        raise InputError(f"{run.root} is no run: experiment.json is missing.", "Give the folder of a run.")
    experiment = load_experiment(record)
    stage = experiment.stage(stage_name)
    if not run.is_finished(stage):
        raise InputError(f"The stage {stage_name} is not finished.", "Train it to its end first.")
    cases = find_cases(data)
    training = pick_cases(cases, experiment.training)
    kept_out = [("validation", case) for case in pick_cases(cases, experiment.validation)]
    kept_out += [("test", case) for case in pick_cases(cases, experiment.test)]

    network = build_network(experiment.network_config(stage))
    kept_start = load_weights(network, stage_weights(run, stage), f"The stage {stage_name}")
    if kept_start:
        raise InputError(f"The checkpoint of {stage_name} lacks the gates' weights.", "Train the stage again.")
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"The folder {output} cannot be made: {error}.", "Choose another folder.") from error
    bundle = save_bundle(
        output / name,
        network.eval(),
        name=name,
        title=title or f"Spleen, {experiment.network.get('size', 'full')} {stage.variant}",
        spacing_mm=(experiment.spacing_mm,) * 3,
        intensity_range=experiment.intensity_range,
        training_data=[_source(case) for case in training],
        licence=experiment.licence,
        recipe=_recipe(experiment, stage),
        limits=list(experiment.limits),
        role=role,
    )
    scores = score(bundle, kept_out)
    if role == LOCALISER:
        scores |= localisation_scores(bundle, kept_out)
    return update_bundle(bundle, scores=scores)


def score(bundle: ModelBundle, cases: Sequence[tuple[str, Case]]) -> dict[str, Any]:
    """Per-case measures of a model, in the form of a model's metadata.

    Args:
        bundle: the model.
        cases: pairs of the part (``validation``, ``test``) and the case.
    """
    segmenter = Segmenter(SegmentOptions(engine="torch", precision="exact"))
    rows, without_spleen = [], []
    for part, case in cases:
        image, label = read_case(case)
        found = segmenter.segment(image, bundle)
        measured = compare_masks(found.mask, label.array, image.spacing_mm)
        rows.append(
            {
                "case": case.name,
                "dice": round(measured.dice, 4),
                "hd95_mm": _rounded(measured.hausdorff95_mm),
                "surface_dice_2mm": _rounded(measured.surface_dice, 4),
                "volume_ml": _rounded(measured.volume_ml),
                "reference_ml": _rounded(measured.reference_volume_ml),
                "part": part,
                **_shown(case),
            }
        )
        log.info("%s: %s", bundle.name, rows[-1])
        for place, part_of_scan in spleen_free_parts(image, label):
            mask = segmenter.segment(part_of_scan, bundle).mask
            found_ml = round(int(mask.sum()) * part_of_scan.voxel_ml, 1)
            without_spleen.append({"case": case.name, "part": place, "found_ml": found_ml})
            log.info("%s: without spleen: %s", bundle.name, without_spleen[-1])
    if not rows:
        return {}
    scores = {"cases": rows, "mean_dice": round(sum(row["dice"] for row in rows) / len(rows), 4), "note": SCORE_NOTE}
    whole = [row["dice"] for row in rows if row.get("contrast") and row.get("whole_spleen")]
    if whole:
        scores["mean_dice_contrast_whole_spleen"] = round(sum(whole) / len(whole), 4)
    if without_spleen:
        scores["parts_of_scans_without_spleen"] = without_spleen
    return scores


def spleen_free_parts(image: Volume, label: Volume) -> Iterator[tuple[str, Volume]]:
    """What of a scan lies clearly above and clearly below the spleen, if it is long enough to be a scan of its own.

    Yields:
        ``"above"`` or ``"below"`` and that part of ``image``.
    """
    axes, flips = nearest_ras_axes(image)
    axis = axes[2]
    spacing = image.spacing_mm[axis]
    beside = tuple(number for number in range(3) if number != 2 - axis)
    slices = np.flatnonzero(label.array.any(axis=beside))
    gap, shortest = round(SPLEEN_FREE_GAP_MM / spacing), round(SPLEEN_FREE_LENGTH_MM / spacing)
    spans = {"below": (0, slices[0] - gap), "above": (slices[-1] + 1 + gap, image.size[axis])}
    if flips[2]:
        spans = {"above": spans["below"], "below": spans["above"]}
    for place, (first, stop) in spans.items():
        if stop - first >= shortest:
            box = [(0, voxels) for voxels in image.size]
            box[axis] = (int(first), int(stop))
            part = crop(image, tuple(box))
            yield place, Volume(np.ascontiguousarray(part.array), part.ijk_to_ras)


def _shown(case: Case) -> dict[str, Any]:
    return {key: case.facts[key] for key in ("contrast", "whole_spleen", "label_grade") if key in case.facts}


def _source(case: Case) -> dict[str, str]:
    facts = case.facts
    labels = (
        f"{facts['label_origin']}, grade {facts.get('label_grade', '?')}" if "label_origin" in facts else "not stated"
    )
    return {
        "name": case.name,
        "origin": str(facts.get("origin") or "not stated"),
        "licence": str(facts.get("licence") or "not stated"),
        "use": "training",
        "labels": labels,
    }


def _recipe(experiment: Experiment, stage: Stage) -> dict[str, Any]:
    chain = [stage]
    while chain[0].start is not None:
        chain.insert(0, experiment.stage(chain[0].start))
    return {
        "experiment": experiment.name,
        "command": f"python -m agunetr_train train {experiment.name} --data DATA --run RUN",
        "stages": " then ".join(
            f"{part.name} ({part.variant}, {part.epochs * part.steps_per_epoch} steps, "
            f"learning rate {part.learning_rate:g} to {part.final_learning_rate:g}, "
            f"spacings {', '.join(f'{spacing:g}' for spacing in part.spacings_mm)} mm)"
            for part in chain
        ),
        "steps": sum(part.epochs * part.steps_per_epoch for part in chain),
        "seed": experiment.seed,
        "optimiser": "AdamW, linear warm-up, cosine",
        "loss": "Dice + cross-entropy against soft masks",
        "weights": "exponential moving average",
    }


def _rounded(value: float | None, digits: int = 1) -> float | None:
    return None if value is None else round(value, digits)

"""From a trained job to a model folder with its card: weights, origin of the data, recipe, scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from agunetr.errors import InputError, OutputError
from agunetr.inference.segmenter import Segmenter
from agunetr.models.bundle import ModelBundle, save_bundle
from agunetr.models.metadata import LOCALISER, ROLES, SEGMENTATION, check_name
from agunetr_train.data.cases import Case
from agunetr_train.evaluation.localiser_scores import localisation_scores
from agunetr_train.evaluation.scores import card_scores
from agunetr_train.evaluation.scoring import part_to_score, read_scores, score_job, score_options
from agunetr_train.evaluation.spleen_free_parts import found_without_spleen
from agunetr_train.evaluation.trained_model import trained_model, trained_network
from agunetr_train.evaluation.training_sources import (
    NOT_STATED,
    TrainingSource,
    chain_of,
    recorded_cases,
    training_sources,
)
from agunetr_train.experiments.definition import Experiment, Stage
from agunetr_train.experiments.jobs import Job, job_name
from agunetr_train.run_folder import RunFolder

MOST_NAMED = 6
"""Cases or licences named in one sentence; the card lists all of them."""


def export_job(
    run: RunFolder,
    job: Job,
    name: str,
    output: Path,
    title: str | None = None,
    role: str = SEGMENTATION,
    research_only: bool = False,
    device: torch.device | str = "auto",
    say: Callable[[str], None] = print,
) -> ModelBundle:
    """Save a finished job as the model ``output/name``, with its scores, origins and licences.

    The scores are those of the run where these weights were scored already; what is missing is scored now. A folder of
    models that :class:`~agunetr.models.library.ModelLibrary` looks into lists the model at once.

    Args:
        run, job: whose weights.
        name, title: of the model; the title defaults to a description of the variant.
        output: folder of models; made if missing.
        role: ``segmentation`` or ``localiser``, see :class:`~agunetr.models.metadata.ModelDescription`.
        research_only: export also where the terms of the training data do not let a model be passed on freely; its
            licence and limits then say so.
        device: where what is missing is scored.
        say: told what takes a while.

    Raises:
        InputError: the job is not finished, a name or title cannot be used, a case that must be scored is missing, or
            the terms of the training data forbid it.
        OutputError: the model exists already or cannot be written.
    """
    folder = Path(output) / _checked(name, title, role)
    if folder.exists():
        raise OutputError(f"{folder} exists already, and a model is never overwritten.", "Choose another name.")
    if not run.is_finished(job):
        raise InputError(f"The job {job.name} is not finished.", "Train it to its end first.")
    experiment = run.experiment()
    sources = training_sources(run, job)
    restricted = [source for source in sources if source.restricted]
    if restricted and not research_only:
        raise InputError(
            f"{job.name} was trained on {_listed(restricted)}, whose terms do not let a "
            f"model be passed on freely ({_licences(restricted)}).",
            "Train without them, or export with --research-only; the model's card then says so.",
        )
    scores = _scores(run, job, role, device, say)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder.parent} cannot be made ({error.strerror}).", "Choose another folder.") from error
    return save_bundle(
        folder,
        trained_network(run, job, say),
        name=name,
        title=title or f"Spleen, {experiment.network.get('size', 'full')} {job.stage.variant}",
        spacing_mm=(experiment.spacing_mm,) * 3,
        intensity_range=experiment.intensity_range,
        training_data=[source.entry() for source in sources],
        scores=scores,
        licence=_licence(experiment, sources, restricted),
        recipe=_recipe(run, experiment, job),
        limits=[*experiment.limits, *_limits(sources, restricted)],
        role=role,
    )


def _checked(name: str, title: str | None, role: str) -> str:
    """The name, if everything that was typed can be used."""
    try:
        check_name(name)
    except ValueError as error:
        raise InputError(f"The model cannot be called so: {error}", "Choose another name.") from error
    if title is not None and not (title.strip() and title.isprintable() and len(title) <= 2000):
        raise InputError("The title is empty, too long or not one line of text.", "Give a short title.")
    if role not in ROLES:
        raise InputError(f"There is no role {role!r}.", f"Choose one of {', '.join(ROLES)}.")
    return name


def _scores(
    run: RunFolder, job: Job, role: str, device: torch.device | str, say: Callable[[str], None]
) -> dict[str, Any]:
    """What the card says of the model, measured with the very weights that are exported."""
    part, names = part_to_score(run.splits()[job.fold])
    cases = recorded_cases(run)
    held_out = [cases[name] for name in names if name in cases]
    with trained_model(run, job, say) as model:
        if len(read_scores(run, job, model.checksum)) < len(names):
            say(f"{job.name}: scoring the {part} cases that have no scores of these weights yet")
            score_job(run, job, held_out, device, say)
        scores = card_scores(read_scores(run, job, model.checksum))
        if not scores:
            say(f"{job.name}: its split has neither test nor validation cases, so the model has no scores.")
            return {}
        there = _present(held_out, role, say)
        if free := found_without_spleen(Segmenter(score_options(device)), model, there):
            scores["parts_of_scans_without_spleen"] = free
        if role == LOCALISER:
            scores |= localisation_scores(model, [(part, case) for case in there])
    return scores


def _present(cases: Sequence[Case], role: str, say: Callable[[str], None]) -> list[Case]:
    """The cases whose files are still where the run found them; a localiser's scores need them all."""
    there = [case for case in cases if case.image.is_file() and case.label.is_file()]
    if len(there) < len(cases):
        gone = next(case for case in cases if case not in there)
        if role == LOCALISER:
            raise InputError(
                f"The case {gone.name} is no longer at {gone.image}, so the localiser cannot be scored.",
                "Put it back, or give the command `train` again with --data.",
            )
        say(f"{gone.name} is no longer at {gone.image}; its parts without spleen are left out of the card.")
    return there


def _licence(experiment: Experiment, sources: Sequence[TrainingSource], restricted: Sequence[TrainingSource]) -> str:
    if restricted:
        return f"Non-commercial research only, not to be passed on: trained on data under {_licences(restricted)}"
    return experiment.licence or f"Not stated; the training data is under {_licences(sources)}"


def _limits(sources: Sequence[TrainingSource], restricted: Sequence[TrainingSource]) -> list[str]:
    limits = []
    if restricted:
        limits.append(
            f"Not to be passed on and not for commercial use: the terms of {_listed(restricted)} among its training "
            "data allow evaluation or non-commercial use alone."
        )
    if unknown := [source for source in sources if source.licence == NOT_STATED]:
        limits.append(f"The terms of {_listed(unknown)} among its training data are not stated; ask before passing on.")
    return limits


def _listed(sources: Sequence[TrainingSource]) -> str:
    names = list(dict.fromkeys(source.name for source in sources))
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


def _licences(sources: Sequence[TrainingSource]) -> str:
    terms = list(dict.fromkeys(source.licence for source in sources))
    return "; ".join(terms[:MOST_NAMED]) + ("; and others" if len(terms) > MOST_NAMED else "")


def _recipe(run: RunFolder, experiment: Experiment, job: Job) -> dict[str, Any]:
    chain = chain_of(experiment, job.stage)
    folds = experiment.split.folds
    data = " --data DATA" if experiment.data.source == "folder" else ""
    recipe = {
        "experiment": experiment.name,
        "command": f"agunetr train {experiment.name}{data} --run RUN --job {job.number}",
        "stages": " then ".join(_stage_text(experiment, stage) for stage in chain),
        "steps": sum(run.finished(job_name(experiment, stage.name, job.fold, job.seed))["steps"] for stage in chain),
        "seed": job.seed,
        "split": f"fold {job.fold + 1} of {folds}" if folds else "one split",
        "optimiser": "AdamW, linear warm-up, cosine",
        "loss": f"Dice + cross-entropy against {'soft' if experiment.labels == 'soft' else 'binary'} masks",
        "weights": _weights_text(job.stage),
    }
    if job.stage.teacher is not None:
        recipe["distillation"] = f"share {job.stage.distillation_weight:g} of the loss, teacher {job.stage.teacher}"
    return recipe


def _stage_text(experiment: Experiment, stage: Stage) -> str:
    spacings = stage.spacings_mm or (experiment.spacing_mm,)
    steps = "every case once an epoch" if stage.steps_per_epoch is None else f"{stage.steps_per_epoch} steps an epoch"
    began = f", from {stage.warm_start}" if stage.warm_start else ""
    return (
        f"{stage.name} ({stage.variant}{began}, {stage.epochs} epochs, {steps}, "
        f"learning rate {stage.learning_rate:g} to {stage.final_learning_rate:g}, "
        f"spacings {', '.join(f'{spacing:g}' for spacing in spacings)} mm)"
    )


def _weights_text(stage: Stage) -> str:
    kept = "of the best validation Dice" if stage.keep == "best" else "of the last step"
    return f"{kept}, exponential moving average" if stage.ema_momentum else kept

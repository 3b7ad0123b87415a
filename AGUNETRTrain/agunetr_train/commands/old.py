"""What the commands of ``python -m agunetr_train`` do."""

from __future__ import annotations

import argparse
import logging

import torch

from agunetr_train.data.cases import find_cases, pick_cases
from agunetr_train.evaluation.export import export_stage
from agunetr_train.experiments.definition import load_experiment, with_split
from agunetr_train.run_folder import RunFolder
from agunetr_train.training.trainer import train_stage

log = logging.getLogger(__name__)


def train(options: argparse.Namespace) -> None:
    """Train every stage that is not finished, or the ones asked for."""
    if options.threads:
        torch.set_num_threads(options.threads)
    experiment = load_experiment(options.experiment)
    cases = find_cases(options.data)
    experiment = with_split(experiment, list(cases))
    training = pick_cases(cases, experiment.training)
    validation = pick_cases(cases, experiment.validation)
    stages = [experiment.stage(name) for name in options.stage] if options.stage else list(experiment.stages)
    run = RunFolder(options.run)
    run.open(experiment)
    for stage in stages:
        if run.is_finished(stage):
            log.info("%s: already finished", stage.name)
            continue
        train_stage(experiment, stage, run, training, validation, options.run / "prepared", options.device)


def export(options: argparse.Namespace) -> None:
    """Save and score one finished stage."""
    bundle = export_stage(
        RunFolder(options.run), options.stage, options.data, options.name, options.output, options.title, options.role
    )
    log.info("%s: %s, mean Dice on kept-out patients %s", bundle.name, bundle.folder, bundle.scores.get("mean_dice"))

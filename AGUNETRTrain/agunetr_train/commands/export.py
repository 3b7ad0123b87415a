"""``agunetr export``: a trained job as a model that Segment lists."""

from __future__ import annotations

import argparse
from pathlib import Path

from agunetr.commands.console import Console
from agunetr.commands.exit_codes import OK, UsageError
from agunetr.errors import OutputError
from agunetr_train.commands.training_packages import training_packages

SUMMARY = "Makes a model of a trained job: weights, card, licence of the data, scores."
EXAMPLES = """\
  agunetr export runs/study-v2 --job gated
  agunetr export runs/kfold-5 --job v2-fold1-seed0 --name spleen-v2
  agunetr export runs/mine --job gated --name mine --output MODELS
  agunetr export runs/localiser --job localiser --role localiser --name spleen-localiser --output MODELS

Without --output the model is listed at once by `agunetr models list` and by AGUNETR Segment. It is a folder in MONAI
Bundle layout that can be passed on as it is. Test cases that were not scored while training are scored now.

Where the terms of the training data do not let a model be passed on freely, it is exported with --research-only alone,
and its card then says so. Nothing is overwritten.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument("run_folder", metavar="RUN", help="folder of the run")
    parser.add_argument("--job", metavar="JOB", help="the job's number or name (the only one, where there is one)")
    parser.add_argument("--name", metavar="NAME", help="name of the model (EXPERIMENT-JOB)")
    parser.add_argument("--title", metavar="TEXT", help="its title, one line (what it segments, its size and variant)")
    parser.add_argument(
        "--output", "-o", metavar="FOLDER",
        help="folder of models in which the model becomes a folder, made if missing (that of imported models)",
    )  # fmt: skip
    parser.add_argument(
        "--role", default="segmentation", choices=("segmentation", "localiser"),
        help="localiser: for a network that finds the organ for the models that segment it (segmentation)",
    )  # fmt: skip
    parser.add_argument(
        "--research-only", action="store_true",
        help="export also where the data's terms forbid passing the model on freely; the card then says so",
    )  # fmt: skip
    parser.add_argument("--device", default="auto", metavar="DEVICE", help="where cases are scored, if any are (auto)")


@training_packages()
def run(arguments: argparse.Namespace, console: Console) -> int:
    """Exports the job."""
    from agunetr.inference.devices import choose_device
    from agunetr.models.library import ModelLibrary
    from agunetr_train.evaluation.export import export_job
    from agunetr_train.experiments.jobs import jobs_of, pick_job
    from agunetr_train.run_folder import RunFolder

    folder = RunFolder(Path(arguments.run_folder).expanduser())
    experiment = folder.experiment()
    jobs = jobs_of(experiment)
    if arguments.job is None and len(jobs) > 1:
        raise UsageError(
            f"{folder.root} has {len(jobs)} jobs, and --job names none of them.",
            f"Name one, for example --job {jobs[-1].name}.",
        )
    job = jobs[0] if arguments.job is None else pick_job(experiment, arguments.job)
    device, _ = choose_device(arguments.device)
    name = arguments.name or f"{experiment.name}-{job.name}"
    library = ModelLibrary()
    if arguments.output:
        output = Path(arguments.output).expanduser()
    elif arguments.role != "segmentation":
        raise UsageError("A localiser is no model to choose from and is not listed.", "Give a folder with --output.")
    else:
        output = library.user_folder
        if name in {model.name for model in library.list()}:
            raise OutputError(f"There is a model {name} already.", "Choose another --name, or another --output.")
    model = export_job(
        folder, job, name, output, arguments.title, arguments.role, arguments.research_only, device, console.say
    )
    console.event("model", model=model.to_dict())
    console.say(f"The model {model.name} is {model.folder}")
    return OK

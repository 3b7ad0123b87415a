"""``agunetr data``: labelled cases are checked, downloaded, or drawn around masks."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from agunetr.commands.console import Console
from agunetr.commands.exit_codes import INPUT, OK
from agunetr.commands.printing_arguments import repeat_printing_arguments
from agunetr_train.commands.training_packages import training_packages

SUMMARY = "Checks, downloads or draws labelled cases for training."
EXAMPLES = """\
  agunetr data check DATA
  agunetr data check Task09_Spleen --experiment study-v2
  agunetr data download --output DATA
  agunetr data synthesize --labels MASKS --output synthetic --count 20 --coarser 2

DATA is a folder with imagesTr/ and labelsTr/ (Medical Segmentation Decathlon, nnU-Net), with images/ and labels/ of
equal names, or with a folder a case that holds ct.nii.gz and spleen.nii.gz. `download` fetches Task09_Spleen of the
Medical Segmentation Decathlon (1.5 GB, CC BY-SA 4.0); interrupted, the same command goes on where it was.
`synthesize` draws an imagined abdomen around real spleen masks, which are kept: scans to try the training on, which
teach nothing about patients.
"""
_TEXTS = {
    "check": "look for what would spoil a training, before it",
    "download": "fetch Task09_Spleen of the Medical Segmentation Decathlon",
    "synthesize": "draw CTs around spleen masks",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the actions of the command."""
    actions = parser.add_subparsers(title="actions", dest="action", metavar="ACTION", required=True)
    commands = {}
    for action, text in _TEXTS.items():
        commands[action] = actions.add_parser(action, help=text, description=f"{text[0].upper()}{text[1:]}.")
        repeat_printing_arguments(commands[action])

    check = commands["check"]
    check.add_argument("folder", metavar="DATA", help="folder of labelled cases")
    check.add_argument("--experiment", metavar="EXPERIMENT", help="check its split, cases and intensities too")

    download = commands["download"]
    download.add_argument("--output", "-o", required=True, metavar="DIR", help="Task09_Spleen becomes a folder in it")

    draw = commands["synthesize"]
    draw.add_argument("--labels", required=True, metavar="DIR", help="folder of masks, 0 and 1")
    draw.add_argument("--output", "-o", required=True, metavar="DIR", help="folder for the cases; must not exist")
    draw.add_argument("--count", type=int, metavar="N", help="of the masks, by the numbers in their names (all)")
    draw.add_argument("--coarser", type=int, default=1, metavar="N", help="keep every N-th row and column (1)")
    draw.add_argument("--around", type=float, metavar="MM", help="cut the scans to the spleen and MM beside it (whole)")
    draw.add_argument("--seed", type=int, default=0, help="another one gives other patients (0)")
    draw.add_argument("--contrast", default="portal", metavar="PHASE", help="none, arterial, portal or late (portal)")


@training_packages()
def run(arguments: argparse.Namespace, console: Console) -> int:
    """Does the action."""
    actions: dict[str, Callable[[argparse.Namespace, Console], int]] = {
        "check": _check,
        "download": _download,
        "synthesize": _synthesize,
    }
    return actions[arguments.action](arguments, console)


def _check(arguments: argparse.Namespace, console: Console) -> int:
    from agunetr_train.data.cases import find_cases
    from agunetr_train.data.checks import check_cases
    from agunetr_train.experiments.definition import Experiment
    from agunetr_train.experiments.reading import load_experiment
    from agunetr_train.experiments.splits import make_splits

    cases = find_cases(Path(arguments.folder).expanduser())
    splits = []
    intensity_range = Experiment.model_fields["intensity_range"].default
    if arguments.experiment:
        experiment = load_experiment(arguments.experiment)
        splits = make_splits(experiment.split, {name: case.patient for name, case in cases.items()})
        intensity_range = experiment.intensity_range
    with console.progress(case=arguments.folder) as progress:
        report = check_cases(cases, splits, intensity_range, progress=progress)
    usable = not any(finding.fatal for finding in report.findings)
    console.event("data", usable=usable, text=report.text(), **report.to_dict())
    console.say(report.text().rstrip())
    return OK if usable else INPUT


def _download(arguments: argparse.Namespace, console: Console) -> int:
    from agunetr_train.data.cases import find_cases
    from agunetr_train.data.msd_download import download_msd_spleen

    with console.progress(case="Task09_Spleen") as progress:
        folder = download_msd_spleen(Path(arguments.output).expanduser(), console.say, progress)
    cases = find_cases(folder)
    console.event("downloaded", folder=str(folder), cases=len(cases))
    console.say(f"Labelled cases in {folder}: {len(cases)}")
    return OK


def _synthesize(arguments: argparse.Namespace, console: Console) -> int:
    from agunetr_train.data.synthetic import SyntheticPlan, synthesize

    plan = SyntheticPlan(arguments.count, arguments.coarser, arguments.seed, arguments.contrast, arguments.around)
    output = Path(arguments.output).expanduser()
    with console.progress(case=str(output)) as progress:
        names = synthesize(Path(arguments.labels).expanduser(), output, plan, progress)
    console.event("synthesized", folder=str(output), cases=names)
    console.say(f"Synthetic cases in {output}: {len(names)}")
    return OK

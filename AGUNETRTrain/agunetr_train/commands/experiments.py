"""``agunetr experiments``: what is shipped, and every value of one experiment."""

from __future__ import annotations

import argparse
import json

from agunetr.commands.console import Console
from agunetr.commands.exit_codes import OK
from agunetr.commands.printing_arguments import repeat_printing_arguments
from agunetr_train.commands.training_packages import training_packages

SUMMARY = "Lists the shipped experiments and shows every value of one."
EXAMPLES = """\
  agunetr experiments
  agunetr experiments show study-v1
  agunetr experiments show my-experiment.json

What `show` prints is a whole experiment file, with every default filled in: saved and changed, it is one of your own.
A wrong key or value in a file is refused by its name. Nothing is written.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the actions of the command."""
    actions = parser.add_subparsers(title="actions", dest="action", metavar="ACTION")
    texts = {"list": "the shipped experiments, a line each (done without an action too)", "show": "every value of one"}
    for action, text in texts.items():
        command = actions.add_parser(action, help=text, description=text[0].upper() + text[1:] + ".")
        repeat_printing_arguments(command)
        if action == "show":
            command.add_argument("experiment", metavar="EXPERIMENT", help="name of a shipped experiment, or a file")


@training_packages()
def run(arguments: argparse.Namespace, console: Console) -> int:
    """Does the action."""
    from agunetr_train.experiments.jobs import jobs_of
    from agunetr_train.experiments.reading import load_experiment, shipped_experiments

    if arguments.action == "show":
        experiment = load_experiment(arguments.experiment)
        console.event("experiment", experiment=experiment.to_dict(), jobs=[job.name for job in jobs_of(experiment)])
        console.say(json.dumps(experiment.to_dict(), indent=1, ensure_ascii=False))
        return OK
    rows = []
    for name in shipped_experiments():
        experiment = load_experiment(name)
        variants = list(dict.fromkeys(stage.variant for stage in experiment.stages))
        jobs = len(jobs_of(experiment))
        rows.append(
            {"name": name, "description": experiment.description, "jobs": jobs, "variants": variants,
             "data": experiment.data.source}
        )  # fmt: skip
    console.event("experiments", experiments=rows)
    width = max((len(row["name"]) for row in rows), default=0)
    for row in rows:
        jobs = f"{row['jobs']} job" + ("s" if row["jobs"] > 1 else "")
        first_sentence = row["description"].split(". ")[0].rstrip(".")
        console.say(f"{row['name']:<{width}}  {first_sentence} ({jobs}: {', '.join(row['variants'])})")
    return OK

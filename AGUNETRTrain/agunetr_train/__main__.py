"""``python -m agunetr_train``: train an experiment, export its networks as models.

Examples::

    python -m agunetr_train train compact-embedded --data DATA --run RUN
    python -m agunetr_train train compact-embedded --data DATA --run RUN --stage gated
    python -m agunetr_train export RUN --data DATA --stage gated --name compact-gated --output FOLDER
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from agunetr.errors import AgunetrError


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="agunetr_train", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    train = commands.add_parser("train", help="train the stages of an experiment; resumes where it was")
    train.add_argument("experiment", help="a shipped experiment's name or a file")
    train.add_argument("--data", type=Path, required=True, help="folder of labelled cases")
    train.add_argument("--run", type=Path, required=True, help="folder of the run; made if missing, resumed if there")
    train.add_argument("--stage", action="append", help="only this stage (repeatable); default: all in order")
    train.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, mps")
    train.add_argument("--threads", type=int, help="CPU threads")
    export = commands.add_parser("export", help="score a finished stage on the kept-out cases and save it as a model")
    export.add_argument("run", type=Path, help="folder of the run")
    export.add_argument("--data", type=Path, required=True, help="folder of labelled cases")
    export.add_argument("--stage", required=True)
    export.add_argument("--name", required=True, help="name of the model")
    export.add_argument("--title", help="title of the model")
    export.add_argument(
        "--role", default="segmentation", choices=("segmentation", "localiser"),
        help="localiser: for a network that finds the organ for the models that segment it (segmentation)",
    )  # fmt: skip
    export.add_argument("--output", type=Path, required=True, help="folder of models; the model becomes a folder in it")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0 done, 3 a refusal with its sentence, 130 interrupted."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    for noisy in ("ignite", "monai"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        if options.command == "train":
            from agunetr_train.commands import train

            train(options)
        else:
            from agunetr_train.commands import export

            export(options)
    except AgunetrError as error:
        print(f"agunetr_train: {error}", file=sys.stderr)
        return 3
    except ImportError as error:
        print(
            f"agunetr_train: The Python package {error.name or error} is missing. Training needs more packages than "
            "segmenting: pip install pytorch-ignite tensorboard nibabel matplotlib",
            file=sys.stderr,
        )
        return 3
    except KeyboardInterrupt:
        print("agunetr_train: stopped; the same command goes on from the last checkpoint.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

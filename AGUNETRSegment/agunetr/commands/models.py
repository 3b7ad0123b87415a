"""``agunetr models``: what is installed, and adding and removing models."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from agunetr.commands.console import Console
from agunetr.commands.exit_codes import OK
from agunetr.commands.printing_arguments import repeat_printing_arguments

SUMMARY = "Lists, shows, imports and removes models."
EXAMPLES = """\
  agunetr models list
  agunetr models show compact-gated
  agunetr models import my-model.zip
  agunetr models remove my-model

A model is a folder in MONAI Bundle layout, or a zip of it. Imported models are kept in the folder that the environment
variable AGUNETR_MODELS names, else in the user's data folder. Importing executes nothing from the model.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the actions of the command."""
    actions = parser.add_subparsers(title="actions", dest="action", metavar="ACTION", required=True)
    texts = {
        "list": "the installed models, each file verified",
        "show": "everything about one model",
        "import": "add a model from a folder or a zip",
        "remove": "delete an imported model",
    }
    for action, text in texts.items():
        command = actions.add_parser(action, help=text, description=text[0].upper() + text[1:] + ".")
        repeat_printing_arguments(command)
        if action == "import":
            command.add_argument("source", metavar="PATH", help="model folder or zip file")
        elif action != "list":
            command.add_argument("name", metavar="NAME", help="name of the model")


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Does the action."""
    from agunetr.models.library import ModelLibrary

    actions: dict[str, Callable[[Any, argparse.Namespace, Console], None]] = {
        "list": _list,
        "show": _show,
        "import": _import,
        "remove": _remove,
    }
    actions[arguments.action](ModelLibrary(), arguments, console)
    return OK


def _list(library: Any, arguments: argparse.Namespace, console: Console) -> None:
    from agunetr.session import library_summary

    found = library_summary(library)
    console.event("models", **found)
    for model in found["models"]:
        dice = f"Dice {model['mean_dice']:.3f}" if model.get("mean_dice") is not None else "no score"
        origin = "embedded" if model["embedded"] else "imported"
        size = size_text(model["size_bytes"])
        console.say(f"{model['name']:<20} {model['variant']:<13} {size:>9}  {dice:<11} {origin}")
        console.say(f"{'':<20} {model['title']}")
    if not found["models"]:
        console.say("No model is installed; add one with `agunetr models import PATH`.")
    for broken in found["broken"]:
        console.say(f"cannot be used: {broken['folder']}: {broken['reason']}")


def _show(library: Any, arguments: argparse.Namespace, console: Console) -> None:
    model = library.find(arguments.name).to_dict()
    console.event("model", model=model)
    console.say(f"{model['name']}: {model['title']}")
    console.say(f"  variant          {model['variant']}, gates: {', '.join(model['gates']) or 'none'}")
    console.say(f"  window           {' x '.join(map(str, model['window']))} voxels")
    console.say(f"  spacing          {' x '.join(f'{edge:g}' for edge in model['spacing_mm'])} mm")
    console.say("  intensities      {:g} to {:g} HU".format(*model["intensity_range"]))
    for source in model["training_data"]:
        console.say(f"  training data    {source['name']} ({source['origin']}; {source['licence']}): {source['use']}")
    if model.get("mean_dice") is not None:
        console.say(f"  mean Dice        {model['mean_dice']:.4f}")
    for case in model["scores"].get("cases", ()):
        if case.get("dice") is not None:
            console.say(f"    {case['case']:<24} {case['dice']:.4f}")
    for limit in model["limits"]:
        console.say(f"  limit            {limit}")
    console.say(f"  licence          {model['licence']}")
    console.say(f"  SHA-256          {model['checksum']}")
    console.say(f"  folder           {model['folder']} ({size_text(model['size_bytes'])})")


def _import(library: Any, arguments: argparse.Namespace, console: Console) -> None:
    model = library.import_model(arguments.source).to_dict()
    console.event("model", model=model)
    console.say(f"Imported {model['name']}: {model['title']}")


def _remove(library: Any, arguments: argparse.Namespace, console: Console) -> None:
    library.remove(arguments.name)
    console.event("removed", name=arguments.name)
    console.say(f"Removed {arguments.name}.")


def size_text(size_bytes: float) -> str:
    """Bytes for people, in decimal units."""
    for unit in ("B", "kB", "MB"):
        if size_bytes < 1000:
            return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.1f} GB"

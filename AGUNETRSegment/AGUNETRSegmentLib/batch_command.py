"""What the batch asks the engine's command line for: the panel's models and options as its arguments."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

FLAGS = {
    ("localise", False): "--no-localise",
    ("largest_component", False): "--keep-all-components",
    ("fill_holes", False): "--keep-holes",
    ("body_crop", False): "--no-body-crop",
    ("allow_cpu", True): "--allow-cpu",
}
VALUES = {
    "device": "--device",
    "engine": "--engine",
    "precision": "--precision",
    "overlap": "--overlap",
    "window_batch": "--window-batch",
    "threshold": "--threshold",
}


@dataclass(frozen=True)
class BatchRequest:
    """Which CTs are segmented, and how.

    :ivar folder: the folder of CTs.
    :ivar output: the folder for the results; its parent exists.
    :ivar models: names of models, at least one.
    :ivar options: fields of the engine's options (``device``, ``precision``, ``attention`` ...).
    :ivar overwrite: segment finished cases again.
    """

    folder: str
    output: str
    models: Sequence[str]
    options: Mapping = field(default_factory=dict)
    overwrite: bool = False

    def arguments(self) -> list[str]:
        """The arguments of ``python -m agunetr``, without ``--json``.

        :raises ValueError: an option has no place on the command line; it must not be left out silently.
        """
        # Whole paths: a name that begins with a dash would be taken for an option.
        folder, output = os.path.abspath(self.folder), os.path.abspath(self.output)
        arguments = ["segment", folder, "--output", output, "--stop-on-input"]
        for model in self.models:
            arguments += ["--model", model]
        for name, value in self.options.items():
            arguments += _optionArguments(name, value)
        if self.overwrite:
            arguments.append("--overwrite")
        return arguments


def _optionArguments(name: str, value) -> list[str]:
    if name == "attention":
        return [part for gate in value for part in ("--gate", gate)]
    if name in VALUES:
        return [] if value is None else [VALUES[name], str(value)]
    switches = {flagName for flagName, _value in FLAGS}
    if name not in switches:
        raise ValueError(f"The command line has no option {name!r}.")
    return [FLAGS[name, value]] if (name, value) in FLAGS else []

"""The names of a job's files, and which models and files may go together.

``<model>.nii.gz`` is a mask, ``<model>_<gate>.nii.gz`` a gate map, ``result.json`` says what the others are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agunetr.errors import ModelError
from agunetr.inference.attention import ALL, wanted_gates
from agunetr.inference.dicom_series import is_dicom_file

if TYPE_CHECKING:
    from agunetr.inference.segmenter import SegmentOptions
    from agunetr.models.bundle import ModelBundle

RESULT_FILE = "result.json"


def check_models(bundles: Sequence[ModelBundle], options: SegmentOptions) -> None:
    """Refuse models that cannot be segmented with together.

    Raises:
        ModelError: no model, two of one name, or no model has a gate that was asked for.
    """
    if not bundles:
        raise ModelError("No model was chosen.", "Choose at least one.")
    # Two names that differ in their case alone are one file on Windows and macOS.
    names = [bundle.name.casefold() for bundle in bundles]
    twice = next((bundle.name for bundle in bundles if names.count(bundle.name.casefold()) > 1), None)
    if twice is not None:
        raise ModelError(f"Two of the chosen models are called {twice}.", "Choose each model once.")
    known = dict.fromkeys(gate for bundle in bundles for gate in bundle.gate_names)
    unknown = [gate for gate in options.attention if gate not in known and gate != ALL]
    if unknown:
        remedy = f"Choose from {', '.join(known)}." if known else "Leave the attention maps out, or add a gated model."
        raise ModelError(f"No chosen model has a gate called {unknown[0]}.", remedy)


def file_names(bundles: Sequence[ModelBundle], options: SegmentOptions) -> list[str]:
    """Every file of the job; ``result.json`` last, so that it is only there when all the others are.

    Raises:
        ModelError: two results would have one name.
    """
    names = []
    for bundle in bundles:
        gates, _ = wanted_gates(options.attention, bundle.gate_names)
        names += [mask_file(bundle), *(gate_file(bundle, gate) for gate in gates)]
    twice = next((name for name in names if [other.casefold() for other in names].count(name.casefold()) > 1), None)
    if twice is not None:
        raise ModelError(f"Two results would be called {twice}.", "Segment with these models one after the other.")
    return [*names, RESULT_FILE]


def mask_file(bundle: ModelBundle) -> str:
    """The name of a model's mask."""
    return f"{bundle.name}.nii.gz"


def gate_file(bundle: ModelBundle, gate: str) -> str:
    """The name of a gate's map."""
    return f"{bundle.name}_{gate}.nii.gz"


def input_path(input_description: Mapping[str, Any] | None) -> Path | None:
    """The input's path where its description gives one."""
    path = (input_description or {}).get("path")
    return Path(path).expanduser() if path else None


def is_input(path: Path, source: Path | None) -> bool:
    """Whether the file is the input, or one of the DICOM files in the input's folder or a folder in that."""
    if source is None or not path.is_file() or not source.exists():
        return False
    if source.is_dir():
        return path.resolve().is_relative_to(source.resolve()) and is_dicom_file(path)
    return path.samefile(source)


def gate_maps_there(output: Path) -> list[str]:
    """The gate maps that the folder's ``result.json`` names; no other file, whatever somebody wrote into it."""
    try:
        models = json.loads((output / RESULT_FILE).read_text(encoding="utf-8"))["models"]
        names = [
            file
            for model in models
            for gate, file in model["attention"].items()
            if file == f"{model['name']}_{gate}.nii.gz" and Path(file).name == file
        ]
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return []
    return [name for name in names if (output / name).is_file()]

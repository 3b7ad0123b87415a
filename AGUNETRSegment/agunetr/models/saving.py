"""Saving a trained network as a model folder, and changing what a saved model says about itself."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agunetr.errors import OutputError
from agunetr.models import metadata, weights
from agunetr.models.card import model_card
from agunetr.models.loading import ModelBundle, load_bundle
from agunetr.models.metadata import ModelDescription
from agunetr.models.monai_config import inference_config, monai_metadata

if TYPE_CHECKING:
    from agunetr.networks.unetr import GatedUNETR


def save_bundle(
    folder: Path | str,
    network: GatedUNETR,
    *,
    name: str,
    title: str,
    spacing_mm: Sequence[float],
    intensity_range: Sequence[float],
    training_data: Sequence[Mapping[str, str]] = (),
    scores: Mapping[str, Any] | None = None,
    licence: str = "Apache-2.0",
    recipe: Mapping[str, Any] | None = None,
    limits: Sequence[str] = (),
    half: bool = True,
    torch_file: bool = False,
    role: str = metadata.SEGMENTATION,
) -> ModelBundle:
    """Saves a network as a model folder; nothing appears under ``folder`` before all of it is there and verified.

    Args:
        folder: must not exist; its parent must.
        network: a :class:`~agunetr.networks.unetr.GatedUNETR`; its ``config`` is stored.
        name, title, spacing_mm, intensity_range, training_data, scores, licence, recipe, limits, role: see
            :class:`~agunetr.models.metadata.ModelDescription`.
        half: store 16-bit weights (half the size; the mask changes by a few border voxels at most).
        torch_file: write ``models/model.pt`` as well, for programs that cannot read safetensors.

    Raises:
        ValueError: an argument is wrong; the message names it.
        ModelError: a weight is not finite, or too large for 16 bits.
        OutputError: the folder exists or cannot be written.
    """
    description = ModelDescription(
        name=name,
        title=title,
        network=network.config,
        spacing_mm=tuple(spacing_mm),
        intensity_range=tuple(intensity_range),
        training_data=training_data,
        licence=licence,
        scores=dict(scores or {}),
        recipe=dict(recipe or {}),
        limits=limits,
        role=role,
    )
    folder = Path(folder)
    if folder.exists():
        raise OutputError(f"{folder} exists already, and a model is never overwritten.", "Choose another folder.")
    data = weights.encode(network.state_dict(), half)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    files = {metadata.WEIGHTS: data, metadata.CARD: model_card(description, parameters).encode()}
    if torch_file:
        files[metadata.TORCH_WEIGHTS] = weights.as_torch_file(data)
    staging = _stage(folder, description, files)
    try:
        os.rename(staging, folder)
    except OSError as error:
        raise OutputError(f"{folder} cannot be written ({error.strerror}).", "Choose another folder.") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return load_bundle(folder)


def update_bundle(bundle: ModelBundle, **changes: Any) -> ModelBundle:
    """Puts a model with changed words or scores, and a card that says the same, in its own place; weights stay.

    Args:
        bundle: the model to change.
        changes: fields of :class:`~agunetr.models.metadata.ModelDescription`, for example ``scores``.

    Raises:
        ValueError: a change is wrong, or concerns what the weights were trained for.
        OutputError: the folder cannot be written; the model is as it was.
    """
    if fixed := {"network", "spacing_mm", "intensity_range", "sha256"} & changes.keys():
        raise ValueError(f"{min(fixed)} belongs to the weights and cannot be changed.")
    description = replace(bundle.description, **changes)
    shapes = weights.read_shapes(bundle.folder / metadata.WEIGHTS)
    kept = [path for path in bundle.description.sha256 if path in (metadata.WEIGHTS, metadata.TORCH_WEIGHTS)]
    files = {path: (bundle.folder / path).read_bytes() for path in kept}
    files[metadata.CARD] = model_card(description, sum(map(prod, shapes.values()))).encode()
    staging = _stage(bundle.folder, description, files)
    old = staging.with_name(staging.name + ".old")
    try:
        os.rename(bundle.folder, old)
        try:
            os.rename(staging, bundle.folder)
        except OSError:
            os.rename(old, bundle.folder)
            raise
    except OSError as error:
        problem = f"{bundle.folder} cannot be replaced ({error.strerror})."
        raise OutputError(problem, "Close what uses the model.") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)
    return load_bundle(bundle.folder, bundle.embedded)


def _stage(folder: Path, description: ModelDescription, files: dict[str, bytes]) -> Path:
    """Writes and verifies a complete model in a hidden sibling of ``folder``; returns it."""
    files = {metadata.INFERENCE: _json(inference_config(description)), **files}
    digests = {path: hashlib.sha256(data).hexdigest() for path, data in sorted(files.items())}
    files[metadata.METADATA] = _json(monai_metadata(replace(description, sha256=digests)))
    if not folder.absolute().parent.is_dir():
        raise OutputError(f"The folder {folder.absolute().parent} does not exist.", "Make it first, or choose another.")
    try:
        staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".part", dir=folder.absolute().parent))
    except OSError as error:
        raise OutputError(f"{folder} cannot be written ({error.strerror}).", "Choose another folder.") from error
    try:
        for path, data in files.items():
            target = staging / path
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(data)
        # mkdtemp makes a private folder; a model is as readable as what the user makes next to it.
        staging.chmod((staging / "configs").stat().st_mode & 0o777)
        load_bundle(staging)
    except BaseException as error:
        shutil.rmtree(staging, ignore_errors=True)
        if isinstance(error, OSError):
            problem = f"{folder} cannot be written ({error.strerror})."
            raise OutputError(problem, "Free some space or choose another folder.") from error
        raise
    return staging


def _json(values: Mapping[str, Any]) -> bytes:
    return (json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()

"""Weights to begin with, from any UNETR: a file, a model, or a job of an earlier run."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from agunetr.errors import InputError, ModelError
from agunetr.models import weights
from agunetr.models.library import ModelLibrary
from agunetr.models.loading import load_bundle
from agunetr.models.metadata import METADATA
from agunetr.networks.checkpoints import load_weights, with_patch_convolution
from agunetr.networks.unetr import GatedUNETR
from agunetr_train.experiments.jobs import Job, pick_job
from agunetr_train.run_folder import RunFolder
from agunetr_train.training.checkpoints import job_weights

TORCH_SUFFIXES = (".pt", ".pth", ".ckpt", ".tar")

NESTED = ("ema", "network", "state_dict", "model_state_dict", "model", "net")
"""Under which of these a checkpoint that holds more than weights keeps them; the first that is there counts."""

WRAPPERS = ("module.", "model.", "network.", "net.")
"""Prefixes that every name has where the network was saved inside another module."""

ENCODER = "vit."


def warm_start(network: GatedUNETR, source: str | Path) -> list[str]:
    """Give ``network`` the weights of ``source``, as far as they fit; the whole ViT must.

    What else has another shape, for example the last layer of a checkpoint for other organs, and gates that the
    source lacks keep their start.

    Args:
        network: any variant.
        source: a file (``.safetensors``, or one of :data:`TORCH_SUFFIXES` without pickled objects), a model folder, the
            name of a model of this machine, or a job's folder of a run.

    Returns:
        The names of the weights that kept their start.

    Raises:
        InputError: there is no such source.
        ModelError: it cannot be read, or its ViT is of another size; ``network`` is unchanged.
    """
    own = network.state_dict()
    state = with_patch_convolution(weights_of(source), own)
    fitting = {key: value for key, value in state.items() if key in own and own[key].shape == value.shape}
    _check_encoder(own, state, fitting, source)
    # A gate is taken whole or not at all, which load_weights looks after.
    kept = [key for key in own if key not in fitting and not key.startswith("gates.") and key in _needed(own)]
    kept_gates = load_weights(network, {**{key: own[key] for key in kept}, **fitting}, str(source))
    return [*kept, *kept_gates]


def weights_of(source: str | Path) -> dict[str, Tensor]:
    """All weights of a source, float32 on the CPU; see :func:`warm_start`.

    Raises:
        InputError: there is no such source.
        ModelError: it cannot be read.
    """
    path = Path(source)
    if path.is_file():
        return _file_weights(path)
    if (path / METADATA).is_file():
        return load_bundle(path).network().state_dict()
    if (job := job_of_folder(path)) is not None:
        return job_weights(*job)
    if path.suffix in (*TORCH_SUFFIXES, ".safetensors"):
        raise InputError(f"There is no file {path}.", "Correct warm_start in the experiment.")
    return ModelLibrary().find(source).network().state_dict()


def job_of_folder(folder: Path) -> tuple[RunFolder, Job] | None:
    """The run and the job whose folder this is; None where it is no folder of a run.

    Raises:
        InputError: the run knows no such job, or its record is damaged.
    """
    folder = folder.resolve()
    if not (folder.parent / "experiment.json").is_file():
        return None
    run = RunFolder(folder.parent)
    return run, pick_job(run.experiment(), folder.name)


def _file_weights(path: Path) -> dict[str, Tensor]:
    remedy = "Use a .safetensors file, or a state_dict that torch.save wrote."
    try:
        if not weights.looks_pickled(path) and path.suffix not in TORCH_SUFFIXES:
            return weights.decode(path.read_bytes())
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(f"{path} holds more than weights, which could run code; it was not opened.", remedy) from error
    except (OSError, ValueError, RuntimeError, EOFError, KeyError) as error:
        raise ModelError(f"{path} cannot be read as weights: it is no checkpoint or damaged.", remedy) from error
    state = _unwrapped(_state_in(loaded))
    if not state:
        raise ModelError(f"{path} holds no weights of a network.", remedy)
    return state


def _state_in(loaded: Any) -> dict[str, Tensor]:
    """The innermost mapping of names to tensors."""
    if not isinstance(loaded, Mapping):
        return {}
    for name in NESTED:
        if isinstance(loaded.get(name), Mapping) and (inner := _state_in(loaded[name])):
            return inner
    return {key: value.float() for key, value in loaded.items() if isinstance(value, Tensor) and "." in str(key)}


def _unwrapped(state: dict[str, Tensor]) -> dict[str, Tensor]:
    for prefix in WRAPPERS:
        if state and all(key.startswith(prefix) for key in state):
            return _unwrapped({key.removeprefix(prefix): value for key, value in state.items()})
    return state


def _needed(own: Mapping[str, Tensor]) -> list[str]:
    """The weights that take part in the computation; today's MONAI carries others that UNETR never uses."""
    return [key for key in own if ".norm_cross_attn." not in key]


def _check_encoder(
    own: Mapping[str, Tensor], state: Mapping[str, Tensor], fitting: Mapping[str, Tensor], source: str | Path
) -> None:
    wanted = [key for key in _needed(own) if key.startswith(ENCODER)]
    wrong = [key for key in wanted if key not in fitting]
    layers = {key.split(".")[2] for key in state if key.startswith(f"{ENCODER}blocks.")}
    own_layers = {key.split(".")[2] for key in own if key.startswith(f"{ENCODER}blocks.")}
    if wrong:
        found = f"has {tuple(state[wrong[0]].shape)}" if wrong[0] in state else "is not there"
        raise ModelError(
            f"{source} cannot start this network: of its encoder {wrong[0]} {found} instead of "
            f"{tuple(own[wrong[0]].shape)}.",
            "Use a UNETR of the same window, hidden_size, mlp_dim and layers.",
        )
    if layers != own_layers:
        raise ModelError(
            f"{source} cannot start this network: its encoder has {len(layers)} layers instead of {len(own_layers)}.",
            "Use a UNETR of the same number of layers.",
        )

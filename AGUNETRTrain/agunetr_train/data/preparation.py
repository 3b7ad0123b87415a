"""Cases as the network sees them, kept on disk so that they are resampled once.

The image goes through the same :func:`agunetr.inference.resampling.prepare` as at inference: RAS axes, isotropic
spacing, intensities in [0, 1], cropped to the body. A *soft* mask is resampled linearly: at 3 mm a voxel on the organ's
rim is often half spleen, and saying so to the network gives a finer outline after the way back than a hard mask could.
A *nearest* mask is 0 or 1.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from agunetr.errors import InputError, OutputError
from agunetr.inference.reading import read_mask, read_volume
from agunetr.inference.resampling import prepare, resample_mask, restore
from agunetr.inference.volume import Volume
from agunetr.inference.writing import new_file
from agunetr_train.data.cases import Case
from agunetr_train.data.checksums import file_checksum

FORMAT = 2
"""Part of the cache key; grows when the preparation changes."""
GRID_TOLERANCE_MM = 0.1
Labels = Literal["soft", "nearest"]


def read_case(case: Case) -> tuple[Volume, Volume]:
    """The CT (HU) and its mask (uint8, 0 and 1; maybe empty) of one case.

    Raises:
        InputError: a file cannot be used, the grids differ, or the mask holds other values than 0 and 1.
    """
    image = read_volume(case.image)[0]
    return image, read_case_mask(case, image)


def read_case_mask(case: Case, image: Volume) -> Volume:
    """The mask (uint8, 0 and 1; maybe empty) of a case whose CT is ``image``.

    Raises:
        InputError: see :func:`read_case`.
    """
    label = read_mask(case.label)
    if label.size != image.size:
        raise InputError(
            f"CT and mask of the case {case.name} have {_times(image.size)} and {_times(label.size)} voxels.",
            "Resample the mask onto the CT.",
        )
    if not label.same_grid(image, GRID_TOLERANCE_MM):
        raise InputError(
            f"CT and mask of the case {case.name} lie on different grids (spacing, place or direction differ).",
            "Resample the mask onto the CT.",
        )
    highest = int(label.array.max())
    if highest > 1:
        raise InputError(
            f"The mask of the case {case.name} holds the value {highest}.", "Use 0 for background and 1 for the organ."
        )
    return Volume(label.array.astype(np.uint8, copy=False), image.ijk_to_ras)


def prepare_case(
    case: Case, spacing_mm: float, intensity_range: tuple[float, float], labels: Labels = "soft"
) -> dict[str, torch.Tensor]:
    """Image and mask at an isotropic spacing.

    Returns:
        ``image``, (1, R, A, S) float16 in [0, 1], and ``label`` of the same shape: float16 in [0, 1] where ``labels``
        is soft, else uint8, 0 or 1.
    """
    image, label = read_case(case)
    seen = prepare(image, (spacing_mm,) * 3, intensity_range)
    if labels == "soft":
        mask = restore(label.with_array(label.array.astype(np.float32)), seen).astype(np.float16)
    else:
        mask = resample_mask(label, seen).astype(np.uint8, copy=False)
    return {"image": _network_order(seen.array.astype(np.float16)), "label": _network_order(mask)}


def cached_case(
    case: Case,
    spacing_mm: float,
    intensity_range: tuple[float, float],
    labels: Labels,
    cache: Path,
) -> Path:
    """The file of :func:`prepare_case`'s tensors, made if it is not there yet.

    The name holds a digest of both files' contents and of all parameters, so it never has to be looked into to know
    that it fits. Two processes may ask at once: each writes a temporary file of its own and the last rename wins, with
    equal contents.

    Raises:
        InputError: see :func:`read_case`.
        OutputError: the cache cannot be written to.
    """
    parameters = (FORMAT, float(spacing_mm), *(float(value) for value in intensity_range), labels)
    digest = hashlib.sha256(repr(parameters).encode())
    for path in (case.image, case.label):
        digest.update(content_key(path).encode())
    target = Path(cache) / f"{case.name}-{spacing_mm:g}mm-{labels}-{digest.hexdigest()[:16]}.safetensors"
    if target.is_file():
        return target
    save_prepared(prepare_case(case, spacing_mm, intensity_range, labels), target, case)
    return target


def save_prepared(tensors: dict[str, torch.Tensor], target: Path, case: Case) -> None:
    """Write a file for :func:`map_prepared`, which has its name only when it is whole.

    Raises:
        OutputError: the cache cannot be written to.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with new_file(target, overwrite=True) as temporary:
            save_file(tensors, temporary)
    except (OSError, SafetensorError) as error:
        raise OutputError(
            f"The prepared case {case.name} cannot be written to {target.parent} ({error}).",
            "Free some space, or choose another folder with --cache.",
        ) from error


def content_key(path: Path) -> str:
    """The SHA-256 of a file.

    Raises:
        InputError: it cannot be read.
    """
    try:
        return file_checksum(path)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error}).", "Check the file.") from error


def load_prepared(path: Path) -> dict[str, np.ndarray]:
    """``image`` and ``label``, (1, R, A, S) float32, of a file of :func:`cached_case`.

    Raises:
        InputError: see :func:`map_prepared`.
    """
    return {name: tensor.float().numpy() for name, tensor in map_prepared(path).items()}


def map_prepared(path: Path) -> dict[str, torch.Tensor]:
    """As :func:`prepare_case` gives them, without reading: parts of the file come into memory when they are touched.

    Raises:
        InputError: the file is missing or damaged.
    """
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"The prepared case {path} cannot be read ({error}).", "Remove it.") from error


def _network_order(array: np.ndarray) -> torch.Tensor:
    """(S, A, R) to (1, R, A, S)."""
    return torch.from_numpy(np.ascontiguousarray(array.transpose(2, 1, 0))[None])


def _times(size: tuple[int, int, int]) -> str:
    return " x ".join(map(str, size))

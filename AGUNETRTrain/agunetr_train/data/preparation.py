"""Cases as the network sees them, kept on disk so that they are resampled once.

The image goes through the same :func:`agunetr.inference.resampling.prepare` as at inference. The mask is resampled
linearly and stays *soft*: at 3 mm a voxel on the organ's rim is often half spleen, and saying so to the network gives a
finer outline after the way back than a hard mask could.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

import numpy as np

from agunetr.errors import InputError
from agunetr.inference.reading import read_mask, read_volume
from agunetr.inference.resampling import prepare, restore
from agunetr.inference.volume import Volume
from agunetr_train.data.cases import Case

FORMAT = 1
"""Part of the cache key; grows when the preparation changes."""


def read_case(case: Case) -> tuple[Volume, Volume]:
    """The CT (HU) and its mask (uint8, 0 and 1) of one case.

    Raises:
        InputError: a file cannot be used, the grids differ, or the mask is empty or holds other values than 0 and 1.
    """
    image, _ = read_volume(case.image)
    label = read_mask(case.label)
    if not label.same_grid(image, tolerance_mm=0.1):
        raise InputError(
            f"CT and mask of the case {case.name} lie on different grids.", "Resample the mask onto the CT."
        )
    values = np.unique(label.array)
    if not np.isin(values, (0, 1)).all():
        raise InputError(
            f"The mask of the case {case.name} holds the value {values[-1]}.",
            "Use 0 for background and 1 for the organ.",
        )
    if values[-1] == 0:
        raise InputError(f"The mask of the case {case.name} is empty.", "Leave the case out or correct its mask.")
    return image, Volume(label.array.astype(np.uint8), image.ijk_to_ras)


def prepare_case(case: Case, spacing_mm: float, intensity_range: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Image and soft mask at an isotropic spacing.

    Returns:
        Two (1, R, A, S) float32 arrays in [0, 1].
    """
    image, label = read_case(case)
    seen = prepare(image, (spacing_mm,) * 3, intensity_range)
    soft = restore(label.with_array(label.array.astype(np.float32)), seen)
    return _network_order(seen.array), _network_order(soft)


def _network_order(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array.transpose(2, 1, 0), dtype=np.float32)[None]


def cached_case(case: Case, spacing_mm: float, intensity_range: tuple[float, float], cache: Path) -> Path:
    """The file of :func:`prepare_case`'s arrays (``image``, ``label``), made if it is not there yet.

    The name holds a digest of both files' contents and of the parameters. Two processes may ask at once: each writes a
    temporary file of its own and the last rename wins, with equal contents.
    """
    digest = hashlib.sha256(repr((FORMAT, spacing_mm, tuple(intensity_range))).encode())
    for path in (case.image, case.label):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    target = cache / f"{case.name}-{spacing_mm:g}mm-{digest.hexdigest()[:16]}.npz"
    if target.is_file():
        return target
    image, label = prepare_case(case, spacing_mm, intensity_range)
    cache.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=cache, suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, image=image.astype(np.float16), label=label.astype(np.float16))
        os.replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return target


def load_prepared(path: Path) -> dict[str, np.ndarray]:
    """``image`` and ``label``, (1, R, A, S) float32, of a file of :func:`cached_case`."""
    with np.load(path) as arrays:
        return {name: arrays[name].astype(np.float32) for name in ("image", "label")}

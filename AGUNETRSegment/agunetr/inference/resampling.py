"""From the scanner's grid to the model's grid and back.

The model's grid is a lattice fixed by the input alone: its axes are the input's own axes, permuted and flipped to run
as nearly as possible to the patient's right, anterior and superior; its first voxel centre is the input's voxel centre
at that corner; its spacing is the model's. (MONAI's ``Orientation("RAS")`` followed by ``Spacing`` defines the same.)
An oblique scan stays oblique, so nothing is rotated. Cropping to the body takes a part of this lattice and never moves
it, so that results with and without the crop agree voxel by voxel.

Nothing is reoriented in memory: orientation, spacing and crop are done at once
(:mod:`agunetr.inference.axis_resampling` on the way to the model's grid, ITK's resampler on all others).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import permutations

import numpy as np
import SimpleITK as sitk

from agunetr.inference.axis_resampling import resample_along_axes
from agunetr.inference.body import Box, body_box, foreground_box, whole_box
from agunetr.inference.volume import LPS_TO_RAS, Volume

_RESAMPLED_AS_THEY_ARE = {np.dtype(name) for name in ("int16", "uint8", "uint16", "int32", "float32")}

SLAB_VOXELS = 1 << 23
"""Restored at a time: 32 MB of float32."""


def nearest_ras_axes(volume: Volume) -> tuple[tuple[int, int, int], tuple[bool, bool, bool]]:
    """Which index axis runs most nearly right, anterior and superior, and whether it must be flipped for that.

    Returns:
        ``(axes, flips)``: ``axes[0]`` is the index axis (0 = i, 1 = j, 2 = k) that becomes right, and so on.
    """
    directions = volume.directions
    # Deciding on all three axes together keeps them distinct for every oblique angle, 45 degrees included.
    axes = max(permutations(range(3)), key=lambda order: sum(abs(directions[row, order[row]]) for row in range(3)))
    flips = tuple(bool(directions[row, axes[row]] < 0) for row in range(3))
    return axes, flips  # type: ignore[return-value]


def model_grid(volume: Volume, spacing_mm: Sequence[float]) -> tuple[tuple[int, int, int], np.ndarray]:
    """Size (i, j, k) and 4x4 ijk_to_ras (RAS+ mm) of the whole model's grid for ``volume``.

    Args:
        volume: the input.
        spacing_mm: the model's spacing along right, anterior, superior.

    Raises:
        ValueError: ``spacing_mm`` is not three positive numbers.
    """
    wanted = np.asarray(spacing_mm, dtype=np.float64)
    if wanted.shape != (3,) or not np.all(np.isfinite(wanted)) or np.any(wanted <= 0):
        raise ValueError(f"spacing_mm must be three positive numbers, not {spacing_mm!r}.")
    axes, flips = nearest_ras_axes(volume)
    first = np.array([0.0, 0.0, 0.0])
    matrix = np.eye(4)
    size = []
    for row, (axis, flip) in enumerate(zip(axes, flips, strict=True)):
        voxels = volume.size[axis]
        if flip:
            first[axis] = voxels - 1
        matrix[:3, row] = volume.directions[:, axis] * (-1 if flip else 1) * wanted[row]
        length = (voxels - 1) * volume.spacing_mm[axis] / wanted[row]
        # Half a voxel rounds up: what lies beyond the last centre is then always less than half a voxel away.
        size.append(int(np.floor(length + 0.5 + 1e-6)) + 1)
    matrix[:3, 3] = volume.ras_of(first)
    return (size[0], size[1], size[2]), matrix


def crop(volume: Volume, box: Box) -> Volume:
    """The part of ``volume`` inside ``box``, at its place in the patient; the voxels are a view."""
    (i0, i1), (j0, j1), (k0, k1) = box
    matrix = volume.ijk_to_ras.copy()
    matrix[:3, 3] = volume.ras_of(np.array([i0, j0, k0]))
    return Volume(volume.array[k0:k1, j0:j1, i0:i1], matrix)


def prepared_grid(volume: Volume, spacing_mm: Sequence[float], body: Box | None = None) -> Volume:
    """The grid of what :func:`prepare` makes: its geometry alone, with the memory of one voxel.

    Args:
        volume: the input.
        spacing_mm: the model's spacing along right, anterior, superior.
        body: the box (i, j, k) of ``volume`` that is wanted, as :func:`agunetr.inference.body.body_box` gives it; all
            of it where None.

    Raises:
        ValueError: the spacing cannot be used.
    """
    size, matrix = model_grid(volume, spacing_mm)
    whole = Volume(np.broadcast_to(np.float32(0), size[::-1]), matrix)
    inside = None if body is None else _box_on_grid(body, volume, size, matrix)
    return whole if inside is None else crop(whole, inside)


def prepare(
    volume: Volume,
    spacing_mm: Sequence[float],
    intensity_range: Sequence[float],
    body_crop: bool = True,
    grid: Volume | None = None,
) -> Volume:
    """What a network sees: RAS axes, the model's spacing, intensities scaled to [0, 1], cropped to the body.

    Args:
        volume: a CT, HU; int16 or float32, finite (see :func:`agunetr.inference.checks.check_volume`).
        spacing_mm: the model's spacing along right, anterior, superior.
        intensity_range: (lowest, highest) HU; mapped to 0 and 1, clipped outside.
        body_crop: leave out the air around the body, where no ``grid`` is given.
        grid: what :func:`prepared_grid` gave for this spacing, or what :func:`crop` cut out of it, where only that
            part is wanted; the whole of it where None.

    Returns:
        float32 on the model's grid, or on a part of it; linear between voxels, the edge value beyond the last centre.

    Raises:
        ValueError: a spacing or the intensity range cannot be used.
    """
    low, high = (float(value) for value in intensity_range)
    if not low < high:
        raise ValueError(f"intensity_range must grow, not {tuple(intensity_range)!r}.")
    if grid is None:
        grid = prepared_grid(volume, spacing_mm, body_box(volume, low) if body_crop else None)

    def scale(plane: np.ndarray) -> None:
        np.clip(plane, low, high, out=plane)
        plane -= low
        plane /= high - low

    scaled = resample_along_axes(volume, grid, scale)
    if scaled is None:
        source = crop(volume, _box_around(grid.size, grid.ijk_to_ras, volume, margin=2) or whole_box(volume))
        scaled = _resample(source, grid.size, grid.ijk_to_ras, sitk.sitkLinear, sitk.sitkFloat32, extend=True)
        for plane in scaled:
            scale(plane)
    return Volume(scaled, grid.ijk_to_ras)


def restore(probability: Volume, onto: Volume, negligible: float = 1e-3) -> np.ndarray:
    """Probabilities of the model's grid, linearly interpolated on the input's own grid.

    Args:
        probability: on the model's grid (or any other).
        onto: the input; only its geometry is used.
        negligible: values up to this are taken as 0 where no greater one is near, so that work and memory
            follow the size of the organ and not that of the scan.

    Returns:
        (z, y, x) float32, the shape of ``onto.array``; 0 outside the model's grid.
    """
    result = np.zeros(onto.array.shape, np.float32)  # the pages that stay 0 take no memory
    part = _onto_part(probability, onto, negligible, sitk.sitkLinear, sitk.sitkFloat32)
    if part is not None:
        box, values = part
        _place(result, box, values)
    return result


def restored_slabs(
    values_in: Callable[[Box], np.ndarray], part: Volume, onto: Volume
) -> Iterator[tuple[Box, np.ndarray]]:
    """As :func:`restore`, slab by slab: the memory of a few slabs, however large the part is.

    Args:
        values_in: gives the (z, y, x) values inside a box (i, j, k) of ``part``, any number of times.
        part: a part of the model's grid; only its geometry is used.
        onto: the input; only its geometry is used.

    Returns:
        Boxes (i, j, k) of ``onto`` and the values (z, y, x) in them; where there is none, all is 0.
    """
    box = _box_around(part.size, part.ijk_to_ras, onto, margin=1)
    if box is None:
        return
    in_i, in_j, (first, stop) = box
    thickness = max(1, SLAB_VOXELS // ((in_i[1] - in_i[0]) * (in_j[1] - in_j[0])))
    for k in range(first, stop, thickness):
        slab = (in_i, in_j, (k, min(k + thickness, stop)))
        target = crop(onto, slab)
        # Two more voxels on each side: ITK takes the last centre's value for the half voxel beyond it.
        source = _box_around(target.size, target.ijk_to_ras, part, margin=2)
        if source is not None:
            values = Volume(values_in(source), crop(part, source).ijk_to_ras)
            yield slab, _resample(values, target.size, target.ijk_to_ras, sitk.sitkLinear, sitk.sitkFloat32, False)


def resample_mask(mask: Volume, onto: Volume) -> np.ndarray:
    """A mask or label map on another grid, by nearest neighbour through the geometry.

    Args:
        mask: bool or whole numbers, 0 is background.
        onto: only its geometry is used.

    Returns:
        (z, y, x), the shape of ``onto.array``; the type of ``mask`` (uint8 for bool); 0 outside ``mask``'s grid.
    """
    array = mask.array
    if array.dtype == bool:
        array = array.view(np.uint8) if array.flags.c_contiguous else array.astype(np.uint8)
    if mask.same_grid(onto):
        return array.copy()
    result = np.zeros(onto.array.shape, array.dtype)
    part = _onto_part(Volume(array, mask.ijk_to_ras), onto, 0, sitk.sitkNearestNeighbor, None)
    if part is not None:
        box, values = part
        _place(result, box, values)
    return result


def _onto_part(
    source: Volume, onto: Volume, above: float, interpolator: int, pixel_type: int | None
) -> tuple[Box, np.ndarray] | None:
    tight = foreground_box(source.array, above)
    if tight is None:
        return None
    wide = tuple(
        (max(0, first - 1), min(voxels, stop + 1)) for (first, stop), voxels in zip(tight, source.size, strict=True)
    )
    part = crop(source, wide)  # type: ignore[arg-type]
    box = _box_around(part.size, part.ijk_to_ras, onto, margin=1)
    if box is None:
        return None
    target = crop(onto, box)
    return box, _resample(part, target.size, target.ijk_to_ras, interpolator, pixel_type, extend=False)


def _place(result: np.ndarray, box: Box, values: np.ndarray) -> None:
    (i0, i1), (j0, j1), (k0, k1) = box
    result[k0:k1, j0:j1, i0:i1] = values


def _corners(size: Sequence[int]) -> np.ndarray:
    """(8, 3) indices of the outer corners, half a voxel beyond the corner voxels' centres."""
    return np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)]) * np.asarray(size) - 0.5


def _box_around(size: Sequence[int], matrix: np.ndarray, grid: Volume, margin: int) -> Box | None:
    """The index box of ``grid`` that holds a grid of ``size`` and ``matrix``; None where they do not meet."""
    to_grid = np.linalg.inv(grid.ijk_to_ras) @ matrix
    indices = _corners(size) @ to_grid[:3, :3].T + to_grid[:3, 3]
    return _whole_indices(indices, grid.size, margin)


def _box_on_grid(box: Box, volume: Volume, size: Sequence[int], matrix: np.ndarray) -> Box | None:
    """A box of ``volume`` as a box of the grid of ``size`` and ``matrix``."""
    part = crop(volume, box)
    to_grid = np.linalg.inv(matrix) @ part.ijk_to_ras
    indices = _corners(part.size) @ to_grid[:3, :3].T + to_grid[:3, 3]
    return _whole_indices(indices, size, margin=0)


def _whole_indices(indices: np.ndarray, size: Sequence[int], margin: int) -> Box | None:
    first = np.maximum(np.floor(indices.min(axis=0)).astype(int) - margin, 0)
    stop = np.minimum(np.ceil(indices.max(axis=0)).astype(int) + margin + 1, size)
    if np.any(first >= stop):
        return None
    spans = [(int(a), int(b)) for a, b in zip(first, stop, strict=True)]
    return spans[0], spans[1], spans[2]


def _without_dust(matrix: np.ndarray) -> np.ndarray:
    """``matrix`` with components that are nothing but rounding set to 0.

    ITK inverts directions by a singular value decomposition that fails, without an error, where a square underflows.
    """
    return np.where(np.abs(matrix) < 1e-12, 0.0, matrix)


def _resample(
    source: Volume,
    size: Sequence[int],
    matrix: np.ndarray,
    interpolator: int,
    pixel_type: int | None,
    extend: bool,
) -> np.ndarray:
    """One call of ITK's multi-threaded resampler; ``extend`` takes the nearest edge value outside, else 0."""
    array = source.array
    if array.dtype not in _RESAMPLED_AS_THEY_ARE and interpolator == sitk.sitkLinear:
        array = array.astype(np.float32)
    image = Volume(np.ascontiguousarray(array), _without_dust(source.ijk_to_ras)).to_sitk()
    lps = LPS_TO_RAS @ _without_dust(matrix)
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    resampler = sitk.ResampleImageFilter()
    resampler.SetSize([int(voxels) for voxels in size])
    resampler.SetOutputOrigin(lps[:3, 3].tolist())
    resampler.SetOutputSpacing(spacing.tolist())
    resampler.SetOutputDirection((lps[:3, :3] / spacing).ravel().tolist())
    resampler.SetInterpolator(interpolator)
    resampler.SetDefaultPixelValue(0.0)
    resampler.SetUseNearestNeighborExtrapolator(extend)
    if pixel_type is not None:
        resampler.SetOutputPixelType(pixel_type)
    return sitk.GetArrayFromImage(resampler.Execute(image))

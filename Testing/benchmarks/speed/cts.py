"""The CTs of the benchmark: real ones where there are some, phantoms elsewhere, and CTs of a size made from them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from agunetr.inference.reading import read_volume
from agunetr.inference.volume import Volume
from agunetr.inference.writing import write_volume
from agunetr.models.library import ModelLibrary
from agunetr.models.localiser import installed_localiser
from agunetr.phantom import make_phantom

PHANTOM_SEED = 11


@dataclass(frozen=True)
class BenchCT:
    """A CT of the benchmark.

    Attributes:
        file: where it lies.
        what: for people; names no folder of this machine.
        label: its spleen mask, where there is one.
    """

    file: Path
    what: str
    label: Path | None = None


def labelled_cases(data: Path) -> dict[str, tuple[BenchCT, dict[str, Any]]]:
    """The labelled CTs below a folder (``<case>/ct.nii.gz``, ``spleen.nii.gz``, ``case.json``) and their facts."""
    cases = {}
    for file in sorted(data.glob("*/ct.nii.gz")):
        name, record, label = file.parent.name, file.parent / "case.json", file.parent / "spleen.nii.gz"
        facts = json.loads(record.read_text(encoding="utf-8")) if record.is_file() else {}
        if label.is_file():
            cases[name] = BenchCT(file, f"the real CT {name}", label), facts
    return cases


def choose_case(data: Path) -> BenchCT:
    """A contrast CT with the whole spleen that no installed model was trained on; the first labelled one without such.

    Raises:
        FileNotFoundError: the folder holds no labelled CT.
    """
    cases = labelled_cases(data)
    if not cases:
        raise FileNotFoundError(f"{data.name} holds no labelled CT (<case>/ct.nii.gz with spleen.nii.gz).")
    models = [*ModelLibrary().list(), *filter(None, [installed_localiser()])]
    known = {source["name"] for model in models for source in model.description.training_data}
    wanted = [
        ct
        for name, (ct, facts) in cases.items()
        if facts.get("whole_spleen") and facts.get("contrast") and name not in known
    ]
    return wanted[0] if wanted else next(iter(cases.values()))[0]


def given_ct(file: Path, folder: Path) -> BenchCT:
    """A CT that the user named; what is no NIfTI file becomes one in ``folder``, since MONAI reads little else.

    Raises:
        InputError: it cannot be read.
    """
    what = f"the CT given, {file.name}"
    if file.name.endswith((".nii", ".nii.gz")):
        return BenchCT(file, what)
    volume, _notices = read_volume(file)
    return BenchCT(write_volume(volume, folder / "given.nii.gz", overwrite=True), what)


def phantom_ct(folder: Path) -> BenchCT:
    """A phantom of an abdomen, drawn once."""
    file = folder / f"phantom-{PHANTOM_SEED}.nii.gz"
    if not file.is_file():
        write_volume(make_phantom(PHANTOM_SEED).ct, file)
    return BenchCT(file, f"a phantom, seed {PHANTOM_SEED}")


def filled_ct(file: Path, seed: int) -> BenchCT:
    """A small scan that tissue fills to its edges: both pipelines then crop nothing and cut the same windows."""
    rng = np.random.default_rng(seed)
    z, y, x = np.mgrid[-1:1:40j, -1:1:52j, -1:1:56j].astype(np.float32)
    waves = 60 * np.sin(5 * x + 1) * np.cos(4 * y) + 40 * np.sin(6 * z + 3 * x)
    organ = 90 * (((x - 0.3) / 0.4) ** 2 + ((y + 0.2) / 0.4) ** 2 + (z / 0.5) ** 2 < 1)
    voxels = np.clip(waves + organ + rng.normal(0, 8, x.shape), -150, 240).astype(np.int16)
    matrix = np.diag([2.0, 2.0, 2.5, 1.0])
    matrix[:3, 3] = (-60.0, -50.0, 100.0)
    write_volume(Volume(voxels, matrix), file, overwrite=True)
    return BenchCT(file, f"a small scan filled with waves, seed {seed}")


def sized_ct(
    source: BenchCT, size: tuple[int, int, int], spacing_mm: tuple[float, float, float], file: Path
) -> BenchCT:
    """A CT of a size, with the body of ``source``: resampled to the spacing, mirrored upwards where it is too short.

    It is centred in its slices; where they reach beyond those of ``source``, its edge goes on. Nothing is rotated: the
    axes are those of ``source``.

    Args:
        source: the CT.
        size, spacing_mm: along (i, j, k).
        file: where it goes; kept where it is there already.
    """
    columns, rows, slices = size
    what = f"{source.what} as {columns}x{rows}x{slices} voxels of {'x'.join(f'{step:g}' for step in spacing_mm)} mm"
    if file.is_file():
        return BenchCT(file, what)
    volume, _notices = read_volume(source.file)
    extent = [voxels * step for voxels, step in zip(volume.size, volume.spacing_mm, strict=True)]
    there = min(slices, max(1, int(extent[2] / spacing_mm[2])))
    offset = [(extent[axis] - size[axis] * spacing_mm[axis]) / 2 for axis in (0, 1)] + [0.0]
    first = [
        (offset[axis] + 0.5 * spacing_mm[axis]) / volume.spacing_mm[axis] - 0.5 for axis in range(3)
    ]  # the first voxel's centre, as an index of the source
    image = volume.to_sitk()
    resampler = sitk.ResampleImageFilter()
    resampler.SetSize([columns, rows, there])
    resampler.SetOutputOrigin(image.TransformContinuousIndexToPhysicalPoint(first))
    resampler.SetOutputSpacing([float(step) for step in spacing_mm])
    resampler.SetOutputDirection(image.GetDirection())
    resampler.SetInterpolator(sitk.sitkLinear)
    resampler.SetOutputPixelType(sitk.sitkInt16)
    resampler.SetUseNearestNeighborExtrapolator(True)
    short = Volume.from_sitk(resampler.Execute(image))
    if there < slices:
        what += f" (mirrored above slice {there})"
    order = np.arange(slices) % (2 * there)
    order = np.where(order < there, order, 2 * there - 1 - order)
    write_volume(Volume(np.ascontiguousarray(short.array[order]), short.ijk_to_ras), file, overwrite=True)
    return BenchCT(file, what)


def longest_case(data: Path) -> BenchCT:
    """The labelled CT that reaches furthest from head to foot, so that a long CT repeats as little as may be."""
    found = []
    for ct, _facts in labelled_cases(data).values():
        reader = sitk.ImageFileReader()
        reader.SetFileName(str(ct.file))
        reader.ReadImageInformation()
        found.append((reader.GetSize()[2] * reader.GetSpacing()[2], ct))
    return max(found, key=lambda pair: pair[0])[1]

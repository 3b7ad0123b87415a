"""``agunetr phantom``: a made-up CT of an abdomen, with the truth."""

from __future__ import annotations

import argparse
from pathlib import Path

from agunetr.commands.console import Console
from agunetr.commands.exit_codes import OK, UsageError

SUMMARY = "Makes a CT of an imagined abdomen, with the mask of its spleen."
EXAMPLES = """\
  agunetr phantom --output phantom
  agunetr phantom --seed 7 --contrast portal --spacing 0.8 0.8 2.5 --output phantom
  agunetr phantom --no-spleen --output no_spleen

DIR holds ct.nii.gz (HU), spleen.nii.gz (0, 1) and labels.nii.gz (all organs). One seed gives one patient.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument("--output", "-o", required=True, metavar="DIR", help="folder for the files; made if missing")
    parser.add_argument("--seed", type=int, default=0, help="which patient (0)")
    parser.add_argument("--spacing", type=float, nargs=3, metavar="MM", help="distance of voxels along x, y, z")
    parser.add_argument("--size", type=int, nargs=3, metavar="N", help="number of voxels along x, y, z")
    parser.add_argument("--contrast", metavar="PHASE", help="none, arterial, portal or late (drawn by the seed)")
    parser.add_argument("--no-spleen", action="store_true", help="a patient whose spleen was removed")
    parser.add_argument("--overwrite", action="store_true", help="replace files that are already there")


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Makes the phantom and writes its files."""
    from agunetr.inference.result_folder import ResultFolder
    from agunetr.inference.writing import write_volume
    from agunetr.phantom import DEFAULT_SIZE, DEFAULT_SPACING_MM, make_phantom

    spacing = arguments.spacing or DEFAULT_SPACING_MM
    # Another spacing alone shows the same patient in the same field of view.
    field_of_view = [count * step for count, step in zip(DEFAULT_SIZE, DEFAULT_SPACING_MM, strict=True)]
    try:
        size = arguments.size or [round(mm / step) for mm, step in zip(field_of_view, spacing, strict=True)]
        phantom = make_phantom(arguments.seed, size, spacing, not arguments.no_spleen, arguments.contrast)
    except (ValueError, ZeroDivisionError, OverflowError) as error:
        raise UsageError(f"This phantom cannot be made: {error}", "See `agunetr phantom --help`.") from error
    volumes = {"ct.nii.gz": phantom.ct, "spleen.nii.gz": phantom.spleen, "labels.nii.gz": phantom.labels}
    with ResultFolder(Path(arguments.output).expanduser(), list(volumes), arguments.overwrite) as folder:
        for name, volume in volumes.items():
            write_volume(volume, folder.path / name)
        folder.publish()
    spleen_ml = int(phantom.spleen.array.sum()) * phantom.spleen.voxel_ml
    files = {name: str(folder.output / name) for name in volumes}
    console.event(
        "phantom", seed=phantom.seed, contrast=phantom.contrast, size=phantom.ct.size,
        spacing_mm=phantom.ct.spacing_mm, spleen_ml=spleen_ml, files=files,
    )  # fmt: skip
    voxels = " x ".join(map(str, phantom.ct.size))
    console.say(f"Patient {phantom.seed}: {voxels} voxels, {phantom.contrast} contrast, spleen {spleen_ml:.1f} ml")
    for path in files.values():
        console.say(f"  {path}")
    return OK

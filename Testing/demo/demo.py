"""``make demo``: segment a CT with both embedded models and show what came out.

Takes the CT given, else a public sample, else a phantom. Writes into a new folder: the masks (``.nii.gz`` and
``.seg.nrrd``), the gated model's attention maps, ``result.json``, a Slicer scene ``scene.mrb`` and ``overview.png``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODELS = ("compact-base", "compact-gated")


def main() -> int:
    """Run the demo; returns the exit code of the first step that failed, else 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ct", type=Path, help="any CT: NIfTI, NRRD, MetaImage or a folder with a DICOM series")
    parser.add_argument("--output", type=Path, default=ROOT / "demo", help="results go into a new folder in it (demo)")
    options = parser.parse_args()
    if options.ct is None:
        from sample_ct import sample_ct

        ct, sentence = sample_ct(options.output / "sample")
    else:
        ct, sentence = options.ct, f"The CT given: {options.ct}."
    print(sentence, flush=True)
    folder = free_folder(options.output, case_name(ct))
    command = [sys.executable, "-m", "agunetr", "segment", str(ct), "--attention", "--output", str(folder)]
    for model in MODELS:
        command += ["--model", model]
    code = subprocess.run(command, check=False).returncode
    if code:
        return code
    return show(ct, folder)


def case_name(ct: Path) -> str:
    """The file's name without the endings of image files."""
    name = ct.resolve().name
    for ending in (".nii.gz", ".nii", ".nrrd", ".mha", ".mhd"):
        name = name.removesuffix(ending)
    return name


def free_folder(parent: Path, name: str) -> Path:
    """A folder in ``parent`` that does not exist yet, so that no earlier result is touched."""
    parent.mkdir(parents=True, exist_ok=True)
    number = 1
    while (folder := parent / (name if number == 1 else f"{name}-{number}")).exists():
        number += 1
    return folder


def show(ct: Path, folder: Path) -> int:
    """Write the ``.seg.nrrd`` files, the picture and the scene next to the results, and say what is where."""
    from figure import draw, load_masks

    from agunetr.errors import AgunetrError
    from agunetr.inference.reading import read_mask, read_volume
    from agunetr.inference.volume import Volume
    from agunetr.inference.writing import write_segmentation, write_volume

    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    try:
        volume, _ = read_volume(ct)
    except AgunetrError as error:
        print(error, file=sys.stderr)
        return 3
    for entry in result["models"]:
        write_segmentation(read_mask(folder / entry["mask"]), folder / f"{entry['name']}.seg.nrrd")
    gated = result["models"][-1]
    finest = next(iter(gated["attention"].values()), None)
    attention = None
    if finest is not None:
        import SimpleITK as sitk

        attention = Volume.from_sitk(sitk.ReadImage(str(folder / finest)))
    agreement = result["agreement"][0]["dice"]
    title = f"{case_name(ct)}: Dice between base and gated {agreement:.3f}"
    masks = load_masks(folder, result["models"], volume)
    draw(volume, masks, attention, result, title, folder / "overview.png")
    ct_for_scene = ct
    if ct.is_dir():
        ct_for_scene = write_volume(volume, folder / "ct.nii.gz")
    scene = [sys.executable, str(Path(__file__).with_name("scene.py")), str(ct_for_scene), str(folder)]
    code = subprocess.run([*scene, str(folder / "scene.mrb")], check=False).returncode
    if code:
        return code
    for entry in result["models"]:
        print(f"{entry['name']}: {entry['volume_ml']:.0f} ml")
        for warning in entry["warnings"]:
            print(f"  {warning['message']}")
    for warning in result["warnings"]:
        print(f"Note: {warning['message']}")
    print(f"Dice between the two: {agreement:.3f}; {result['seconds']['total']:.1f} s on {result['device']}.")
    print(f"Look at {folder / 'overview.png'}, or open {folder / 'scene.mrb'} in 3D Slicer.")
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    sys.exit(main())

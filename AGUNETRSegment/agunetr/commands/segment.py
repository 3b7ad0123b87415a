"""``agunetr segment``: masks, attention maps and measurements of one or many CTs."""

from __future__ import annotations

import argparse
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agunetr.commands.console import Console
from agunetr.commands.exit_codes import CANCELLED, OK, SOME_FAILED, UsageError, exit_code
from agunetr.commands.interruption import interruptible
from agunetr.errors import Cancelled
from agunetr.worker_requests import SegmentRequest

SUMMARY = "Segments the spleen in one CT or in many."
EXAMPLES = """\
  agunetr segment ct.nii.gz --output result
  agunetr segment ct.nrrd --model compact-base --model compact-gated --attention --output result
  agunetr segment dicom_folder --series 1.2.840.113619.2.55 --output result
  agunetr segment cts/*.nii.gz --output results --json

For one CT the folder holds <model>.nii.gz, with --attention <model>_<gate>.nii.gz, and result.json.
For several, each CT has a folder of its own in it: results/<case>/<model>.nii.gz and so on.
"""
DEFAULT_MODEL = "compact-gated"
IMAGE_SUFFIXES = (".nii.gz", ".nii", ".seg.nrrd", ".nrrd", ".nhdr", ".mha", ".mhd", ".img", ".hdr", ".gz")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument("ct", nargs="+", help="NIfTI, NRRD or MetaImage file, or a folder with a DICOM series")
    parser.add_argument("--output", "-o", required=True, metavar="DIR", help="folder for the results; made if missing")
    parser.add_argument(
        "--model", "-m", action="append", metavar="NAME",
        help=f"model name or folder, repeatable ({DEFAULT_MODEL}); see `agunetr models list`",
    )  # fmt: skip
    parser.add_argument("--overwrite", action="store_true", help="replace results that are already there")
    parser.add_argument("--series", metavar="UID", help="DICOM series to take (the largest CT series)")

    speed = parser.add_argument_group("where and how exactly")
    speed.add_argument("--device", default="auto", metavar="DEVICE", help="auto, cpu, cuda, cuda:N or mps (auto)")
    speed.add_argument(
        "--precision", default="auto", choices=("auto", "exact", "fast"),
        help="exact: float32; fast: bfloat16; auto: fast where the hardware has it",
    )  # fmt: skip
    speed.add_argument("--overlap", type=float, metavar="FRACTION", help="overlap of windows, from 0 to below 1")
    speed.add_argument("--window-batch", type=int, metavar="N", help="windows computed at a time")

    maps = parser.add_argument_group("attention maps")
    maps.add_argument("--attention", action="store_true", help="also write the maps of all gates")
    maps.add_argument("--gate", action="append", metavar="NAME", help="only this gate's map, repeatable, e.g. enc1")

    after = parser.add_argument_group("clean-up")
    after.add_argument("--threshold", type=float, metavar="P", help="probability from which a voxel is spleen")
    after.add_argument("--keep-all-components", action="store_true", help="keep more than the largest component")
    after.add_argument("--keep-holes", action="store_true", help="do not fill holes")
    after.add_argument("--no-body-crop", action="store_true", help="also search the air around the patient")


def segment_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """The fields of ``SegmentOptions`` that the arguments set; defaults stay with the engine."""
    options: dict[str, Any] = {"device": arguments.device, "precision": arguments.precision}
    for name in ("overlap", "window_batch", "threshold"):
        if getattr(arguments, name) is not None:
            options[name] = getattr(arguments, name)
    if arguments.attention or arguments.gate:
        options["attention"] = tuple(arguments.gate or ("all",))
    options["largest_component"] = not arguments.keep_all_components
    options["fill_holes"] = not arguments.keep_holes
    options["body_crop"] = not arguments.no_body_crop
    return options


def case_names(paths: Sequence[Path]) -> list[str]:
    """A folder name for each CT: its file name without the image suffix, else with its folder's name in front.

    Raises:
        UsageError: two CTs cannot be told apart, so one result would replace the other; or a CT has no name that a
            folder inside the output folder can have.
    """
    # Not resolve(): a link's own name tells cases apart, the name of what it points to may be a checksum.
    paths = [Path(os.path.abspath(path)) for path in paths]
    names = [_stem(path) for path in paths]
    counts = Counter(name.casefold() for name in names)
    names = [
        f"{path.parent.name}_{name}" if counts[name.casefold()] > 1 else name
        for path, name in zip(paths, names, strict=True)
    ]
    counts = Counter(name.casefold() for name in names)
    for path, name in zip(paths, names, strict=True):
        if not name or name.startswith("."):
            raise UsageError(
                f"The results of {path} would be written to a folder called '{name}'.",
                "Rename it, or segment it in a run of its own.",
            )
        if counts[name.casefold()] > 1:
            raise UsageError(
                f"Several CTs would be written to the folder '{name}', one of them {path}.",
                "Rename the files, or segment them in separate runs.",
            )
    return names


def _stem(path: Path) -> str:
    name = path.name or path.absolute().name
    suffix = next((end for end in IMAGE_SUFFIXES if name.lower().endswith(end)), "")
    return name[: len(name) - len(suffix)] or name


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Segments every CT; one that fails does not stop the others."""
    paths = [Path(text).expanduser() for text in arguments.ct]
    output = Path(arguments.output).expanduser()
    if len(paths) == 1:
        folders = [output]
        cases = [_stem(paths[0])]
    else:
        if arguments.series:
            raise UsageError("--series fits one DICOM folder only.", "Segment the folders one by one.")
        cases = case_names(paths)
        folders = [output / case for case in cases]
    models = tuple(arguments.model or (DEFAULT_MODEL,))
    options = segment_options(arguments)

    from agunetr.session import Session

    session = Session()
    session.check(models, options)
    if len(paths) > 1:
        session.make_output_folder(output)
    failures: list[BaseException] = []
    with interruptible() as stop:
        for number, (path, case, folder) in enumerate(zip(paths, cases, folders, strict=True), start=1):
            if stop():
                break
            if len(paths) > 1:
                console.say(f"[{number}/{len(paths)}] {case}")
            request = SegmentRequest(
                case, str(path), models, str(folder), options, arguments.series, arguments.overwrite
            )
            try:
                with console.progress(case=case) as progress:
                    result = session.segment(request, progress, stop)
            except (Exception, KeyboardInterrupt) as error:
                console.error(error, case=case)
                if isinstance(error, Cancelled | KeyboardInterrupt):
                    return CANCELLED
                failures.append(error)
                continue
            console.event("result", case=case, output=folder, result=result)
            console.say(summary(result, folder))
    if stop():
        return CANCELLED
    if not failures:
        return OK
    if len(paths) == 1:
        return exit_code(failures[0])
    console.say(f"{len(failures)} of {len(paths)} CTs failed.")
    return SOME_FAILED


def summary(result: dict[str, Any], folder: Path) -> str:
    """A result for people, a few lines."""
    lines = []
    for model in result["models"]:
        measured = [f"{model['volume_ml']:.1f} ml"]
        if model.get("longest_axis_mm") is not None:
            measured.append(f"{model['longest_axis_mm']:.0f} mm long")
        if model.get("mean_hu") is not None:
            measured.append(f"mean {model['mean_hu']:.0f} HU")
        lines.append(f"{model['name']}: {', '.join(measured)} -> {folder / model['mask']}")
        lines += [f"  {gate}: {folder / file}" for gate, file in (model.get("attention") or {}).items()]
        lines += [f"  warning: {notice['message']}" for notice in model.get("warnings", ())]
    lines += [f"warning: {notice['message']}" for notice in result.get("warnings", ())]
    for pair in result.get("agreement", ()):
        if pair["dice"] is not None:
            lines.append(f"Dice between {pair['first']} and {pair['second']}: {pair['dice']:.4f}")
    seconds = result["seconds"]["total"]
    lines.append(f"{seconds:.1f} s on {result['device']}, {result['precision']}")
    return "\n".join(lines)

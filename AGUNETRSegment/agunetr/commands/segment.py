"""``agunetr segment``: masks, attention maps and measurements of one or many CTs."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agunetr.commands.console import Console
from agunetr.commands.exit_codes import CANCELLED, OK, UsageError, exit_code
from agunetr.commands.segment_many import case_name, case_names, segment_many
from agunetr.commands.segment_text import EVENTS, summary
from agunetr.commands.stop_on_input import add_stop_argument, stoppable
from agunetr.errors import Cancelled
from agunetr.many_scans.cases import Listing
from agunetr.many_scans.share import Share
from agunetr.worker_requests import SegmentRequest

SUMMARY = "Segments the spleen in one CT or in many."
EXAMPLES = f"""\
  agunetr segment ct.nii.gz --output result
  agunetr segment ct.nrrd --model compact-base --model compact-gated --attention --output result
  agunetr segment dicom_folder --series 1.2.840.113619.2.55 --output result
  agunetr segment ct.nii.gz --reference spleen.nii.gz --output result
  agunetr segment cts/*.nii.gz --output results --json
  agunetr segment folder_of_cts --output results
  torchrun --nproc-per-node 4 -m agunetr segment folder_of_cts --output results

For one CT the folder holds <model>.nii.gz, with --attention <model>_<gate>.nii.gz, and result.json.
For several, each CT has a folder of its own in it: results/<case>/<model>.nii.gz and so on, and cases.json and
cases.csv say what became of each. A folder of CTs holds NIfTI, NRRD or MetaImage files, or subfolders with the DICOM
slices of one study each; a folder with the slices or with several series of one study is one CT. Masks and maps among
the CTs are left out, known by their values.

The next CT is read and the last one written while the network runs. After an interruption, the same command skips the
finished cases; a case whose results are of other models, other options or another CT is refused. With --overwrite all
are segmented again. A failed case does not stop the others; the exit code is then 7.

torchrun shares the cases among processes, a GPU each where there are any: case i (from 0) goes to rank i modulo the
number of processes, which reports it alone; cases.json has all. torchrun itself returns 1 where a case failed. On
several machines DIR must be a folder that all of them see. Where it leaves each process one thread (OMP_NUM_THREADS=1,
its default), the cores of the machine are shared out instead; another number is kept.

{EVENTS}"""
DEFAULT_MODEL = "compact-gated"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument(
        "ct", nargs="+", help="NIfTI, NRRD or MetaImage file, folder of a DICOM series, or folder of many CTs"
    )
    parser.add_argument("--output", "-o", required=True, metavar="DIR", help="folder for the results; made if missing")
    parser.add_argument(
        "--model", "-m", action="append", metavar="NAME",
        help=f"model name or folder, repeatable ({DEFAULT_MODEL}); see `agunetr models list`",
    )  # fmt: skip
    parser.add_argument("--overwrite", action="store_true", help="replace results that are already there")
    add_stop_argument(parser)
    parser.add_argument("--series", metavar="UID", help="DICOM series to take (the largest CT series)")

    speed = parser.add_argument_group("where and how exactly")
    speed.add_argument("--device", default="auto", metavar="DEVICE", help="auto, cpu, cuda, cuda:N or mps (auto)")
    speed.add_argument(
        "--engine", default="auto", choices=("auto", "torch", "openvino"),
        help="torch: PyTorch; openvino: OpenVINO, on CPUs; auto: OpenVINO on a CPU where it is installed",
    )  # fmt: skip
    speed.add_argument(
        "--precision", default="auto", choices=("auto", "exact", "fast"),
        help="exact: float32; fast: bfloat16; auto: fast where the hardware has it",
    )  # fmt: skip
    speed.add_argument("--overlap", type=float, metavar="FRACTION", help="overlap of windows, from 0 to below 1")
    speed.add_argument(
        "--window-batch", type=int, metavar="N",
        help="windows computed at a time (as many as fit into a GPU's free memory; 1 on a CPU)",
    )  # fmt: skip
    speed.add_argument(
        "--allow-cpu", action="store_true", help="go on on the CPU where the GPU has too little memory for one window"
    )

    speed.add_argument(
        "--no-localise", action="store_true", help="search the whole scan; without this, the spleen is looked for first"
    )
    speed.add_argument(
        "--region", type=float, nargs=6, metavar=("R0", "R1", "A0", "A1", "S0", "S1"),
        help="search only near this box, from R0 to R1 mm along right, A0 to A1 anterior, S0 to S1 superior (RAS)",
    )  # fmt: skip

    maps = parser.add_argument_group("attention maps")
    maps.add_argument("--attention", action="store_true", help="also write the maps of all gates")
    maps.add_argument("--gate", action="append", metavar="NAME", help="only this gate's map, repeatable, e.g. enc1")

    after = parser.add_argument_group("clean-up")
    after.add_argument("--threshold", type=float, metavar="P", help="probability from which a voxel is spleen")
    after.add_argument("--keep-all-components", action="store_true", help="keep more than the largest component")
    after.add_argument("--keep-holes", action="store_true", help="do not fill holes")
    after.add_argument("--no-body-crop", action="store_true", help="also search the air around the patient")


    scores = parser.add_argument_group("scores, for one CT (for several: agunetr evaluate)")
    scores.add_argument(
        "--reference", metavar="MASK", help="mask of the same CT to score each model against: NIfTI, NRRD or MetaImage"
    )
    scores.add_argument(
        "--reference-label", type=int, metavar="N", help="number of the organ where the reference is a label map"
    )


def segment_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """The fields of ``SegmentOptions`` that the arguments set; defaults stay with the engine."""
    options: dict[str, Any] = {
        "device": arguments.device,
        "engine": arguments.engine,
        "precision": arguments.precision,
    }
    for name in ("overlap", "window_batch", "threshold"):
        if getattr(arguments, name) is not None:
            options[name] = getattr(arguments, name)
    if arguments.attention or arguments.gate:
        options["attention"] = tuple(arguments.gate or ("all",))
    if arguments.no_localise:
        options["localise"] = False
    if arguments.region:
        options["region_mm"] = tuple(zip(arguments.region[::2], arguments.region[1::2], strict=True))
    if arguments.allow_cpu:
        options["allow_cpu"] = True
    options["largest_component"] = not arguments.keep_all_components
    options["fill_holes"] = not arguments.keep_holes
    options["body_crop"] = not arguments.no_body_crop
    return options


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Segments one CT, or every CT of a list or a folder."""
    paths = [Path(text).expanduser() for text in arguments.ct]
    output = Path(arguments.output).expanduser()
    listing = _list_cts(paths, output, arguments.series)
    if listing.many and arguments.series:
        raise UsageError("--series fits one DICOM folder only.", "Segment the folders one by one.")
    if listing.many and arguments.reference:
        raise UsageError("--reference fits one CT only.", "Segment them all, then score them with `agunetr evaluate`.")
    if arguments.reference_label is not None and not arguments.reference:
        raise UsageError("--reference-label needs a --reference.", "Name the reference, or leave the label out.")
    models = tuple(arguments.model or (DEFAULT_MODEL,))
    options = segment_options(arguments)
    for notice in listing.notices:
        console.event("notice", **notice.to_dict())
        console.say(f"warning: {notice.message}")
    if listing.many:
        names = case_names(listing.cts)
        return segment_many(listing.cts, names, output, models, options, arguments, console)
    if Share.from_environment(os.environ).rank > 0:
        console.say("There is one CT only, and the process of rank 0 segments it.")
        return OK
    return _segment_one(paths[0], output, models, options, arguments, console)


def _list_cts(paths: Sequence[Path], output: Path, series: str | None) -> Listing:
    if series or not any(path.is_dir() for path in paths):
        return Listing(tuple(paths), len(paths) > 1)

    from agunetr.many_scans.folders import list_cts

    return list_cts(paths, output)


def _segment_one(
    path: Path,
    output: Path,
    models: tuple[str, ...],
    options: dict[str, Any],
    arguments: argparse.Namespace,
    console: Console,
) -> int:
    from agunetr.session import Session

    session = Session()
    session.check(models, options)
    case = case_name(path)
    request = SegmentRequest(
        case, str(path), models, str(output), options, arguments.series, arguments.overwrite,
        arguments.reference, arguments.reference_label,
    )  # fmt: skip
    with stoppable(arguments.stop_on_input, session.discard_unfinished) as stop:
        try:
            with console.progress(case=case) as progress:
                result = session.segment(request, progress, stop)
        except (Exception, KeyboardInterrupt) as error:
            console.error(error, case=case)
            return CANCELLED if isinstance(error, Cancelled | KeyboardInterrupt) else exit_code(error)
        console.event("result", case=case, output=output, result=result)
        console.say(summary(result, output))
        return CANCELLED if stop() else OK

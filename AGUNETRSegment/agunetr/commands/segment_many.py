"""The part of ``agunetr segment`` for many CTs: names of cases, what is said on the way, and the table at the end.

Its events of ``--json`` are described in the command's help, see :data:`agunetr.commands.segment.EVENTS`.
"""

from __future__ import annotations

import argparse
import contextlib
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from agunetr.commands.console import Console, Progress
from agunetr.commands.exit_codes import CANCELLED, INPUT, OK, OUTPUT, SOME_FAILED, UsageError
from agunetr.commands.segment_text import summary
from agunetr.commands.stop_on_input import stoppable
from agunetr.errors import AgunetrError, Cancelled, InputError
from agunetr.many_scans.cases import CANCELLED as CASE_CANCELLED
from agunetr.many_scans.cases import DONE, FAILED, LEFT_OUT, SKIPPED, Case, Outcome
from agunetr.many_scans.share import Share, give_threads_back, wait_for_the_others
from agunetr.session import Session

IMAGE_SUFFIXES = (".nii.gz", ".nii", ".seg.nrrd", ".nrrd", ".nhdr", ".mha", ".mhd", ".img", ".hdr", ".gz")


def case_names(paths: Sequence[Path]) -> list[str]:
    """A folder name for each CT: its file name without the image suffix, else with its folder's name in front.

    Raises:
        UsageError: two CTs cannot be told apart, so one result would replace the other; or a CT has no name that a
            folder inside the output folder can have.
    """
    # Not resolve(): a link's own name tells cases apart, the name of what it points to may be a checksum.
    paths = [Path(os.path.abspath(path)) for path in paths]
    names = [case_name(path) for path in paths]
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


def case_name(path: Path) -> str:
    """The file's or folder's name without the image suffix."""
    name = path.name or path.absolute().name
    suffix = next((end for end in IMAGE_SUFFIXES if name.lower().endswith(end)), "")
    return name[: len(name) - len(suffix)] or name


def segment_many(
    cts: Sequence[Path],
    names: Sequence[str],
    output: Path,
    models: Sequence[str],
    options: dict[str, Any],
    arguments: argparse.Namespace,
    console: Console,
) -> int:
    """Segments this process's share of the CTs; one that fails does not stop the others.

    Returns:
        0 where every case is done or was finished before, 7 where one failed, 3 where none is a CT, 130 after Ctrl+C.

    Raises:
        AgunetrError: what no CT could be segmented with, or into; nothing was written.
    """
    threads = give_threads_back(os.environ)
    if threads:
        console.say(threads)
    share = Share.from_environment(os.environ)
    numbered = enumerate(zip(cts, names, strict=True), start=1)
    cases = [Case(number, name, path, output / name) for number, (path, name) in numbered]
    own = [case for index, case in enumerate(cases) if share.holds(index)]
    session = Session()
    session.check(models, options)

    from agunetr.many_scans.summary import CaseSummary

    if options["engine"] != "openvino":  # which runs on the CPU, whatever GPUs there are
        options = options | {"device": share.device(options["device"])}
    table = CaseSummary(output, cases, share)
    session.make_output_folder(output)
    console.event("listed", cases=[{"case": case.name, "input": case.path, "output": case.output} for case in own])

    @contextlib.contextmanager
    def progress_of(case: Case) -> Iterator[Progress]:
        console.event("started", case=case.name, number=case.number, total=len(cases))
        console.say(f"[{case.number}/{len(cases)}] {case.name}")
        with console.progress(case=case.name) as progress:
            yield progress

    with stoppable(arguments.stop_on_input, session.discard_unfinished) as stop:
        outcomes = session.segment_many(own, models, options, progress_of, stop, arguments.overwrite)
        unwritten: AgunetrError | None = None
        cancelled: Outcome | None = None
        try:
            with contextlib.closing(outcomes):
                for outcome in outcomes:
                    unwritten = _record(table.record, outcome) or unwritten
                    if outcome.state == CASE_CANCELLED:
                        cancelled = outcome
                    else:
                        _report(outcome, console)
        except KeyboardInterrupt as error:
            _record(table.finish)
            console.error(error)
            return CANCELLED
        unwritten = _record(table.finish) or unwritten
        _conclude(table.rows, console)
        if unwritten is not None:
            console.error(unwritten)
        if cancelled is not None or stop():
            error = cancelled.error if cancelled is not None else Cancelled("Cancelled; what was finished is kept.")
            console.error(error, **({"case": cancelled.case.name} if cancelled is not None else {}))
            return CANCELLED
        _wait(share, stop, console)
    states = [row["state"] for row in table.rows]
    if FAILED in states:
        return SOME_FAILED
    if set(states) == {LEFT_OUT} and share.processes == 1:
        console.error(InputError("None of the images is a CT.", "Choose the folder that holds the CTs."))
        return INPUT
    return OUTPUT if unwritten is not None else OK


def _record(step: Callable[..., None], *outcome: Outcome) -> AgunetrError | None:
    """A table that cannot be written must not end the run: the masks are what it is for."""
    try:
        step(*outcome)
    except AgunetrError as error:
        return error
    return None


def _report(outcome: Outcome, console: Console) -> None:
    case = outcome.case
    if outcome.state == DONE:
        console.event("result", case=case.name, output=case.output, result=outcome.result)
        console.say(f"{case.name}: done")
        console.say(summary(outcome.result, case.output))
    elif outcome.state == SKIPPED:
        console.event("skipped", case=case.name, output=case.output, result=outcome.result)
        console.say(f"{case.name}: skipped, an earlier run has finished it -> {case.output}")
    elif outcome.state == LEFT_OUT:
        console.event("left-out", case=case.name, message=outcome.error.message, remedy=outcome.error.remedy)
        console.say(f"{case.name}: {outcome.error}")
    elif outcome.state == FAILED:
        console.error(outcome.error, case=case.name)


def _conclude(rows: Sequence[Mapping[str, Any]], console: Console) -> None:
    console.event("cases", cases=rows)
    console.say()
    for line in case_table(rows):
        console.say(line)
    failed = sum(row["state"] == FAILED for row in rows)
    if failed:
        console.say(f"{failed} of {len(rows)} CTs failed.")


def case_table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The rows of :mod:`agunetr.many_scans.summary` in columns: case, state, volume for each model, seconds, error."""
    models = list(dict.fromkeys(model for row in rows for model in row["volume_ml"]))
    lines = [["case", "state", *(f"{model} ml" for model in models), "seconds", "error"]]
    for row in rows:
        volumes = (_number(row["volume_ml"].get(model)) for model in models)
        error = (row["error"] or {}).get("message", "")
        lines.append([row["case"], row["state"], *volumes, _number(row["seconds"]), error])
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _wait(share: Share, stop: Callable[[], bool], console: Console) -> None:
    try:
        wait_for_the_others(share, os.environ, stop)
    except Exception as error:  # torch names no class for it; the cases are done all the same
        console.say(f"warning: The other processes cannot be asked whether they are done ({error}).")

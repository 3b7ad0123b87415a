"""Whether an earlier run has finished a case with the same settings, so that it need not be repeated."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agunetr.errors import OutputError
from agunetr.events import jsonable
from agunetr.inference.input_state import same_input
from agunetr.inference.job import RESULT_FORMAT
from agunetr.inference.result_names import RESULT_FILE, file_names
from agunetr.inference.segment_options import SegmentOptions

if TYPE_CHECKING:
    from agunetr.models.bundle import ModelBundle

WHERE_NOT_WHAT = frozenset({"device", "engine", "window_batch", "allow_cpu"})
"""Options that say where and in which portions a mask is computed, not which mask is wanted: they may differ."""


def finished_result(
    output: Path, bundles: Sequence[ModelBundle], options: SegmentOptions, described: Mapping[str, Any]
) -> dict[str, Any] | None:
    """The ``result.json`` of a finished case.

    Args:
        output: the folder of the case's results.
        bundles: the models asked for now.
        options: the options asked for now.
        described: the input, see :func:`agunetr.inference.input_state.describe_input`.

    Returns:
        Its content where the same models segmented the same input with the same options; None where the folder has no
        ``result.json``, so that the case is still to be done.

    Raises:
        OutputError: there are results of something else; the message says of what.
    """
    path = output / RESULT_FILE
    if not path.is_file():
        return None
    try:
        recorded = json.loads(path.read_text(encoding="utf-8"))
        difference = _difference(recorded, bundles, options, described)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        difference = f"whose {RESULT_FILE} cannot be read"
    if not difference:
        missing = next((name for name in file_names(bundles, options) if not (output / name).is_file()), None)
        if missing is None:
            return recorded
        difference = f"that lack {missing}"
    raise OutputError(
        f"{output} already holds results {difference}.",
        "Remove that folder to segment the CT again, choose another output folder, or ask for results to be "
        "overwritten.",
    )


def _difference(
    recorded: dict[str, Any], bundles: Sequence[ModelBundle], options: SegmentOptions, described: Mapping[str, Any]
) -> str:
    """What the results on the disk are of, where that is not what is asked for now; else nothing."""
    if recorded["format"] != RESULT_FORMAT:
        return f"of another version of this program (format {recorded['format']})"
    if not same_input(recorded["input"], dict(described)):
        return "of another CT, or of an earlier state of this one"
    checksums = {model["name"]: model["checksum"] for model in recorded["models"]}
    if set(checksums) != {bundle.name for bundle in bundles}:
        return f"of other models ({', '.join(checksums)})"
    changed = next((bundle.name for bundle in bundles if checksums[bundle.name] != bundle.checksum), None)
    if changed is not None:
        return f"of other weights of the model {changed}"
    if "options" not in recorded:
        return "that do not say with which options they were made"
    differing = _differing_options(recorded["options"], options)
    return f"of other options ({', '.join(differing)})" if differing else ""


def _differing_options(recorded: dict[str, Any], options: SegmentOptions) -> list[str]:
    """Names of the options that differ; one that the recorded results do not know had its default."""
    known = {field.name for field in dataclasses.fields(SegmentOptions)}
    unknown = sorted(set(recorded) - known)
    before, now = (
        jsonable(dataclasses.asdict(entry))
        for entry in (
            SegmentOptions(**{name: value for name, value in recorded.items() if name in known}),
            options,
        )
    )
    return unknown + [name for name in now if before[name] != now[name] and name not in WHERE_NOT_WHAT]

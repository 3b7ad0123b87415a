"""The worker's requests: what a line of its standard input may say, and nothing else.

Every deviation is a :class:`RequestError` with one sentence; nothing of a request is ever executed or guessed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from agunetr.errors import AgunetrError

MAX_LINE_BYTES = 1 << 20
COMMANDS = ("segment", "cancel", "models", "devices", "shutdown")


class RequestError(AgunetrError):
    """A line that is no request.

    Attributes:
        job: the job's id where the line gave one, so that the error can be told apart; else None.
    """

    kind = "request"

    def __init__(self, message: str, remedy: str = "", job: str | int | None = None) -> None:
        super().__init__(message, remedy)
        self.job = job


@dataclass(frozen=True)
class SegmentRequest:
    """One case to segment.

    Attributes:
        job: the caller's id for it; every event about the job carries it.
        volume: path of an image file or of a DICOM folder.
        models: names of installed models, or paths of model folders; at least one.
        output: folder for the results.
        options: fields of :class:`agunetr.inference.segmenter.SegmentOptions`.
        series: DICOM series instance UID, None for the largest CT series.
        overwrite: whether results that are already in ``output`` may be replaced.
        reference: path of a mask of the same scan to score the models against, None for no scores.
        reference_label: the organ's number where the reference is a label map.
    """

    job: str | int
    volume: str
    models: tuple[str, ...]
    output: str
    options: dict[str, Any] = field(default_factory=dict)
    series: str | None = None
    overwrite: bool = False
    reference: str | None = None
    reference_label: int | None = None


@dataclass(frozen=True)
class CancelRequest:
    """Stop the job with this id; None stops whichever runs."""

    job: str | int | None


@dataclass(frozen=True)
class ModelsRequest:
    """List the installed models."""


@dataclass(frozen=True)
class DevicesRequest:
    """List where networks can run."""


@dataclass(frozen=True)
class ShutdownRequest:
    """Stop and leave."""


Request = SegmentRequest | CancelRequest | ModelsRequest | DevicesRequest | ShutdownRequest


def parse_request(line: bytes) -> Request:
    """The request on one line of UTF-8 JSON.

    Raises:
        RequestError: the line is too long, not JSON, not an object, or not a request of the protocol.
    """
    if len(line) > MAX_LINE_BYTES:
        raise RequestError(f"The request is longer than {MAX_LINE_BYTES} bytes.", "Send one short JSON object a line.")
    try:
        message = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError):
        raise RequestError("The request is not JSON.", "Send one JSON object a line, in UTF-8.") from None
    if not isinstance(message, dict):
        raise RequestError("The request is not a JSON object.", 'Send for example {"command": "models"}.')

    job = message.get("job")
    if isinstance(job, bool) or not isinstance(job, str | int | None):
        raise RequestError('"job" must be a text or a whole number.')
    command = message.get("command")
    if command not in COMMANDS:
        raise RequestError(f"Unknown command {_shown(command)}.", f"Use one of {', '.join(COMMANDS)}.", job)
    allowed = {
        "segment": {
            *("job", "volume", "models", "output", "options", "series", "overwrite", "reference", "reference_label")
        },
        "cancel": {"job"},
        "models": set(),
        "devices": set(),
        "shutdown": set(),
    }[command]
    unknown = sorted(set(message) - allowed - {"command"})
    if unknown:
        raise RequestError(f'"{command}" knows no field {_shown(unknown[0])}.', "Leave it out.", job)
    if command == "segment":
        return _segment_request(message, job)
    if command == "cancel":
        return CancelRequest(job)
    return {"models": ModelsRequest, "devices": DevicesRequest, "shutdown": ShutdownRequest}[command]()


def _segment_request(message: dict[str, Any], job: str | int | None) -> SegmentRequest:
    if job is None:
        raise RequestError('"segment" needs a "job".', "Give each job an id of its own.")
    texts = {}
    for name in ("volume", "output"):
        texts[name] = message.get(name)
        if not isinstance(texts[name], str) or not texts[name]:
            raise RequestError(f'"segment" needs "{name}", a path.', "", job)
    models = message.get("models")
    if not isinstance(models, list) or not models or not all(isinstance(name, str) and name for name in models):
        raise RequestError('"segment" needs "models", a list with at least one name.', "", job)
    options = message.get("options", {})
    if not isinstance(options, dict):
        raise RequestError('"options" must be a JSON object.', "", job)
    series = message.get("series")
    if not isinstance(series, str | None):
        raise RequestError('"series" must be the UID of a DICOM series.', "", job)
    overwrite = message.get("overwrite", False)
    if not isinstance(overwrite, bool):
        raise RequestError('"overwrite" must be true or false.', "", job)
    reference, label = message.get("reference"), message.get("reference_label")
    if reference is not None and (not isinstance(reference, str) or not reference):
        raise RequestError('"reference" must be the path of a mask file.', "", job)
    if label is not None and (type(label) is not int or label < 1 or reference is None):
        raise RequestError('"reference_label" must be a whole number above 0, beside a "reference".', "", job)
    if any("\0" in text for text in (*texts.values(), *models, series or "", reference or "")):
        raise RequestError("A path or a name holds the character NUL.", "Leave it out.", job)
    return SegmentRequest(
        job, texts["volume"], tuple(models), texts["output"], options, series, overwrite, reference, label
    )


def _shown(value: Any) -> str:
    """A value of unknown size, short enough for a sentence."""
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."

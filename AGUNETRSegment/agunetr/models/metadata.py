"""What a model folder says about itself: ``configs/metadata.json``, written and read with every field checked.

The file holds the keys that a MONAI Bundle must have and one section of our own, ``"agunetr"``, which is all that
this project reads::

    {"format": 1, "name": "compact-base", "title": "...", "network": {NetworkConfig}, "spacing_mm": [R, A, S],
     "intensity_range": [low, high], "window": [R, A, S], "channels": ["background", "spleen"],
     "training_data": [{"name", "origin", "licence", "use"}], "recipe": {...}, "limits": ["..."],
     "scores": {"cases": [{"case", "dice", ...}], "mean_dice": ..., "note": "..."}, "licence": "...",
     "role": "localiser" (left out by models that segment),
     "sha256": {"models/model.safetensors": "<hex>", ...}}

It is data and stays data: nothing in it is evaluated, imported or followed as a path outside the folder.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agunetr.networks.variants import NetworkConfig

FORMAT = 1
METADATA = "configs/metadata.json"
INFERENCE = "configs/inference.json"
WEIGHTS = "models/model.safetensors"
TORCH_WEIGHTS = "models/model.pt"
CARD = "docs/README.md"
REQUIRED_FILES = (INFERENCE, WEIGHTS, CARD)
CHANNELS = ("background", "spleen")
SEGMENTATION, LOCALISER = ROLES = ("segmentation", "localiser")
MAX_METADATA_BYTES = 4 << 20

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9_-])?")
_WINDOWS_DEVICES = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?", re.IGNORECASE)
_LOOKS_LIKE_GATE_MAP = re.compile(r".*_enc\d", re.IGNORECASE)
_SHA256 = re.compile(r"[0-9a-f]{64}")


def check_name(name: object) -> str:
    """The name itself if it can be a folder and a file name everywhere.

    Raises:
        ValueError: it is no text, has a path separator or another character that is not allowed, is reserved by
            Windows, or could be mistaken for the attention map ``<model>_enc1`` of another model.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(
            f"name is {name!r}; it must be 1 to 64 letters, digits, dots, hyphens or underscores, "
            "starting with a letter or digit and not ending with a dot."
        )
    if _WINDOWS_DEVICES.fullmatch(name):
        raise ValueError(f"name is {name!r}, which Windows reserves for a device.")
    if _LOOKS_LIKE_GATE_MAP.fullmatch(name):
        raise ValueError(f"name is {name!r}; endings such as _enc1 are kept for attention maps.")
    return name


@dataclass(frozen=True)
class ModelDescription:
    """The ``"agunetr"`` section, checked.

    Attributes:
        name: short name for files and commands, see :func:`check_name`.
        title: one line for people.
        network: the configuration of the network; its ``window`` is the model's window.
        spacing_mm: voxel spacing along (R, A, S) that the network was trained at, mm.
        intensity_range: HU that map to 0 and 1.
        training_data: one entry a source, with at least name, origin, licence and use.
        licence: of the weights.
        scores: per-case measures on patients kept out of training; ``{}`` where nothing was measured.
        recipe: how the weights were made, name to value.
        limits: sentences on what the model cannot do.
        sha256: relative path to hex digest of every file but the metadata itself.
        role: ``segmentation``, or ``localiser``: finds roughly where the organ is, for the models that segment it.

    Raises:
        ValueError: a field is missing or wrong; the message names it.
    """

    name: str
    title: str
    network: NetworkConfig
    spacing_mm: tuple[float, float, float]
    intensity_range: tuple[float, float]
    training_data: tuple[Mapping[str, str], ...] = field(default=(), hash=False)
    licence: str = ""
    scores: Mapping[str, Any] = field(default_factory=dict, hash=False)
    recipe: Mapping[str, Any] = field(default_factory=dict, hash=False)
    limits: tuple[str, ...] = ()
    sha256: Mapping[str, str] = field(default_factory=dict, hash=False)
    role: str = SEGMENTATION

    def __post_init__(self) -> None:
        check_name(self.name)
        _line("title", self.title)
        _line("licence", self.licence)
        if self.role not in ROLES:
            raise ValueError(f"role is {self.role!r}; it must be one of {', '.join(ROLES)}.")
        spacing = _numbers("spacing_mm", self.spacing_mm, 3)
        if not all(0.05 <= edge <= 50 for edge in spacing):
            raise ValueError(f"spacing_mm is {list(spacing)}; each must lie between 0.05 and 50 mm.")
        low, high = _numbers("intensity_range", self.intensity_range, 2)
        if not low < high:
            raise ValueError(f"intensity_range is [{low:g}, {high:g}]; the first must be smaller than the second.")
        if self.network.in_channels != 1 or self.network.out_channels != len(CHANNELS):
            raise ValueError("network must have one input channel and two output channels (background, spleen).")
        object.__setattr__(self, "spacing_mm", spacing)
        object.__setattr__(self, "intensity_range", (low, high))
        sources = _list("training_data", self.training_data)
        object.__setattr__(self, "training_data", tuple(map(_source, sources)))
        object.__setattr__(self, "limits", tuple(_line("limits", text) for text in _list("limits", self.limits)))
        object.__setattr__(self, "recipe", _json_only("recipe", self.recipe))
        object.__setattr__(self, "scores", _scores(self.scores))
        object.__setattr__(self, "sha256", _digests(self.sha256))

    def to_dict(self) -> dict[str, Any]:
        """The JSON form described at the top of this module; :meth:`from_dict` reads it back."""
        return {
            "format": FORMAT,
            "name": self.name,
            "title": self.title,
            "network": self.network.to_dict(),
            "spacing_mm": list(self.spacing_mm),
            "intensity_range": list(self.intensity_range),
            "window": list(self.network.window),
            "channels": list(CHANNELS),
            "training_data": [dict(entry) for entry in self.training_data],
            "recipe": dict(self.recipe),
            "limits": list(self.limits),
            "scores": dict(self.scores),
            "licence": self.licence,
            "sha256": dict(self.sha256),
            **({} if self.role == SEGMENTATION else {"role": self.role}),
        }

    @classmethod
    def from_dict(cls, values: object) -> ModelDescription:
        """From :meth:`to_dict`'s form; unknown keys are left alone, so that a later version may add some.

        Raises:
            ValueError: a field is missing or wrong; the message names it.
        """
        section = _mapping("agunetr", values)
        if section.get("format") != FORMAT:
            raise ValueError(f"format is {section.get('format')!r}, this version of AGUNETR reads {FORMAT}.")
        for key in ("name", "title", "network", "spacing_mm", "intensity_range", "sha256"):
            if key not in section:
                raise ValueError(f"{key} is missing.")
        if tuple(_list("channels", section.get("channels"))) != CHANNELS:
            raise ValueError(f"channels is {section.get('channels')!r}; it must be {list(CHANNELS)}.")
        try:
            network = NetworkConfig.from_dict(dict(_mapping("network", section["network"])))
        except (ValueError, TypeError) as error:
            raise ValueError(f"network: {error}") from error
        if tuple(_list("window", section.get("window"))) != network.window:
            raise ValueError(f"window is {section.get('window')!r}, but the network's is {list(network.window)}.")
        optional = ("training_data", "licence", "scores", "recipe", "limits", "role")
        return cls(
            name=section["name"],
            title=section["title"],
            network=network,
            spacing_mm=section["spacing_mm"],
            intensity_range=section["intensity_range"],
            sha256=section["sha256"],
            **{key: section[key] for key in optional if key in section},
        )


def read_metadata(path: Path) -> ModelDescription:
    """Reads and checks a ``metadata.json``.

    Raises:
        ValueError: the file is missing, too large, no strict JSON, not of this project, or a field is wrong.
    """
    try:
        if path.stat().st_size > MAX_METADATA_BYTES:
            raise ValueError(f"{METADATA} is larger than {MAX_METADATA_BYTES >> 20} MB")
        values = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except OSError as error:
        raise ValueError(f"{METADATA} cannot be read ({error.strerror})") from error
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{METADATA} is not JSON") from error
    if not isinstance(values, dict) or "agunetr" not in values:
        raise ValueError(f'{METADATA} has no section "agunetr", so it describes a model of another program')
    try:
        return ModelDescription.from_dict(values["agunetr"])
    except ValueError as error:
        raise ValueError(f"in {METADATA}, {str(error).rstrip('.')}") from error


def mean_dice(scores: Mapping[str, Any]) -> float | None:
    """The mean Dice that ``scores`` states, else the mean over its cases with a Dice, else None."""
    if isinstance(scores.get("mean_dice"), int | float):
        return float(scores["mean_dice"])
    values = [case["dice"] for case in scores.get("cases", ()) if isinstance(case.get("dice"), int | float)]
    return sum(values) / len(values) if values else None


def _refuse_constant(constant: str) -> None:
    raise json.JSONDecodeError(f"{constant} is no JSON number", constant, 0)


def _line(field_name: str, text: object) -> str:
    # Titles and licences are printed on terminals: escape sequences must not get through.
    if not isinstance(text, str) or not text.isprintable() or len(text) > 2000:
        raise ValueError(f"{field_name} must be one line of text.")
    return text


def _list(field_name: str, value: object) -> Sequence[Any]:
    if not isinstance(value, list | tuple):
        raise ValueError(f"{field_name} must be a list.")
    return value


def _mapping(field_name: str, value: object) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise ValueError(f"{field_name} must be a JSON object.")
    return dict(value)


def _json_only(field_name: str, value: object) -> dict[str, Any]:
    try:
        return json.loads(json.dumps(_mapping(field_name, value), allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{field_name} must hold JSON values only: {error}.") from error


def _numbers(field_name: str, value: object, count: int) -> tuple[float, ...]:
    numbers = _list(field_name, value)
    # bool is a kind of int in Python, and NaN fails every comparison.
    good = all(isinstance(number, int | float) and type(number) is not bool and abs(number) < 1e9 for number in numbers)
    if len(numbers) != count or not good:
        raise ValueError(f"{field_name} is {value!r}; it must be {count} numbers.")
    return tuple(float(number) for number in numbers)


def _source(entry: object) -> dict[str, str]:
    source = _mapping("training_data", entry)
    for key in ("name", "origin", "licence", "use"):
        if key not in source:
            raise ValueError(f"training_data has an entry without {key}.")
    return {key: _line(f"training_data {key}", text) for key, text in source.items()}


def _scores(value: object) -> dict[str, Any]:
    scores = _json_only("scores", value)
    for case in _list("scores cases", scores.get("cases", [])):
        _line("scores case", _mapping("scores cases", case).get("case"))
    return scores


def _digests(value: object) -> dict[str, str]:
    digests = _mapping("sha256", value)
    for path, digest in digests.items():
        if not isinstance(digest, str) or not _SHA256.fullmatch(digest):
            raise ValueError(f"sha256 of {path!r} is no SHA-256 sum.")
        leads_out = path.startswith("/") or ".." in path.split("/")
        if leads_out or ":" in path or "\\" in path or not path.isprintable():
            raise ValueError(f"sha256 names {path!r}, which is no path inside the model.")
    return digests

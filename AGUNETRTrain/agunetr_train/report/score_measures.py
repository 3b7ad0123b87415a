"""The measures of the report, SPEC's and no others: how each is read, called, rounded and compared."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Measure:
    """One column of the tables.

    Attributes:
        key: its name in CSV files.
        title: its name for people. ``unit``: behind the title, may be empty.
        better: which way is better; ``neither`` for a plain description.
        digits: after the point.
        read: from what is stored of a scored case, or None where it is undefined.
    """

    key: str
    title: str
    unit: str
    better: Literal["higher", "lower", "neither"]
    digits: int
    read: Callable[[Mapping[str, Any]], float | None]

    @property
    def heading(self) -> str:
        """Title and unit."""
        return f"{self.title} ({self.unit})" if self.unit else self.title

    def text(self, value: float | None, signed: bool = False) -> str:
        """A value for people; what is undefined is called so, and is never 0."""
        if value is None:
            return "undefined"
        rounded = round(value, self.digits) + 0.0  # turns -0.0 into 0.0
        return f"{rounded:{'+' if signed and rounded else ''}.{self.digits}f}".replace("-", "\N{MINUS SIGN}")


def _number(key: str, scale: float = 1.0, size: bool = False) -> Callable[[Mapping[str, Any]], float | None]:
    def read(values: Mapping[str, Any]) -> float | None:
        value = values.get(key)
        if not isinstance(value, int | float) or not math.isfinite(value):
            return None
        return scale * (abs(value) if size else value)

    return read


DICE = Measure("dice", "Dice", "", "higher", 4, _number("dice"))
HAUSDORFF95 = Measure("hausdorff95_mm", "95 % Hausdorff distance", "mm", "lower", 2, _number("hausdorff95_mm"))
SURFACE_DICE = Measure("surface_dice", "Surface Dice at 2 mm", "", "higher", 4, _number("surface_dice"))
VOLUME = Measure("volume_ml", "Volume", "ml", "neither", 1, _number("volume_ml"))
VOLUME_ERROR = Measure(
    "relative_volume_error_percent", "Volume error", "%", "neither", 1, _number("relative_volume_error", 100.0)
)
VOLUME_ERROR_SIZE = Measure(
    "relative_volume_error_size_percent",
    "Size of the volume error",
    "%",
    "lower",
    1,
    _number("relative_volume_error", 100.0, size=True),
)

MEASURES = (DICE, HAUSDORFF95, SURFACE_DICE, VOLUME, VOLUME_ERROR, VOLUME_ERROR_SIZE)
COMPARED_MEASURES = (DICE, HAUSDORFF95, SURFACE_DICE, VOLUME_ERROR_SIZE)
"""Those with a better and a worse: a signed volume error has none, its size has."""

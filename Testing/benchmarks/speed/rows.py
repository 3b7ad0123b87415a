"""A row of the benchmark: what was measured, against what, and whether the target holds."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

FEWEST_REPETITIONS = 5
"""A ratio is a median of at least so many; with fewer the row says nothing about its target."""


class NotMeasured(Exception):
    """A row cannot be measured here; the sentence says why, and it is what the row then holds."""


@dataclass(frozen=True)
class Limit:
    """One thing that must hold: a quantity of the row, and how small or large it may be.

    Attributes:
        quantity: ``ratio``, ``peak_fraction``, ``peak_memory_mb``, or a name in the row's agreement or details.
        at_least, at_most: exactly one of them is given.
    """

    quantity: str
    at_least: float | None = None
    at_most: float | None = None

    def __post_init__(self) -> None:
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError(f"the limit of {self.quantity} needs either at_least or at_most.")

    def is_kept(self, value: object) -> bool:
        """Whether a measured value is on the right side; what was not measured is not."""
        if not isinstance(value, int | float) or isinstance(value, bool):
            return False
        return value >= self.at_least if self.at_least is not None else value <= self.at_most

    def __str__(self) -> str:
        sign, value = (">=", self.at_least) if self.at_least is not None else ("<=", self.at_most)
        return f"{self.quantity} {sign} {value:g}"


@dataclass
class Row:
    """One row of ``bench.json``.

    Attributes:
        name, what: of the row.
        target: what must hold; empty where the row only reports.
        repetitions: seconds of each repetition, ``ours`` and ``reference``.
        ratio_of: how ``ratio`` is made of the two medians.
        agreement: how far the results agree, for example ``dice`` and ``mask_difference``.
        peak_memory_mb: the most memory that our process held, MB (10^6 bytes).
        peak_fraction: share of this machine's measured peak of the same kind of arithmetic.
        details: everything else that a reader needs: input, weights, seed, engine, precision, windows, memory.
        not_measured: the reason, where there is no measurement.
    """

    name: str
    what: str
    target: tuple[Limit, ...] = ()
    repetitions: dict[str, list[float]] = field(default_factory=lambda: {"ours": [], "reference": []})
    ratio_of: str = "reference / ours"
    agreement: dict[str, float] = field(default_factory=dict)
    peak_memory_mb: float | None = None
    peak_fraction: float | None = None
    details: dict[str, Any] = field(default_factory=dict)
    not_measured: str = ""

    @property
    def ours(self) -> float | None:
        """Median seconds of ours."""
        return _median(self.repetitions["ours"])

    @property
    def reference(self) -> float | None:
        """Median seconds of the reference."""
        return _median(self.repetitions["reference"])

    @property
    def ratio(self) -> float | None:
        """How many times the reference's time ours is faster; the other way round where ``ratio_of`` says so."""
        if self.ours is None or self.reference is None:
            return None
        first, second = self.reference, self.ours
        if self.ratio_of == "ours / reference":
            first, second = second, first
        return first / second if second > 0 else None

    def value(self, quantity: str) -> Any:
        """A quantity that a limit names; None where it was not measured."""
        if quantity in ("ratio", "peak_fraction", "peak_memory_mb", "ours", "reference"):
            return getattr(self, quantity)
        return self.agreement.get(quantity, self.details.get(quantity))

    @property
    def missed(self) -> list[str]:
        """The limits that the measurement does not keep."""
        if self.not_measured:
            return []
        return [str(limit) for limit in self.target if not limit.is_kept(self.value(limit.quantity))]

    @property
    def too_few(self) -> bool:
        """Whether a limit on a time rests on fewer repetitions than a median needs."""
        timed = {"ratio", "peak_fraction", "ours"} & {limit.quantity for limit in self.target}
        return bool(timed) and len(self.repetitions["ours"]) < FEWEST_REPETITIONS

    @property
    def holds(self) -> bool | None:
        """Whether every limit is kept; None where nothing can be said: no target, no measurement or too few of them."""
        if self.not_measured or not self.target or self.too_few:
            return None
        return not self.missed

    def to_dict(self) -> dict[str, Any]:
        """The form of ``bench.json``; :meth:`from_dict` reads it back."""
        return {
            "name": self.name,
            "what": self.what,
            "target": [asdict(limit) for limit in self.target],
            "ours": _rounded(self.ours),
            "reference": _rounded(self.reference),
            "ratio": _rounded(self.ratio),
            "ratio_of": self.ratio_of,
            "agreement": {name: _rounded(value, 8) for name, value in self.agreement.items()},
            "peak_memory_mb": _rounded(self.peak_memory_mb, 1),
            "peak_fraction": _rounded(self.peak_fraction),
            "repetitions": {name: [_rounded(second) for second in times] for name, times in self.repetitions.items()},
            "holds": self.holds,
            "missed": self.missed,
            "not_measured": self.not_measured,
            "details": self.details,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Row:
        """From :meth:`to_dict`'s form; what follows from the rest is worked out anew.

        Raises:
            KeyError, TypeError: it is not that form.
        """
        kept = ("name", "what", "repetitions", "ratio_of", "agreement", "peak_memory_mb", "peak_fraction")
        made = {name: values[name] for name in (*kept, "details", "not_measured")}
        return cls(target=tuple(Limit(**limit) for limit in values["target"]), **made)


def _median(seconds: Sequence[float]) -> float | None:
    return statistics.median(seconds) if seconds else None


def _rounded(value: float | None, digits: int = 4) -> float | None:
    return None if value is None else round(float(value), digits)

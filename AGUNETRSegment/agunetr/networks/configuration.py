"""The configuration of a network: its variant, its sizes and its gates, checked argument by argument.

Needs no torch, so that models can be listed and experiments checked without loading it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

VARIANT_GATES: dict[str, tuple[tuple[str, ...], str]] = {
    "unetr": ((), "improved"),
    "agunetr-v1": (("enc2",), "attention"),
    "agunetr-v2": (("enc1", "enc2"), "improved"),
    "agunetr-deep": (("enc1", "enc2", "enc3", "enc4"), "improved"),
}
SKIPS = ("enc1", "enc2", "enc3", "enc4")
FORMULAS = ("attention", "improved")
LARGEST_START = 1e6


@dataclass(frozen=True)
class NetworkConfig:
    """Everything that fixes the shape and the start of a network.

    Attributes:
        variant: ``unetr``, ``agunetr-v1``, ``agunetr-v2`` or ``agunetr-deep``.
        window: voxels of the input along (R, A, S), multiples of 16.
        in_channels, out_channels: image channels and classes.
        feature_size: channels of ``enc1``; the other levels have 2, 4 and 8 times as many.
        hidden_size, mlp_dim, heads, layers: the ViT encoder; its layers 1/4, 1/2 and 3/4 feed the skips.
        gates: skips that carry a gate; None takes those of the variant.
        gate_formula: ``attention`` or ``improved``; None takes that of the variant.
        gamma_start, psi_bias: start values of the improved gate.

    Raises:
        ValueError: an argument is out of range; the message names it.
    """

    variant: str = "unetr"
    window: tuple[int, int, int] = (96, 96, 96)
    in_channels: int = 1
    out_channels: int = 2
    feature_size: int = 16
    hidden_size: int = 768
    mlp_dim: int = 3072
    heads: int = 12
    layers: int = 12
    gates: tuple[str, ...] | None = None
    gate_formula: str | None = None
    gamma_start: float = 0.0
    psi_bias: float = 2.0

    def __post_init__(self) -> None:
        if not isinstance(self.variant, str) or self.variant not in VARIANT_GATES:
            raise ValueError(f"variant is {self.variant!r}; it must be one of {', '.join(VARIANT_GATES)}.")
        gates, formula = VARIANT_GATES[self.variant]
        if not isinstance(self.gates, list | tuple | None):
            raise ValueError(f"gates is {self.gates!r}; it must be a list of skips.")
        if not isinstance(self.window, list | tuple):
            raise ValueError(f"window is {self.window!r}; it must be three positive multiples of 16.")
        object.__setattr__(self, "gates", gates if self.gates is None else tuple(self.gates))
        object.__setattr__(self, "gate_formula", formula if self.gate_formula is None else self.gate_formula)
        object.__setattr__(self, "window", tuple(self.window))
        self._check_gates(gates, formula)
        self._check_sizes()

    def _check_gates(self, variant_gates: tuple[str, ...], variant_formula: str) -> None:
        unknown = [gate for gate in self.gates if gate not in SKIPS]
        if unknown:
            raise ValueError(f"gates names {unknown[0]!r}; a gate can sit at {', '.join(SKIPS)}.")
        if len(set(self.gates)) != len(self.gates):
            raise ValueError("gates names a skip twice.")
        # One order, so that equal sets of gates are equal configurations with equal checkpoints.
        object.__setattr__(self, "gates", tuple(skip for skip in SKIPS if skip in self.gates))
        if self.gate_formula not in FORMULAS:
            raise ValueError(f"gate_formula is {self.gate_formula!r}; it must be one of {', '.join(FORMULAS)}.")
        if self.variant == "agunetr-deep":
            if not self.gates:
                raise ValueError("gates is empty; agunetr-deep needs at least one gate.")
        elif (self.gates, self.gate_formula) != (variant_gates, variant_formula):
            raise ValueError(f"gates and gate_formula of {self.variant} are fixed; use agunetr-deep to choose them.")

    def _check_sizes(self) -> None:
        if len(self.window) != 3 or any(type(edge) is not int or edge < 16 or edge % 16 for edge in self.window):
            raise ValueError(f"window is {self.window}; it must be three positive multiples of 16.")
        for name in ("in_channels", "feature_size", "hidden_size", "mlp_dim", "heads"):
            value = getattr(self, name)
            if type(value) is not int or value < 1:
                raise ValueError(f"{name} is {value!r}; it must be a positive whole number.")
        if type(self.out_channels) is not int or self.out_channels < 2:
            raise ValueError(f"out_channels is {self.out_channels!r}; it must be at least 2.")
        if type(self.layers) is not int or self.layers < 4:
            raise ValueError(f"layers is {self.layers!r}; the three skips need at least 4.")
        if self.hidden_size % self.heads:
            raise ValueError(f"hidden_size {self.hidden_size} must be divisible by heads {self.heads}.")
        for name in ("gamma_start", "psi_bias"):
            value = getattr(self, name)
            if type(value) not in (int, float) or not abs(value) < LARGEST_START:
                raise ValueError(f"{name} is {value!r}; it must be a finite number.")

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary; :meth:`from_dict` reads it back."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> NetworkConfig:
        """From :meth:`to_dict`'s form.

        Raises:
            ValueError: an unknown, missing or wrong value; the message names it.
        """
        known = {entry.name for entry in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise ValueError(f"{unknown[0]} is no argument of a network.")
        if not isinstance(values.get("variant"), str):
            raise ValueError("variant is missing.")
        for name in ("window", "gates"):
            if not isinstance(values.get(name), list | tuple | None):
                raise ValueError(f"{name} is {values[name]!r}; it must be a list.")
        listed = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
        return cls(**listed)

"""Which gate maps are wanted, and what they are as volumes.

A gate's map tells how much of a skip connection passes at each place (Oktay et al. 2018, arXiv:1804.03999). The maps of
all windows are blended like the logits (:mod:`agunetr.inference.inferer`) and stay on the model's grid: interpolating
them onto a finer scan would show detail that no gate has seen.
"""

from __future__ import annotations

from collections.abc import Sequence

ALL = "all"
"""In place of a list of names: every gate that the model has."""


def wanted_gates(asked: Sequence[str], available: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What of a wish for gate maps a model can fulfil.

    Args:
        asked: gate names, or ``("all",)``, or nothing.
        available: the model's gates, from fine to coarse.

    Returns:
        The gates to record in the model's order, and the names asked for that the model lacks.
    """
    if ALL in asked:
        return tuple(available), ()
    return (
        tuple(gate for gate in available if gate in asked),
        tuple(gate for gate in dict.fromkeys(asked) if gate not in available),
    )

"""Which of a run's results are worth showing together: the base model beside the gated one, and the first map."""

from __future__ import annotations

from .result_sets import ResultSet


def pairToCompare(resultSet: ResultSet) -> tuple | None:
    """Two segmentation nodes of a run: a model without gates on the left, one with gates on the right.

    :returns: None where the run has fewer than two segmentations.
    """
    names = list(resultSet.segmentations)
    if len(names) < 2:
        return None
    gated = [name for name in names if resultSet.gates(name) or "gated" in name]
    plain = [name for name in names if name not in gated]
    first, second = [*plain[:1], *gated[:1]] if plain and gated else names[:2]
    return resultSet.segmentations[first], resultSet.segmentations[second]


def mapToShow(resultSet: ResultSet):
    """The first gate's map of a run; None where it has none."""
    return next((resultSet.attention[key] for key in sorted(resultSet.attention)), None)

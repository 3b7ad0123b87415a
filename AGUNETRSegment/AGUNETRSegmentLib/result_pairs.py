"""Which results are worth showing together: the base model beside the gated one, a gate's map, and their CT."""

from __future__ import annotations

import slicer

from .result_sets import GATE, INPUT_ROLE, ResultSet


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


def mapToShow(resultSet: ResultSet, likeNode=None):
    """A gate's map of a run: that of the same gate as *likeNode*, else the first; None where it has none."""
    gate = likeNode.GetAttribute(GATE) if likeNode else None
    keys = sorted(resultSet.attention, key=lambda key: (key[1] != gate, key))
    return resultSet.attention[keys[0]] if keys else None


def volumeOf(*segmentationNodes):
    """The CT that segmentations stand on, the first one's before the second's; None where there is none."""
    for role in (INPUT_ROLE, slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()):
        for node in segmentationNodes:
            if node.GetNodeReference(role):
                return node.GetNodeReference(role)
    return None

"""Measurements of a result become a table node: one row a model."""

from __future__ import annotations

import math
from collections.abc import Callable

import slicer
import vtk

from .translation import _

# Columns are found by these names, also in a scene that was saved under another language; what a user reads is the
# column's title.
MODEL_COLUMN = "Model"
VOLUME_COLUMN = "Volume"
VOXELS_COLUMN = "Voxels"
LONGEST_AXIS_COLUMN = "Longest axis"
DENSITY_COLUMN = "Mean density"
AGREEMENT_COLUMN = "Dice with {model}"
REFERENCE_DICE_COLUMN = "Reference Dice"
REFERENCE_HD95_COLUMN = "Reference HD95"
REFERENCE_SURFACE_COLUMN = "Reference surface Dice"
REFERENCE_VOLUME_COLUMN = "Reference volume"
WARNINGS_COLUMN = "Warnings"
CHECKSUM_COLUMN = "Checksum"


def addMeasurementTable(scene, result: dict, name: str, mark: Callable | None = None):
    """Add a table with a row a model: what it measures, Dice with each other model, scores against the reference.

    What is undefined (the mean density of an empty mask, a distance to it) is NaN, never 0.

    :param result: the parsed ``result.json``.
    :param name: the node's name, already unique.
    :param mark: takes the node before it comes into the scene, to say in its attributes where it is from.
    :returns: the ``vtkMRMLTableNode``.
    """
    models = result["models"]
    tableNode = slicer.vtkMRMLTableNode()
    tableNode.SetName(name)
    tableNode.SetDescription(_("AGUNETR {version} on {device}").format(
        version=result.get("agunetr_version", "?"), device=result.get("device", "?")))
    tableNode.SetUseColumnTitleAsColumnHeader(True)
    if mark:
        mark(tableNode)
    _addTextColumn(tableNode, MODEL_COLUMN, _("Model"), [model["name"] for model in models])
    for key, column, title, unit in (
        ("volume_ml", VOLUME_COLUMN, _("Volume"), "ml"),
        ("voxels", VOXELS_COLUMN, _("Voxels"), ""),
        ("longest_axis_mm", LONGEST_AXIS_COLUMN, _("Longest axis"), "mm"),
        ("mean_hu", DENSITY_COLUMN, _("Mean density"), "HU"),
    ):
        _addNumberColumn(tableNode, column, title, unit, [model.get(key) for model in models])
    _addAgreement(tableNode, models, result.get("agreement") or [])
    if any(model.get("reference") for model in models):
        _addReferenceScores(tableNode, [model.get("reference") or {} for model in models])
    _addTextColumn(tableNode, WARNINGS_COLUMN, _("Warnings"), [
        " ".join(warning["message"] for warning in model.get("warnings") or []) for model in models])
    _addTextColumn(tableNode, CHECKSUM_COLUMN, _("Checksum"), [model.get("checksum", "") for model in models])
    scene.AddNode(tableNode)
    return tableNode


def _addAgreement(tableNode, models: list[dict], pairs: list[dict]) -> None:
    agreement = {frozenset((pair["first"], pair["second"])): pair["dice"] for pair in pairs}
    if not agreement:
        return
    for other in models:
        sets = [frozenset((model["name"], other["name"])) for model in models]
        values = [1.0 if len(names) == 1 else agreement.get(names) for names in sets]
        column = AGREEMENT_COLUMN.format(model=other["name"])
        _addNumberColumn(tableNode, column, _("Dice with {model}").format(model=other["name"]), "", values)


def _addReferenceScores(tableNode, scores: list[dict]) -> None:
    for key, column, title, unit in (
        ("dice", REFERENCE_DICE_COLUMN, _("Dice with reference"), ""),
        ("hausdorff95_mm", REFERENCE_HD95_COLUMN, _("HD95 to reference"), "mm"),
        ("surface_dice", REFERENCE_SURFACE_COLUMN, _("Surface Dice with reference"), ""),
        ("reference_volume_ml", REFERENCE_VOLUME_COLUMN, _("Volume of reference"), "ml"),
    ):
        _addNumberColumn(tableNode, column, title, unit, [score.get(key) for score in scores])


def _addTextColumn(tableNode, name: str, title: str, values: list[str]) -> None:
    column = vtk.vtkStringArray()
    column.SetName(name)
    for value in values:
        column.InsertNextValue(str(value))
    tableNode.AddColumn(column)
    tableNode.SetColumnTitle(name, title)


def _addNumberColumn(tableNode, name: str, title: str, unit: str, values: list[float | None]) -> None:
    column = vtk.vtkDoubleArray()
    column.SetName(name)
    for value in values:
        column.InsertNextValue(math.nan if value is None else float(value))
    tableNode.AddColumn(column)
    tableNode.SetColumnTitle(name, f"{title} ({unit})" if unit else title)
    if unit:
        tableNode.SetColumnUnitLabel(name, unit)

"""Measurements of a result become a table node: one row a model."""

from __future__ import annotations

import math

import slicer
import vtk

from .translation import _

# name in result.json, column name, unit
MEASURES = (
    ("volume_ml", "Volume", "ml"),
    ("voxels", "Voxels", ""),
    ("longest_axis_mm", "Longest axis", "mm"),
    ("mean_hu", "Mean density", "HU"),
)


def addMeasurementTable(scene, result: dict, name: str):
    """Add a table with a row a model: volume, voxels, longest axis, mean density, and Dice with each other model.

    What is undefined (the mean density of an empty mask) is NaN, never 0.

    :param result: the parsed ``result.json``.
    :param name: the node's name, already unique.
    :returns: the ``vtkMRMLTableNode``.
    """
    models = result["models"]
    tableNode = slicer.vtkMRMLTableNode()
    tableNode.SetName(name)
    tableNode.SetDescription(_("AGUNETR {version} on {device}").format(
        version=result.get("agunetr_version", "?"), device=result.get("device", "?")))
    tableNode.SetUseColumnTitleAsColumnHeader(True)
    scene.AddNode(tableNode)
    _addTextColumn(tableNode, _("Model"), [model["name"] for model in models])
    for key, title, unit in MEASURES:
        _addNumberColumn(tableNode, title, unit, [model.get(key) for model in models])
    agreement = {frozenset((pair["first"], pair["second"])): pair["dice"] for pair in result.get("agreement") or []}
    if agreement:
        for other in models:
            pairs = [frozenset((model["name"], other["name"])) for model in models]
            values = [1.0 if len(pair) == 1 else agreement.get(pair) for pair in pairs]
            _addNumberColumn(tableNode, _("Dice with {model}").format(model=other["name"]), "", values)
    _addTextColumn(tableNode, _("Warnings"), [
        " ".join(warning["message"] for warning in model.get("warnings") or []) for model in models])
    _addTextColumn(tableNode, _("Checksum"), [model.get("checksum", "") for model in models])
    return tableNode


def _addTextColumn(tableNode, title: str, values: list[str]) -> None:
    column = vtk.vtkStringArray()
    column.SetName(title)
    for value in values:
        column.InsertNextValue(str(value))
    tableNode.AddColumn(column)
    tableNode.SetColumnTitle(title, title)


def _addNumberColumn(tableNode, title: str, unit: str, values: list[float | None]) -> None:
    column = vtk.vtkDoubleArray()
    column.SetName(title)
    for value in values:
        column.InsertNextValue(math.nan if value is None else float(value))
    tableNode.AddColumn(column)
    tableNode.SetColumnTitle(title, f"{title} ({unit})" if unit else title)
    if unit:
        tableNode.SetColumnUnitLabel(title, unit)

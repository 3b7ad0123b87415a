"""What the user reads of a run's results: its title, the table of the panel, and the rows that are copied and saved."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass

from .measurement_table import (
    AGREEMENT_COLUMN,
    CHECKSUM_COLUMN,
    DENSITY_COLUMN,
    LONGEST_AXIS_COLUMN,
    MODEL_COLUMN,
    REFERENCE_DICE_COLUMN,
    REFERENCE_HD95_COLUMN,
    REFERENCE_SURFACE_COLUMN,
    VOLUME_COLUMN,
    WARNINGS_COLUMN,
)
from .result_sets import ResultSet, runTime
from .sequence_frames import FrameSource
from .translation import _

UNDEFINED = "\N{EN DASH}"


@dataclass(frozen=True)
class ShownColumn:
    """One column of the panel's table.

    :ivar header: short, since the panel is narrow.
    :ivar toolTip: what it is, in full.
    :ivar cells: a text a row.
    """

    header: str
    toolTip: str
    cells: list[str]


def runTitle(resultSet: ResultSet) -> str:
    """One line for a list of runs: when (in local time, first, since it tells runs of one CT apart), CT, models."""
    time = runTime(resultSet.run)
    volume = resultSet.volumeName or _("unknown CT")
    if resultSet.volumeNode is None:
        volume = _("{volume} (deleted)").format(volume=volume)
    return _("{time} {volume}: {models}").format(
        volume=volume, time=f"{time.astimezone():%Y-%m-%d %H:%M:%S}" if time else resultSet.run,
        models=", ".join(resultSet.models() or tableModels(resultSet.table)))


def tableModels(tableNode) -> list[str]:
    """The names of the models that a table has rows of."""
    return [str(value) for value in _values(tableNode, MODEL_COLUMN)] if tableNode else []


def shownColumns(tableNode) -> list[ShownColumn]:
    """The measurements for the panel, rounded; what is undefined is a dash."""
    models = tableModels(tableNode)
    columns = [ShownColumn(_("Model"), _("The model that made the segmentation."), models)]

    def add(name: str, header: str, toolTip: str, decimals: int) -> None:
        values = _values(tableNode, name)
        if values:
            columns.append(ShownColumn(header, toolTip, [_rounded(value, decimals) for value in values]))

    add(VOLUME_COLUMN, _("Volume\nml"), _("Volume of the spleen in millilitres."), 1)
    add(LONGEST_AXIS_COLUMN, _("Longest\nmm"), _("Longest straight extent of the spleen in millimetres."), 1)
    add(DENSITY_COLUMN, _("Mean\nHU"), _("Mean density of the CT inside the spleen in Hounsfield units."), 1)
    columns += _agreementColumns(tableNode, models)
    add(REFERENCE_DICE_COLUMN, _("Dice\nreference"), _("Dice coefficient with the reference segmentation."), 3)
    add(REFERENCE_HD95_COLUMN, _("HD95\nmm"), _("95 % Hausdorff distance to the reference segmentation, mm."), 1)
    add(REFERENCE_SURFACE_COLUMN, _("Surface\nDice"),
        _("Share of both surfaces that lies within 2 mm of the other, model and reference segmentation."), 3)
    return columns


def _agreementColumns(tableNode, models: list[str]) -> list[ShownColumn]:
    """Dice between the models: one column for two models, one a model for more."""
    agreement = {model: _values(tableNode, AGREEMENT_COLUMN.format(model=model)) for model in models}
    if len(models) < 2 or not all(agreement.values()):
        return []
    texts = {
        model: [UNDEFINED if row == column else _rounded(value, 3) for row, value in enumerate(agreement[model])]
        for column, model in enumerate(models)
    }
    if len(models) == 2:
        cells = [texts[models[1]][0], texts[models[0]][1]]
        return [ShownColumn(_("Dice\nother"), _("Dice coefficient with the other model."), cells)]
    return [
        ShownColumn(_("Dice\n{model}").format(model=model),
                    _("Dice coefficient with {model}.").format(model=model), texts[model])
        for model in models
    ]


def warningTexts(tableNode) -> list[str]:
    """A line a warning of the models, those that all of them share once."""
    models = tableModels(tableNode)
    texts = [str(text) for text in _values(tableNode, WARNINGS_COLUMN)]
    said = dict.fromkeys(text for text in texts if text)
    lines = []
    for text in said:
        names = [model for model, other in zip(models, texts, strict=False) if other == text]
        lines.append(text if len(names) == len(models) else f"{', '.join(names)}: {text}")
    return lines


def exportedRows(resultSet: ResultSet) -> list[list[str]]:
    """Everything that was measured, of a sequence in all frames, for spreadsheets; what is undefined is empty."""
    tableNode = resultSet.table
    table = tableNode.GetTable()
    names = [table.GetColumnName(column) for column in range(table.GetNumberOfColumns())]
    names.sort(key=(WARNINGS_COLUMN, CHECKSUM_COLUMN).__contains__)  # long texts last, also where a column was added
    time = runTime(resultSet.run)
    before = [resultSet.volumeName, f"{time.astimezone():%Y-%m-%d %H:%M:%S}" if time else resultSet.run]
    titles = [tableNode.GetColumnTitle(name) or name for name in names]
    frames = tableFrames(tableNode)
    if not frames:
        return [[_("CT"), _("Run"), *titles], *([*before, *row] for row in _rows(tableNode, names))]
    rows = ([*before, frame, *row] for frame, node in frames for row in _rows(node, names))
    return [[_("CT"), _("Run"), _("Frame"), *titles], *rows]


def tableFrames(tableNode) -> list[tuple[str, object]]:
    """The tables of all frames by their index values, where *tableNode* is one of a sequence's; else none."""
    source = FrameSource.of(tableNode)
    if source is None:
        return []
    return [(source.sequenceNode.GetNthIndexValue(index), node) for index, node in enumerate(source.frames())]


def _rows(tableNode, names: list[str]) -> list[tuple[str, ...]]:
    count = tableNode.GetTable().GetNumberOfRows()
    columns = ([_exact(value) for value in _values(tableNode, name)] or [""] * count for name in names)
    return list(zip(*columns, strict=True))


def asTabSeparated(rows: list[list[str]]) -> str:
    """For the clipboard: spreadsheets take it apart into cells."""
    return "\n".join("\t".join(" ".join(cell.split()) for cell in row) for row in rows) + "\n"


def asCsv(rows: list[list[str]]) -> str:
    """For a file: comma separated, quoted where a cell needs it."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _values(tableNode, name: str) -> list:
    """A column's values; empty where a user deleted the column."""
    column = tableNode.GetTable().GetColumnByName(name)
    return [column.GetValue(row) for row in range(column.GetNumberOfValues())] if column else []


def _number(value) -> float:
    """A cell as a number, NaN where it is none: tables that were edited or read back may hold texts."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def _rounded(value, decimals: int) -> str:
    number = _number(value)
    return f"{number:.{decimals}f}" if math.isfinite(number) else UNDEFINED


def _exact(value) -> str:
    if isinstance(value, float):
        return f"{value:.6g}" if math.isfinite(value) else ""
    return str(value)

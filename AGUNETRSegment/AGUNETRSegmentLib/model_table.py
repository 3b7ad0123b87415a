"""The table of models in the panel: one row a model, with a tick box."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import qt

from .model_choice import isUsable, rowTexts, rowToolTip
from .translation import _

SHOWN_ROWS = 6


class ModelTable:
    """Shows models in a table widget.

    :param tableWidget: the ``QTableWidget``.
    :param ticksChanged: takes the ticked names after the user ticked or cleared one.
    :param selectionChanged: called after another row was selected.
    """

    def __init__(self, tableWidget, ticksChanged: Callable[[list[str]], None], selectionChanged: Callable) -> None:
        self._widget = tableWidget
        self._ticksChanged = ticksChanged
        self._models: list[dict] = []
        self._filling = False
        titles = [_("Model"), _("Variant"), _("Size"), _("Dice"), _("Licence")]
        tableWidget.setColumnCount(len(titles))
        tableWidget.setHorizontalHeaderLabels(titles)
        tableWidget.verticalHeader().hide()
        tableWidget.horizontalHeader().setStretchLastSection(True)
        self._fitHeight()
        tableWidget.connect("itemChanged(QTableWidgetItem*)", self._onItemChanged)
        tableWidget.connect("itemSelectionChanged()", selectionChanged)

    def show(self, models: Sequence[dict], ticked: Sequence[str]) -> None:
        """Show these models (the worker's entries), *ticked* ones by name; cheap where nothing changed."""
        if list(models) != self._models:
            self._fill(list(models))
        self._filling = True
        for row, model in enumerate(self._models):
            if not isUsable(model):
                continue
            state = qt.Qt.Checked if model["name"] in ticked else qt.Qt.Unchecked
            item = self._widget.item(row, 0)
            if item.checkState() != state:
                item.setCheckState(state)
        self._filling = False

    def ticked(self) -> list[str]:
        """The names that are ticked, in the table's order."""
        return [
            model["name"]
            for row, model in enumerate(self._models)
            if isUsable(model) and self._widget.item(row, 0).checkState() == qt.Qt.Checked
        ]

    def selected(self) -> dict | None:
        """The model of the selected row."""
        for row, model in enumerate(self._models):
            item = self._widget.item(row, 0)
            if item and item.isSelected():
                return model
        return None

    def select(self, name: str) -> None:
        """Select the row of a model, if it is there."""
        for row, model in enumerate(self._models):
            if model["name"] == name:
                self._widget.selectRow(row)

    def _fill(self, models: list[dict]) -> None:
        selected = self.selected()
        self._filling = True
        self._models = models
        self._widget.setRowCount(len(models))
        for row, model in enumerate(models):
            toolTip = rowToolTip(model)
            for column, text in enumerate(rowTexts(model)):
                item = qt.QTableWidgetItem(text)
                item.setToolTip(toolTip)
                flags = qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable
                tickable = column == 0 and isUsable(model)
                item.setFlags(flags | qt.Qt.ItemIsUserCheckable if tickable else flags)
                if tickable:
                    item.setCheckState(qt.Qt.Unchecked)
                self._widget.setItem(row, column, item)
        self._widget.resizeColumnsToContents()
        self._fitHeight()
        self._filling = False
        if selected:
            self.select(selected["name"])

    def _fitHeight(self) -> None:
        """As high as its rows, so that the panel scrolls and not the table; many models scroll after all."""
        rows = sum(self._widget.rowHeight(row) for row in range(min(len(self._models), SHOWN_ROWS)))
        header = self._widget.horizontalHeader().height
        self._widget.setFixedHeight(rows + header + 2 * self._widget.frameWidth + self._scrollBarHeight())

    def _scrollBarHeight(self) -> int:
        return self._widget.horizontalScrollBar().sizeHint.height()

    def _onItemChanged(self, item) -> None:
        if not self._filling and item.column() == 0:
            self._ticksChanged(self.ticked())

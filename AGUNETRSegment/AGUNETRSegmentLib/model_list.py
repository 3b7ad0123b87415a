"""The tick list of models in the panel."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import qt


class ModelList:
    """Shows models in a list widget, each with a tick box.

    :param listWidget: the ``QListWidget``.
    :param changed: takes the ticked names after the user ticked or cleared one.
    """

    def __init__(self, listWidget, changed: Callable[[list[str]], None]) -> None:
        self._widget = listWidget
        self._changed = changed
        self._filling = False
        listWidget.connect("itemChanged(QListWidgetItem*)", self._onItemChanged)

    def setModels(self, models: Sequence[dict], ticked: Sequence[str]) -> None:
        """Show these models (entries of the worker's list), *ticked* ones by name."""
        self._filling = True
        self._widget.clear()
        for row, model in enumerate(models):
            self._widget.addItem(model.get("title") or model["name"])
            item = self._widget.item(row)
            item.setData(qt.Qt.UserRole, model["name"])
            item.setToolTip(model["name"])
            item.setFlags(qt.Qt.ItemIsUserCheckable | qt.Qt.ItemIsEnabled)
            item.setCheckState(qt.Qt.Checked if model["name"] in ticked else qt.Qt.Unchecked)
        self._filling = False

    def setTicked(self, names: Sequence[str]) -> None:
        """Tick exactly these."""
        self._filling = True
        for item in self._items():
            item.setCheckState(qt.Qt.Checked if item.data(qt.Qt.UserRole) in names else qt.Qt.Unchecked)
        self._filling = False

    def names(self) -> list[str]:
        """Every model shown."""
        return [item.data(qt.Qt.UserRole) for item in self._items()]

    def ticked(self) -> list[str]:
        """The names that are ticked, in the list's order."""
        return [item.data(qt.Qt.UserRole) for item in self._items() if item.checkState() == qt.Qt.Checked]

    def _items(self) -> list:
        return [self._widget.item(row) for row in range(self._widget.count)]

    def _onItemChanged(self, _item) -> None:
        if not self._filling:
            self._changed(self.ticked())

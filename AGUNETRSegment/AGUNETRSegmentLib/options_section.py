"""The panel's options, as far as their widgets are not simply bound: the list of devices."""

from __future__ import annotations

from .errors import SegmentationError
from .parameters import AUTOMATIC, GATES
from .translation import _


class OptionsSection:
    """Offers the devices that the worker finds, and the gates that the ticked models have.

    :param ui: the widgets by name.
    :param logic: the module's logic.
    :param panel: the panel, see :class:`.segment_panel.SegmentPanel`.
    """

    def __init__(self, ui, logic, panel) -> None:
        self._ui = ui
        self._logic = logic
        self._panel = panel
        self._devices: list[dict] = []
        self._asking = False
        self._shown: list[tuple[str, str]] = []
        ui.deviceLabel.setBuddy(ui.deviceComboBox)
        ui.precisionLabel.setBuddy(ui.precisionComboBox)
        ui.overlapLabel.setBuddy(ui.overlapSpinBox)
        ui.mapsLabel.setBuddy(ui.mapEnc1CheckBox)
        ui.deviceComboBox.connect("currentIndexChanged(int)", self._onDeviceChosen)
        ui.optionsCollapsibleButton.connect("contentsCollapsed(bool)", self._onCollapsed)

    def setParameterNode(self, parameterNode) -> None:
        """Nothing: update follows, and the other widgets are bound."""

    def update(self) -> None:
        """Show the chosen device, and which gates there are."""
        parameterNode = self._panel.parameterNode
        if not parameterNode:
            return
        self._showDevices(parameterNode.options.device)
        ticked = list(parameterNode.models)
        present = {
            gate for model in self._panel.models if model["name"] in ticked for gate in model.get("gates", [])}
        for number, gate in enumerate(GATES, 1):
            getattr(self._ui, f"mapEnc{number}CheckBox").enabled = gate in present
        self._ui.allowCpuCheckBox.enabled = parameterNode.options.device != "cpu"

    def close(self) -> None:
        """Nothing to take down."""

    def _onCollapsed(self, collapsed: bool) -> None:
        """Look for devices whenever the options are opened: free memory changes."""
        if collapsed or self._asking:
            return
        self._asking = True
        try:
            self._logic.listDevices(self._onDevices, self._onNoDevices)
        except SegmentationError as error:
            self._onNoDevices(error)

    def _onDevices(self, answer: dict) -> None:
        self._asking = False
        self._devices = list(answer.get("devices", []))
        self._panel.update()

    def _onNoDevices(self, error: SegmentationError) -> None:
        self._asking = False
        if error.kind != "cancelled":
            self._panel.log("warning", str(error))

    def _showDevices(self, chosen: str) -> None:
        entries = [(AUTOMATIC, _("Automatic"))]
        entries += [(device["name"], _deviceText(device)) for device in self._devices]
        names = [name for name, _text in entries]
        if "cpu" not in names:
            entries.append(("cpu", _("CPU")))
            names.append("cpu")
        if chosen not in names:  # from a scene of another computer, or not looked for yet
            entries.append((chosen, _("{device} (not found)").format(device=chosen) if self._devices else chosen))
            names.append(chosen)
        comboBox = self._ui.deviceComboBox
        wasBlocked = comboBox.blockSignals(True)
        if entries != self._shown:
            comboBox.clear()
            for name, text in entries:
                comboBox.addItem(text, name)
            self._shown = entries
        comboBox.currentIndex = names.index(chosen)
        comboBox.blockSignals(wasBlocked)

    def _onDeviceChosen(self, index: int) -> None:
        parameterNode = self._panel.parameterNode
        if parameterNode and 0 <= index < len(self._shown):
            parameterNode.options.device = self._shown[index][0]


def _deviceText(device: dict) -> str:
    """For example ``NVIDIA T4 (cuda:0), 14.2 GB free``."""
    title = device.get("title") or device["name"]
    if device.get("fault"):
        return _("{device}: does not work").format(device=title)
    if device.get("free_bytes") is None:
        return title
    return _("{device}, {free:.1f} GB free").format(device=title, free=device["free_bytes"] / 1e9)

"""The panel's experiment: a shipped one or a file, and what it trains."""

from __future__ import annotations

from pathlib import Path

import qt

from AGUNETRSegmentLib.engine_command import EngineCommand
from AGUNETRSegmentLib.errors import SegmentationError
from AGUNETRSegmentLib.translation import _

from .experiments import ExperimentSummary, planText, readExperiment
from .text_dialog import showText
from .training_command import engineEnvironment


class ExperimentSection:
    """Chooses the experiment.

    :param ui: the widgets by name.
    :param logic: the module's logic.
    :param panel: the panel, see :class:`.train_panel.TrainPanel`.
    """

    def __init__(self, ui, logic, panel) -> None:
        self._ui, self._panel = ui, panel
        self._shipped = logic.experiments()
        self._files: dict[str, ExperimentSummary | None] = {}
        self._resolved: EngineCommand = EngineCommand(qt.QTimer.singleShot, environment=engineEnvironment())
        self._values = list(self._shipped)
        ui.experimentLabel.setBuddy(ui.experimentComboBox)
        for name in self._values:
            ui.experimentComboBox.addItem(name)
        ui.experimentComboBox.connect("currentIndexChanged(int)", self._onChosen)
        ui.experimentFileButton.connect("clicked(bool)", self._onFile)
        ui.showExperimentButton.connect("clicked(bool)", self._onShow)

    @property
    def chosen(self) -> ExperimentSummary | None:
        """The chosen experiment; None where there is none, or its file cannot be read."""
        node = self._panel.parameterNode
        return self.summary(node.experiment) if node and node.experiment else None

    def summary(self, value: str) -> ExperimentSummary | None:
        """A shipped experiment by its name, or the one in a file; None where it cannot be read."""
        if value in self._shipped:
            return self._shipped[value]
        if value not in self._files:
            try:
                self._files[value] = readExperiment(Path(value))
            except SegmentationError as error:
                self._files[value] = None
                self._panel.say(str(error))
        return self._files[value]

    def setParameterNode(self, parameterNode) -> None:
        """A scene without a choice begins with the quickest experiment."""
        if parameterNode and not parameterNode.experiment and self._values:
            parameterNode.experiment = "smoke" if "smoke" in self._values else self._values[0]

    def update(self) -> None:
        """Show the choice and what it trains."""
        node, ui = self._panel.parameterNode, self._ui
        experiment = self.chosen
        if node and node.experiment:
            if node.experiment not in self._values:
                self._values.append(node.experiment)
                ui.experimentComboBox.addItem(self._title(node.experiment))
            ui.experimentComboBox.setCurrentIndex(self._values.index(node.experiment))
        ui.experimentComboBox.toolTip = _("What is trained: networks, split, seeds and every value of the training.")
        ui.descriptionLabel.text = experiment.description if experiment else ""
        ui.planLabel.text = planText(experiment) if experiment else ""
        running = self._panel.training.running
        ui.experimentComboBox.enabled = not running
        ui.experimentFileButton.enabled = not running
        ui.showExperimentButton.enabled = experiment is not None and not self._resolved.running

    def close(self) -> None:
        """End a question that runs."""
        self._resolved.stop()

    def open(self, value: str) -> None:
        """Choose a shipped experiment by its name, or a file.

        :raises SegmentationError: the file is no experiment.
        """
        if value not in self._shipped:
            self._files[value] = readExperiment(Path(value))
        if self._panel.parameterNode:
            self._panel.parameterNode.experiment = value

    def _title(self, value: str) -> str:
        experiment = self.summary(value)
        return _("{name} ({file})").format(name=experiment.name if experiment else "?", file=value)

    def _onChosen(self, index: int) -> None:
        node = self._panel.parameterNode
        if node and 0 <= index < len(self._values) and node.experiment != self._values[index]:
            before = self.chosen
            node.experiment = self._values[index]
            self._panel.sections["run"].suggestFolder(before)

    def _onFile(self, _checked: bool = False) -> None:
        path = qt.QFileDialog.getOpenFileName(
            self._ui.experimentFileButton.window(), _("Open an experiment"), "", _("Experiments (*.json)"))
        if not path:
            return
        before = self.chosen
        try:
            self.open(path)
        except SegmentationError as error:
            self._panel.fail(error)
            return
        self._panel.sections["run"].suggestFolder(before)

    def _onShow(self, _checked: bool = False) -> None:
        try:
            self._resolved.start(
                ["experiments", "show", self._panel.parameterNode.experiment], self._onResolved, self._panel.fail)
        except SegmentationError as error:
            self._panel.fail(error)
        self._panel.update()

    def _onResolved(self, events: list[dict]) -> None:
        self._panel.update()
        values = next((event["experiment"] for event in events if event.get("event") == "experiment"), {})
        title = _("Every value of {name}").format(name=values.get("name", ""))
        showText(title, values, self._ui.showExperimentButton.window())

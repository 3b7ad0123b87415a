"""The panel's data: the folder of the labelled cases, and a look at it before any training."""

from __future__ import annotations

import os
from pathlib import Path

import qt

from AGUNETRSegmentLib.engine_command import EngineCommand
from AGUNETRSegmentLib.errors import SegmentationError
from AGUNETRSegmentLib.path_field import followPath
from AGUNETRSegmentLib.translation import _

from .experiments import FOLDER, dataText
from .training_command import engineEnvironment

CHECK_SECONDS = 3600.0  # large folders on slow disks
REPORT_FILE = "data-report.txt"
LONGEST = 200_000  # characters


class DataSection:
    """Chooses the data and checks them in a child process.

    :param ui: the widgets by name.
    :param logic: the module's logic.
    :param panel: the panel, see :class:`.train_panel.TrainPanel`.
    :param command: runs the check; a test hands in its own.
    """

    def __init__(self, ui, logic, panel, command=None) -> None:
        self._ui, self._panel = ui, panel
        self._command = command or EngineCommand(qt.QTimer.singleShot, environment=engineEnvironment())
        self._shownRun = ""
        ui.dataReportText.font = qt.QFontDatabase.systemFont(qt.QFontDatabase.FixedFont)  # it has columns
        ui.dataFolderLabel.setBuddy(ui.dataFolderPathLineEdit)
        # Not bound by SlicerParameterName: the widget is bound to paths, and an empty path is the current folder.
        followPath(ui.dataFolderPathLineEdit, self._onChosen)
        ui.checkDataButton.connect("clicked(bool)", self._onCheck)

    def setParameterNode(self, parameterNode) -> None:
        """Show the folder of another parameter node."""
        if parameterNode and self._ui.dataFolderPathLineEdit.currentPath != parameterNode.dataFolder:
            self._ui.dataFolderPathLineEdit.currentPath = parameterNode.dataFolder

    def update(self) -> None:
        """Show what the experiment needs, and what can be done."""
        experiment, node, ui = self._panel.experiment, self._panel.parameterNode, self._ui
        folder = node.dataFolder if node else ""
        ui.dataNoteLabel.text = "" if folder or experiment is None else dataText(experiment)
        ui.dataNoteLabel.visible = bool(ui.dataNoteLabel.text)
        ui.dataFolderPathLineEdit.enabled = not self._panel.training.running
        button = ui.checkDataButton
        if self._command.running:
            button.text, button.enabled = _("Stop checking"), True
            button.toolTip = _("Stop looking at the cases.")
        else:
            problem = self._whyNotChecked(folder)
            button.text, button.enabled = _("Check"), not problem
            button.toolTip = problem or _("Look at every case for what would spoil a training; nothing is changed.")
        ui.dataReportText.visible = bool(ui.dataReportText.plainText)

    def recordChanged(self) -> None:
        """Show the report that a run's own check has written, once."""
        folder = self._panel.runFolder if self._panel.record else ""
        if folder == self._shownRun or not folder:
            return
        try:
            text = (Path(folder) / REPORT_FILE).read_text(encoding="utf-8")[:LONGEST]
        except OSError:
            return  # it is not there yet
        self._shownRun = folder
        self._showReport(text)

    def close(self) -> None:
        """End a check that runs."""
        self._command.stop()

    def _whyNotChecked(self, folder: str) -> str:
        experiment = self._panel.experiment
        if not folder:
            needed = experiment is None or experiment.dataSource == FOLDER
            return (_("Choose a folder first.") if needed
                    else _("The cases are checked when training begins; choose a folder to check your own."))
        return "" if os.path.isdir(folder) else _('There is no folder "{path}".').format(path=folder)

    def _onChosen(self, path: str) -> None:
        node = self._panel.parameterNode
        if node and node.dataFolder != path:
            node.dataFolder = path

    def _onCheck(self, _checked: bool = False) -> None:
        if self._command.running:
            self._command.stop()
            self._ui.dataReportText.setPlainText("")
            self._panel.update()
            return
        node = self._panel.parameterNode
        arguments = ["data", "check", os.path.abspath(node.dataFolder)]
        if self._panel.experiment:
            arguments += ["--experiment", node.experiment]
        self._showReport(_("Looking at the cases..."))
        try:
            self._command.start(arguments, self._onChecked, self._onFailed, CHECK_SECONDS, self._onEvent)
        except SegmentationError as error:
            self._onFailed(error)
        self._panel.update()

    def _onEvent(self, event: dict) -> None:
        if event.get("event") == "progress":
            self._showReport(_("Looking at case {done} of {total}...").format(
                done=int(event.get("done", 0)) + 1, total=event.get("total", "?")))

    def _onChecked(self, events: list[dict]) -> None:
        report = next((event for event in events if event.get("event") == "data"), {})
        self._showReport(str(report.get("text", "")))
        self._panel.update()

    def _onFailed(self, error: SegmentationError) -> None:
        self._showReport(str(error))
        if error.details:
            self._panel.log("error", error.details)
        self._panel.update()

    def _showReport(self, text: str) -> None:
        self._ui.dataReportText.setPlainText(text)
        self._ui.dataReportText.visible = bool(text)

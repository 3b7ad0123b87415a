"""The panel's run: where it goes, the command, one button that starts and stops, progress and the log."""

from __future__ import annotations

from pathlib import Path

import qt
import slicer

from AGUNETRSegmentLib.errors import SegmentationError
from AGUNETRSegmentLib.log_view import LogView
from AGUNETRSegmentLib.path_field import followPath
from AGUNETRSegmentLib.translation import _

from .experiments import ExperimentSummary
from .job_states import runText, secondsLeft, shareDone
from .training_command import EXPERIMENT_FILE, commandText, reasonNotToStart, runName, suggestedRunFolder

PARTS = 1000  # of the progress bar


class RunSection:
    """Starts and stops trainings, which belong to files and not to the scene.

    :param ui: the widgets by name.
    :param logic: the module's logic.
    :param panel: the panel, see :class:`.train_panel.TrainPanel`.
    """

    def __init__(self, ui, logic, panel) -> None:
        self._ui, self._logic, self._panel = ui, logic, panel
        self._log = LogView(ui.logTextEdit, ui.saveLogButton)
        self._ending = ""
        ui.runFolderLabel.setBuddy(ui.runFolderPathLineEdit)
        ui.deviceLabel.setBuddy(ui.deviceComboBox)
        ui.atOnceLabel.setBuddy(ui.atOnceSpinBox)
        # Not bound by SlicerParameterName, for the reason told in data_section.
        followPath(ui.runFolderPathLineEdit, self._onFolderChosen)
        ui.startButton.connect("clicked(bool)", self._onClicked)
        ui.copyCommandButton.connect("clicked(bool)", self._onCopy)
        ui.openRunFolderButton.connect("clicked(bool)", self._onOpen)
        ui.progressBar.setRange(0, PARTS)

    def setParameterNode(self, parameterNode) -> None:
        """Show the folder of another parameter node; a scene without one gets a suggestion."""
        if not parameterNode:
            return
        if not parameterNode.runFolder:
            self.suggestFolder(None)
        self._showFolder(parameterNode.runFolder)

    def update(self) -> None:
        """Show whether a training can begin, goes on or is being stopped."""
        training, node, ui = self._panel.training, self._panel.parameterNode, self._ui
        button = ui.startButton
        if training.running:
            button.text = _("Stop now") if training.stopping else _("Stop")
            button.toolTip = (
                _("End at once, without waiting for the checkpoint; the last one that was written stays.")
                if training.stopping else
                _("Stop after the step at hand and keep a checkpoint; Start goes on from there."))
            button.enabled = True
        else:
            problem = self._panel.problem()
            button.text = _("Go on") if self._panel.record else _("Start")
            button.toolTip = problem or (
                _("Go on with the run in the folder, where it was stopped.") if self._panel.record else
                _("Train every job of the experiment, score its networks and make the report."))
            button.enabled = not problem
        for widget in (ui.runFolderPathLineEdit, ui.deviceComboBox, ui.atOnceSpinBox):
            widget.enabled = not training.running
        ui.openRunFolderButton.enabled = self._panel.record is not None
        ui.progressBar.visible = training.running
        if node:
            self._showCommand()
        self.trainingChanged()

    def problem(self) -> str:
        """Why no training can begin."""
        if not self._panel.parameterNode:
            return _("Open the module first.")
        return reasonNotToStart(self._panel.request(), self._panel.experiment)

    def trainingChanged(self) -> None:
        """Show how far the training is."""
        training, record = self._panel.training, self._panel.record
        if not training.running:
            self._showIdle()
            return
        if training.stopping:
            self._panel.say(_("Stopping after the step at hand..."))
            return
        share = shareDone(record, training.epochs) if record else 0.0
        if share and training.epochs:
            self._ui.progressBar.setRange(0, PARTS)
            self._ui.progressBar.value = round(PARTS * share)
        else:
            self._ui.progressBar.setRange(0, 0)  # moves without saying how far
        if record and training.epochs:
            left = secondsLeft(record, training.epochs, training.request.atOnce)
            self._panel.say(runText(record, self._panel.sections["jobs"].states(), left))
        else:
            self._panel.say(training.told)

    def trainingEnded(self, error: SegmentationError | None) -> None:
        """The child has left."""
        training = self._panel.training
        if error:
            self._ending = str(error)
            if error.details:
                self.log("error", error.details)
        elif training.stopping:
            self._ending = _("Stopped; Go on continues from the last checkpoint.")
        elif training.failures:
            self._ending = _("Failed jobs: {count}; the table's tooltips and the log say why.").format(
                count=len(training.failures))
        else:
            self._ending = _("The training is finished.")
        self._panel.say(self._ending)

    def log(self, level: str, text: str) -> None:
        """Add a line to the log view."""
        self._log.add(level, text)

    def close(self) -> None:
        """Nothing is left."""

    def suggestFolder(self, before: ExperimentSummary | None) -> None:
        """Suggest a folder for the chosen experiment, unless the user chose one of his own that fits.

        :param before: the experiment that was chosen before.
        """
        node, experiment = self._panel.parameterNode, self._panel.experiment
        if not node or experiment is None:
            return
        documents = qt.QStandardPaths.writableLocation(qt.QStandardPaths.DocumentsLocation)
        earlier = suggestedRunFolder(documents, before.name) if before else ""
        ofAnother = runName(Path(node.runFolder)) not in (None, experiment.name) if node.runFolder else False
        if node.runFolder in ("", earlier) or ofAnother:
            node.runFolder = suggestedRunFolder(documents, experiment.name)
            self._showFolder(node.runFolder)

    def _showIdle(self) -> None:
        """What the folder shows, where nothing runs here; the last ending stays until something else is chosen."""
        record = self._panel.record
        if self._ending or record is None:
            return
        states = self._panel.sections["jobs"].states()
        self._panel.say(runText(record, states, None))

    def _showFolder(self, folder: str) -> None:
        # Only where it differs: an assignment moves the cursor to the end while the user types in the middle.
        if self._ui.runFolderPathLineEdit.currentPath != folder:
            self._ui.runFolderPathLineEdit.currentPath = folder

    def _showCommand(self) -> None:
        try:
            text = commandText(self._panel.request().arguments()) if self._panel.experiment else ""
        except SegmentationError as error:
            text = str(error)
        if self._ui.commandText.plainText != text:
            self._ui.commandText.setPlainText(text)
        self._ui.copyCommandButton.enabled = bool(text)

    def _onFolderChosen(self, path: str) -> None:
        node = self._panel.parameterNode
        if not node or node.runFolder == path:
            return
        self._ending = ""
        self._panel.say("")
        node.runFolder = path
        name = runName(Path(path)) if path else None
        if name is None or (self._panel.experiment and self._panel.experiment.name == name):
            return
        try:  # a run that is opened brings its experiment, with every value it was begun with
            shipped = self._logic.experiments()
            self._panel.sections["experiment"].open(
                name if name in shipped else str(Path(path).absolute() / EXPERIMENT_FILE))
        except SegmentationError as error:
            self._panel.fail(error)

    def _onClicked(self, _checked: bool = False) -> None:
        training = self._panel.training
        if training.running:
            training.stop()
        else:
            self._start()
        self._panel.update()

    def _start(self) -> None:
        self._ending = ""
        for selector in (self._ui.dataFolderPathLineEdit, self._ui.runFolderPathLineEdit):
            selector.addCurrentPathToHistory()
        try:
            self._panel.training.start(self._panel.request())
        except SegmentationError as error:
            self._ending = str(error)
            self._panel.fail(error)
            return
        self._panel.watchRun()

    def _onCopy(self, _checked: bool = False) -> None:
        slicer.app.clipboard().setText(self._ui.commandText.plainText)

    def _onOpen(self, _checked: bool = False) -> None:
        folder = self._panel.runFolder
        if not qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(folder)):
            self._panel.say(_('No program shows folders here; the run is in "{path}".').format(path=folder))

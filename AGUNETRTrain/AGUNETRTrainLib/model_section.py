"""The panel's model: a finished job becomes a model, and AGUNETR Segment opens with it."""

from __future__ import annotations

import re

import qt
import slicer.util

from AGUNETRSegmentLib.engine_command import EngineCommand
from AGUNETRSegmentLib.errors import SegmentationError
from AGUNETRSegmentLib.translation import _

from .training_command import engineEnvironment

EXPORT_SECONDS = 3600.0  # test cases that were not scored are scored now
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")


class ModelSection:
    """Exports a job and hands the model over.

    :param ui: the widgets by name.
    :param logic: the module's logic.
    :param panel: the panel, see :class:`.train_panel.TrainPanel`.
    :param command: runs the export; a test hands in its own.
    """

    def __init__(self, ui, logic, panel, command=None) -> None:
        self._ui, self._panel = ui, panel
        self._command = command or EngineCommand(qt.QTimer.singleShot, environment=engineEnvironment())
        self._jobs: list[str] = []
        ui.modelJobLabel.setBuddy(ui.modelJobComboBox)
        ui.modelNameLabel.setBuddy(ui.modelNameLineEdit)
        ui.modelJobComboBox.connect("currentIndexChanged(int)", self._onJob)
        ui.modelNameLineEdit.connect("textChanged(QString)", self._onName)
        ui.exportButton.connect("clicked(bool)", self._onExport)

    def setParameterNode(self, parameterNode) -> None:
        """Nothing: models come from the run's folder."""

    def update(self) -> None:
        """Show the finished jobs, and what can be done."""
        record, ui = self._panel.record, self._ui
        jobs = [job.plan.name for job in record.jobs if job.finished is not None] if record else []
        if jobs != self._jobs:
            chosen = ui.modelJobComboBox.currentText
            self._jobs = jobs
            ui.modelJobComboBox.clear()
            for job in jobs:
                ui.modelJobComboBox.addItem(job)
            ui.modelJobComboBox.setCurrentIndex(jobs.index(chosen) if chosen in jobs else len(jobs) - 1)
        problem = self._problem()
        ui.exportButton.enabled = not problem
        ui.exportButton.toolTip = problem or _(
            "Make a model of the job's weights, with its card, scores and the licence of its data, put it where "
            "AGUNETR Segment finds it, and open that module with the model ticked.")

    def close(self) -> None:
        """End an export that runs."""
        self._command.stop()

    def _problem(self) -> str:
        if self._command.running:
            return _("A model is being made.")
        if not self._jobs:
            return _("No job is finished yet.")
        name = self._ui.modelNameLineEdit.text
        if not NAME.fullmatch(name):
            return _("Give the model a name of letters, digits, dots, dashes and underscores.")
        return ""

    def _onJob(self, index: int) -> None:
        record = self._panel.record
        if record and 0 <= index < len(self._jobs):
            self._ui.modelNameLineEdit.text = f"{record.experiment.name}-{self._jobs[index]}"

    def _onName(self, _text: str) -> None:
        self.update()

    def _onExport(self, _checked: bool = False) -> None:
        ui = self._ui
        name = ui.modelNameLineEdit.text
        arguments = [
            "export", str(self._panel.record.folder), "--job", ui.modelJobComboBox.currentText, "--name", name]
        if ui.researchOnlyCheckBox.checked:
            arguments.append("--research-only")
        self._tell(_("Making the model {name}...").format(name=name))
        try:
            self._command.start(arguments, lambda _events: self._onExported(name), self._onFailed, EXPORT_SECONDS)
        except SegmentationError as error:
            self._onFailed(error)
        self.update()

    def _onExported(self, name: str) -> None:
        self._tell(_("The model {name} is made; AGUNETR Segment lists it.").format(name=name))
        self.update()
        slicer.util.selectModule("AGUNETRSegment")
        _tickInSegment(name)

    def _onFailed(self, error: SegmentationError) -> None:
        self._tell(str(error))
        if error.details:
            self._panel.log("error", error.details)
        self.update()

    def _tell(self, text: str) -> None:
        self._ui.modelStatusLabel.text = text
        self._ui.modelStatusLabel.visible = bool(text)


def _tickInSegment(name: str) -> None:
    """Tick the model beside those that are ticked; the list that names it is asked for anew."""
    panel = slicer.util.getModuleWidget("AGUNETRSegment").panel
    node = panel.parameterNode
    if node:
        node.modelsChosen = True
        node.models = [*(model for model in node.models if model != name), name]
        panel.refreshModels()

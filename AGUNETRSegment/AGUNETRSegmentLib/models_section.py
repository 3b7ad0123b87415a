"""The panel's models: a table to tick, importing, removing, the folder and the model card."""

from __future__ import annotations

from pathlib import Path

import qt
import slicer

from .engine_command import EngineCommand
from .errors import SegmentationError
from .model_card import showCard
from .model_choice import firstChoice, isUsable, stillThere, unusable
from .model_import import ModelImport
from .model_table import ModelTable
from .translation import _


class ModelsSection:
    """Shows the worker's models and keeps the ticked ones in the parameter node.

    :param ui: the widgets by name.
    :param logic: the module's logic.
    :param panel: the panel, see :class:`.segment_panel.SegmentPanel`.
    :param changes: imports and removes; a test hands in its own.
    """

    def __init__(self, ui, logic, panel, changes=None) -> None:
        self._ui, self._logic, self._panel = ui, logic, panel
        self._changes = changes or ModelImport(EngineCommand(qt.QTimer.singleShot))
        self._selectNext = ""
        self._note = ""
        self._table = ModelTable(ui.modelsTable, self._onTicksChanged, self._updateButtons)
        for button, slot in (
            (ui.importModelZipButton, self._onImportZip),
            (ui.importModelFolderButton, self._onImportFolder),
            (ui.refreshModelsButton, self._onRefresh),
            (ui.showModelCardButton, self._onShowCard),
            (ui.openModelFolderButton, self._onOpenFolder),
            (ui.removeModelButton, self._onRemove),
        ):
            button.connect("clicked(bool)", slot)

    def setParameterNode(self, parameterNode) -> None:
        """Nothing: update follows."""

    def update(self) -> None:
        """Show the models and which are ticked."""
        parameterNode = self._panel.parameterNode
        models = self._panel.models
        ticked: list[str] = []
        gone: list[str] = []
        if parameterNode and models:
            if not parameterNode.modelsChosen:
                parameterNode.modelsChosen = True
                parameterNode.models = firstChoice(models)
            ticked, gone = stillThere(list(parameterNode.models), models)
        self._table.show([*models, *map(unusable, self._panel.brokenModels)], ticked)
        if self._selectNext and any(model["name"] == self._selectNext for model in models):
            self._table.select(self._selectNext)
            self._selectNext = ""
        self._showNote(gone)
        self._updateButtons()

    def close(self) -> None:
        """End a change that runs."""
        self._changes.stop()

    def problem(self) -> str:
        """Why no run can begin; empty where the models are not in its way."""
        if not self._panel.modelsAreKnown:
            return _("The models are being looked for.") if self._logic.busy else _("Press Refresh under Models.")
        if not self._panel.models:
            return _("No model can be used. Import one under Models.")
        parameterNode = self._panel.parameterNode
        gone = stillThere(list(parameterNode.models), self._panel.models)[1] if parameterNode else []
        if gone and len(gone) == len(parameterNode.models):
            return _("The chosen models are not installed here: {names}.").format(names=", ".join(gone))
        return ""

    def _showNote(self, gone: list[str]) -> None:
        notes = []
        if gone:
            notes.append(
                _("Chosen in this scene but not installed here, so left out: {names}.").format(names=", ".join(gone))
            )
        if self._panel.brokenModels:
            names = ", ".join(Path(broken.get("folder", "")).name for broken in self._panel.brokenModels)
            notes.append(_("Cannot be used: {names}. The row's tooltip says why.").format(names=names))
        if self._note:
            notes.append(self._note)
        self._ui.modelsNoteLabel.text = "\n".join(notes)
        self._ui.modelsNoteLabel.visible = bool(notes)

    def _updateButtons(self) -> None:
        model = self._table.selected()
        free = not self._changes.running and not self._logic.running
        ui = self._ui
        ui.importModelZipButton.enabled = free
        ui.importModelFolderButton.enabled = free
        ui.refreshModelsButton.enabled = not self._logic.busy
        ui.showModelCardButton.enabled = model is not None and isUsable(model)
        ui.openModelFolderButton.enabled = model is not None
        ui.removeModelButton.enabled = free and model is not None and not model.get("embedded")
        if model is None:
            ui.removeModelButton.toolTip = _("Select a model in the table to delete it from the disk.")
        elif model.get("embedded"):
            ui.removeModelButton.toolTip = _("This model came with AGUNETR and stays; simply do not tick it.")
        else:
            ui.removeModelButton.toolTip = _("Delete the selected model from the disk. Asks first.")

    def _onTicksChanged(self, names: list[str]) -> None:
        parameterNode = self._panel.parameterNode
        if parameterNode:
            # What is not installed here stays chosen for the computer where it is.
            gone = stillThere(list(parameterNode.models), self._panel.models)[1]
            parameterNode.models = names + gone
        self._panel.update()

    def _onRefresh(self) -> None:
        self._note = ""
        self._panel.refreshModels()

    # Importing and removing

    def _onImportZip(self) -> None:
        path = qt.QFileDialog.getOpenFileName(
            self._window(), _("Import a model"), "", _("Zip of a model") + " (*.zip)"
        )
        if path:
            self._import(Path(path))

    def _onImportFolder(self) -> None:
        path = qt.QFileDialog.getExistingDirectory(self._window(), _("Folder of a model"))
        if path:
            self._import(Path(path))

    def _import(self, source: Path) -> None:
        self._tell(_("Importing {name}...").format(name=source.name))
        self._begin(lambda: self._changes.importModel(source, self._onImported, self._onFailed))

    def _onImported(self, model: dict) -> None:
        self._selectNext = model["name"]
        parameterNode = self._panel.parameterNode
        if parameterNode and parameterNode.modelsChosen and model["name"] not in parameterNode.models:
            parameterNode.models = [*parameterNode.models, model["name"]]
        self._tell(_("{name} was imported and ticked.").format(name=model["name"]))
        self._panel.refreshModels()

    def _onRemove(self) -> None:
        model = self._table.selected()
        if model is None:
            return
        question = _('Delete the model {name} from the disk?\n\n"{folder}" goes; results in scenes stay.').format(
            name=model["name"], folder=model.get("folder", "")
        )
        if not slicer.util.confirmOkCancelDisplay(question, _("AGUNETR - Remove a model")):
            return
        self._tell(_("Removing {name}...").format(name=model["name"]))
        self._begin(lambda: self._changes.removeModel(model["name"], self._onRemoved, self._onFailed))

    def _onRemoved(self, name: str) -> None:
        parameterNode = self._panel.parameterNode
        if parameterNode and name in parameterNode.models:
            parameterNode.models = [other for other in parameterNode.models if other != name]
        self._tell(_("{name} was removed.").format(name=name))
        self._panel.refreshModels()

    def _begin(self, change) -> None:
        try:
            change()
        except SegmentationError as error:
            self._onFailed(error)
            return
        self._panel.update()

    def _onFailed(self, error: SegmentationError) -> None:
        self._tell(str(error))
        if error.details:
            self._panel.log("error", error.details)
        self._panel.update()

    def _tell(self, text: str) -> None:
        """Say what becomes of a change, beside the table and for good: the status line soon says something else."""
        self._note = text
        self._panel.say(text)

    # Showing

    def _onShowCard(self) -> None:
        model = self._table.selected()
        if model is None:
            return
        try:
            showCard(model, self._window())
        except SegmentationError as error:
            self._onFailed(error)

    def _onOpenFolder(self) -> None:
        model = self._table.selected()
        if model is None:
            return
        folder = model.get("folder", "")
        if not Path(folder).is_dir():
            self._tell(_('"{folder}" is not there any more. Press Refresh.').format(folder=folder))
            self._panel.update()
        elif not qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(folder)):
            self._tell(_('No file browser could be opened for "{folder}".').format(folder=folder))
            self._panel.update()

    def _window(self):
        return self._ui.modelsTable.window()

"""The panel's batch: a folder of CTs in, a folder of results out, and a table of what became of each CT."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import qt
import slicer

from .batch_command import BatchRequest
from .batch_loading import BatchLoading
from .batch_run import BatchRun
from .batch_table import BatchCase
from .batch_text import batchEndText, batchProgressText
from .errors import SegmentationError
from .path_field import followPath
from .run_options import engineOptions
from .translation import _

OUTPUT_SUFFIX = " AGUNETR"
TABLE_FILE = "cases.csv"
NAME_COLUMN, VOLUME_COLUMN, MESSAGE_COLUMN = 0, 2, 4


class BatchSection:
    """Starts and stops batches and shows their cases; the rest of the panel stays usable meanwhile.

    A batch belongs to files and not to the scene: it goes on when the scene is closed or another module is shown.

    :param ui: the widgets by name.
    :param logic: the module's logic.
    :param panel: the panel, see :class:`.segment_panel.SegmentPanel`.
    :param batch: makes the run of its callbacks; a test hands in its own.
    """

    def __init__(self, ui, logic, panel, batch=BatchRun) -> None:
        self._ui = ui
        self._panel = panel
        self._run = batch(qt.QTimer.singleShot, self._onChanged, self._onEnded, panel.log)
        self._loading = BatchLoading(slicer.mrmlScene, self._onLoaded, self._onLoadingFailed, qt.QTimer.singleShot)
        self._output = ""
        self._closed = False
        ui.batchInputLabel.setBuddy(ui.batchInputPathLineEdit)
        ui.batchOutputLabel.setBuddy(ui.batchOutputPathLineEdit)
        # Not bound by SlicerParameterName: these widgets are bound to paths, and an empty path is the current folder.
        followPath(ui.batchInputPathLineEdit, self._onInputChosen)
        followPath(ui.batchOutputPathLineEdit, self._onOutputChosen)
        ui.batchButton.connect("clicked(bool)", self._onClicked)
        ui.batchOpenButton.connect("clicked(bool)", self._onOpen)
        ui.batchLoadButton.connect("clicked(bool)", self._onLoad)
        ui.batchTable.connect("itemSelectionChanged()", self._showLoadButton)
        ui.batchTable.connect("cellDoubleClicked(int,int)", self._onDoubleClicked)
        ui.batchCollapsibleButton.connect("contentsCollapsed(bool)", self._onCollapsed)

    @property
    def running(self) -> bool:
        """Whether a batch is under way."""
        return self._run.running

    @property
    def loading(self) -> bool:
        """Whether a finished case is on its way into the scene."""
        return self._loading.working

    def setParameterNode(self, parameterNode) -> None:
        """Show another parameter node's folders; the tick box is bound."""
        if parameterNode:
            self._ui.batchInputPathLineEdit.currentPath = parameterNode.batch.inputFolder
            self._ui.batchOutputPathLineEdit.currentPath = parameterNode.batch.outputFolder

    def update(self) -> None:
        """Show what can be done now."""
        if self._ui.batchCollapsibleButton.collapsed:
            return  # nobody looks, and a folder on a disk of the network may take its time to answer
        button = self._ui.batchButton
        if self._run.running:
            stopping = self._run.stopping
            button.text = _("Stop at once") if stopping else _("Stop")
            button.toolTip = (
                _("Drop the CT at hand without waiting; finished ones are kept.") if stopping
                else _("Stop after the step at hand; finished CTs are kept, and another start goes on with the rest."))
            button.enabled = True
        else:
            problem = self._problem()
            button.text = _("Segment folder")
            button.toolTip = problem or _(
                "Segment every CT of the folder with the ticked models and the options above; what an earlier start "
                "has finished is not repeated. The region is not used.")
            button.enabled = not problem
        for widget in (
                self._ui.batchInputPathLineEdit, self._ui.batchOutputPathLineEdit, self._ui.batchOverwriteCheckBox):
            widget.enabled = not self._run.running
        self._ui.batchProgressBar.visible = self._run.running
        folder = self._shownOutput()
        self._ui.batchOpenButton.enabled = bool(folder) and os.path.isdir(folder)
        self._showLoadButton()

    def close(self) -> None:
        """End a batch that runs; what it has finished stays on the disk."""
        self._closed = True
        self._loading.close()
        self._run.close()

    def _problem(self) -> str:
        """Why no batch can begin; empty where one can."""
        parameterNode = self._panel.parameterNode
        if not parameterNode:
            return _("Open the module first.")
        batch = parameterNode.batch
        if not batch.inputFolder:
            return _("Choose the folder that holds the CTs.")
        if not os.path.isdir(batch.inputFolder):
            return _('There is no folder "{path}".').format(path=batch.inputFolder)
        if not batch.outputFolder:
            return _("Choose a folder for the results.")
        parent = os.path.dirname(os.path.abspath(batch.outputFolder))
        if os.path.isfile(batch.outputFolder) or not os.path.isdir(parent):
            return _('"{path}" cannot hold the results: it is a file, or the folder around it is missing.').format(
                path=batch.outputFolder)
        setup = self._panel.sections.get("setup")
        problem = setup.problem() if hasattr(setup, "problem") else ""
        return problem or ("" if self._tickedModels() else _("Tick at least one model."))

    def _tickedModels(self) -> list[dict]:
        """The worker's entries of the ticked models."""
        ticked = list(self._panel.parameterNode.models)
        return [model for model in self._panel.models if model["name"] in ticked]

    def _shownOutput(self) -> str:
        """The folder of the batch at hand, else the one that is chosen."""
        if self._run.running or not self._panel.parameterNode:
            return self._output
        return self._panel.parameterNode.batch.outputFolder or self._output

    def _onCollapsed(self, _collapsed: bool) -> None:
        self.update()

    def _onInputChosen(self, path: str) -> None:
        parameterNode = self._panel.parameterNode
        if not parameterNode or parameterNode.batch.inputFolder == path:
            return
        suggestedBefore = _suggestedOutput(parameterNode.batch.inputFolder)
        parameterNode.batch.inputFolder = path
        if parameterNode.batch.outputFolder in ("", suggestedBefore):
            self._ui.batchOutputPathLineEdit.currentPath = _suggestedOutput(path)

    def _onOutputChosen(self, path: str) -> None:
        parameterNode = self._panel.parameterNode
        if parameterNode and parameterNode.batch.outputFolder != path:
            parameterNode.batch.outputFolder = path

    def _onClicked(self, _checked: bool = False) -> None:
        if self._run.running:
            self._run.stop()
            self._panel.update()
        else:
            self._start()

    def _start(self) -> None:
        parameterNode = self._panel.parameterNode
        batch = parameterNode.batch
        if batch.overwrite and os.path.exists(os.path.join(batch.outputFolder, TABLE_FILE)) and not self._mayReplace():
            return
        models = self._tickedModels()
        # A region is a place in one patient; in the next one the spleen is elsewhere.
        options = engineOptions(SimpleNamespace(options=parameterNode.options, region=None), models)
        self._ui.batchTable.setRowCount(0)
        try:
            self._run.start(BatchRequest(
                batch.inputFolder, batch.outputFolder, [model["name"] for model in models], options, batch.overwrite))
        except SegmentationError as error:
            self._say(str(error))
            return
        self._output = batch.outputFolder
        self._ui.batchProgressBar.setRange(0, 0)  # moves without saying how far
        self._say(_("Looking for CTs..."))
        self._panel.update()

    def _mayReplace(self) -> bool:
        return slicer.util.confirmOkCancelDisplay(
            _("Results in the folder are replaced by new ones, those of finished CTs, too."), _("AGUNETR - Batch"))

    def _onChanged(self) -> None:
        table = self._run.table
        widget = self._ui.batchTable
        widget.setRowCount(len(table.cases))
        for row in sorted(table.changed):
            self._showCase(row, table.cases[row])
        table.changed.clear()
        self._showLoadButton()
        if self._run.running:
            self._say(_("Stopping...") if self._run.stopping else batchProgressText(table, self._run.seconds))
            self._ui.batchProgressBar.setRange(0, len(table.cases))
            self._ui.batchProgressBar.value = table.over

    def _showCase(self, row: int, case: BatchCase) -> None:
        table = self._ui.batchTable
        toolTips = {NAME_COLUMN: case.path, VOLUME_COLUMN: case.volumeToolTip(), MESSAGE_COLUMN: case.message}
        for column, text in enumerate(case.texts()):
            item = table.item(row, column)
            if item is None:
                item = qt.QTableWidgetItem()
                table.setItem(row, column, item)
            item.setText(text)
            item.setToolTip(toolTips.get(column, ""))

    def _onEnded(self, error: SegmentationError | None) -> None:
        text = batchEndText(self._run.table, self._run.stopping)
        if error:
            text = f"{error} {text}" if self._run.table.cases else str(error)
            if error.details:
                self._panel.log("error", error.details)
        self._say(text)
        if not self._closed:
            self._panel.update()

    def _onOpen(self, _checked: bool = False) -> None:
        folder = self._shownOutput()
        if not qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(folder)):
            self._say(_('No program shows folders here; the results are in "{path}".').format(path=folder))

    def _selectedCase(self) -> BatchCase | None:
        """The finished case whose row is selected."""
        row, cases = self._ui.batchTable.currentRow(), self._run.table.cases
        return cases[row] if 0 <= row < len(cases) and cases[row].isFinished else None

    def _showLoadButton(self) -> None:
        button = self._ui.batchLoadButton
        button.enabled = self._selectedCase() is not None and not self._loading.working
        button.toolTip = (
            _("Load the selected CT into the scene, with its results.") if button.enabled
            else _("Select a finished CT in the table; a double click loads it, too."))

    def _onDoubleClicked(self, _row: int, _column: int) -> None:
        if self._ui.batchLoadButton.enabled:
            self._onLoad()

    def _onLoad(self, _checked: bool = False) -> None:
        case, parameterNode = self._selectedCase(), self._panel.parameterNode
        if case and parameterNode:
            self._panel.say(_("Loading {name}...").format(name=case.name))
            self._loading.start(case, parameterNode.options.surface)
            self._showLoadButton()

    def _onLoaded(self, volumeNode, imported, result: dict) -> None:
        if self._panel.parameterNode:
            self._panel.parameterNode.inputVolume = volumeNode
        self._panel.say(_("{name} and its results are in the scene.").format(name=volumeNode.GetName()))
        self._panel.resultsChanged(imported, result)

    def _onLoadingFailed(self, error: SegmentationError) -> None:
        self._panel.fail(error)

    def _say(self, text: str) -> None:
        self._ui.batchStatusLabel.text = text


def _suggestedOutput(folder: str) -> str:
    """A new folder beside the CTs: nothing is written between a patient's own files."""
    if not folder:
        return ""
    path = Path(os.path.abspath(folder))
    return str(path.with_name(path.name + OUTPUT_SUFFIX)) if path.name else ""

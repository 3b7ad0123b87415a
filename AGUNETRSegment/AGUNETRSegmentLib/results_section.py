"""The panel's results: the runs of the scene, a row a model, copy and save."""

from __future__ import annotations

from pathlib import Path

import qt
import slicer
import slicer.util
import vtk

from .errors import SegmentationError
from .result_display import jumpsToOrgan, jumpToOrgan, showOnly, showVolume
from .result_sets import ResultSet, resultSets
from .result_texts import asCsv, asTabSeparated, exportedRows, runTitle, shownColumns, tableFrames, warningTexts
from .table_file import suggestedName, withSuffix, writeTable
from .translation import _
from .turns import Turns

SHOWN_RUN = "AGUNETR.shownRun"  # attribute of the parameter node: the chosen run, absent for the newest


class ResultsSection:
    """Shows what the runs left in the scene; which run is looked at is kept with the parameter node.

    :param ui: the widgets by name.
    :param logic: not used; every section takes it.
    :param panel: the panel: ``say`` and ``update``.
    """

    def __init__(self, ui, logic, panel) -> None:
        self.ui = ui
        self.panel = panel
        self._scene = None
        self._observers: list[int] = []
        self._tableNode = None  # the one that is watched
        self._tableObserver = None
        self._sets: list[ResultSet] = []
        self._run = ""  # of the set that is shown; empty: the newest
        self._filling = False
        self._isUpdateDue = False
        self._hasNewRun = False
        self._turns = Turns(qt.QTimer.singleShot)
        ui.resultRunLabel.setBuddy(ui.resultRunComboBox)
        ui.resultRunComboBox.connect("currentIndexChanged(int)", self.onRunChosen)
        ui.resultsCollapsibleButton.connect("contentsCollapsed(bool)", self.onCollapsed)
        ui.showRunButton.connect("clicked(bool)", self.onShowButton)
        ui.copyResultsButton.connect("clicked(bool)", self.onCopyButton)
        ui.saveResultsButton.connect("clicked(bool)", self.onSaveButton)

    @property
    def shown(self) -> ResultSet | None:
        """The run that the user looks at; None where the scene has no results."""
        return next((found for found in self._sets if found.run == self._run), self._sets[0] if self._sets else None)

    def setParameterNode(self, parameterNode) -> None:
        """Follow the scene while there is a parameter node."""
        self._unobserve()
        if parameterNode:
            if self._hasNewRun:
                self._remember("")
            self._run = parameterNode.parameterNode.GetAttribute(SHOWN_RUN) or ""
            self._observe(slicer.mrmlScene)
        self.refresh()

    def update(self) -> None:
        """Enable what can be done with the run that is shown."""
        shown = self.shown
        table = shown.table if shown else None
        self.ui.resultsCollapsibleButton.enabled = bool(shown)
        self.ui.showRunButton.enabled = bool(shown and shown.segmentations)
        for button in (self.ui.copyResultsButton, self.ui.saveResultsButton):
            button.enabled = bool(table)

    def resultsChanged(self, imported=None, result=None) -> None:
        """Results came or went; new ones are shown, and the slices go to the first organ found in a CT."""
        if imported is not None:
            self._remember("")
        self.refresh()
        newest = self._sets[0] if self._sets else None
        if imported is None or newest is None:
            return
        # Only where the user has not looked at a result of this CT before: views are his own after that.
        steps = []
        if sum(found.volumeNode is newest.volumeNode for found in self._sets) == 1:
            showVolume(slicer.mrmlScene, newest.volumeNode, slicer.app.applicationLogic())
            steps += jumpsToOrgan(slicer.mrmlScene, newest.segmentations.values())
        layoutManager = slicer.app.layoutManager()
        if layoutManager and len(self._sets) == 1:  # none without a main window
            steps.append(layoutManager.resetThreeDViews)
        self._turns.startAll(steps, lambda error: self.panel.log("warning", str(error)))

    def close(self) -> None:
        """Stop following the scene."""
        self._turns.stop()
        self._unobserve()

    def refresh(self) -> None:
        """Find the scene's results again and show them."""
        self._sets = resultSets(self._scene) if self._scene else []
        shown = self.shown
        self._filling = True
        try:
            self.ui.resultRunComboBox.clear()
            for found in self._sets:
                self.ui.resultRunComboBox.addItem(runTitle(found))
            if shown:
                self.ui.resultRunComboBox.setCurrentIndex(self._sets.index(shown))
        finally:
            self._filling = False
        self._fill(shown)
        self.update()

    def onRunChosen(self, index: int) -> None:
        """The user wants to see another run."""
        if self._filling or not 0 <= index < len(self._sets):
            return
        self._remember(self._sets[index].run)
        self._fill(self.shown)
        self.panel.runChosen(self.shown)

    def onShowButton(self, _checked: bool = False) -> None:
        """The user wants this run's segmentations in the views."""
        shown = self.shown
        if shown:
            comparison = self.panel.sections["compare"].comparison
            if not set(comparison.nodes) <= set(shown.segmentations.values()):
                comparison.leave()  # its columns would be left empty
            showVolume(slicer.mrmlScene, shown.volumeNode, slicer.app.applicationLogic())
            showOnly(slicer.mrmlScene, shown)
            if not jumpToOrgan(slicer.mrmlScene, shown.segmentations.values()):
                self.panel.say(_("No spleen was found in this run."))

    def onCopyButton(self, _checked: bool = False) -> None:
        """The user wants to paste the results into a spreadsheet."""
        shown = self.shown
        if shown and shown.table:
            slicer.app.clipboard().setText(asTabSeparated(exportedRows(shown)))
            self.panel.say(_("The results are on the clipboard."))

    def onSaveButton(self, _checked: bool = False) -> None:
        """The user wants the results in a file."""
        shown = self.shown
        if not shown or not shown.table:
            return
        suggestion = Path(slicer.app.userSettings().value("AGUNETR/ResultsFolder") or Path.home())
        chosen = qt.QFileDialog.getSaveFileName(
            self.ui.saveResultsButton.window(), _("Save the results"),
            str(suggestion / f"{suggestedName(shown.table.GetName())}.csv"), _("Table (*.csv)"))
        if not chosen:
            return
        path = withSuffix(chosen)
        # The dialog asked about the name that was typed; a suffix that is added here may hit another file.
        question = _('"{path}" exists already. Replace it?').format(path=path)
        if str(path) != str(Path(chosen)) and path.exists() and not slicer.util.confirmYesNoDisplay(question):
            return
        try:
            writeTable(path, asCsv(exportedRows(shown)))
        except SegmentationError as error:
            self.panel.say(str(error))
            return
        slicer.app.userSettings().setValue("AGUNETR/ResultsFolder", str(path.parent))
        self.panel.say(_('The results were saved to "{path}".').format(path=path))

    def _remember(self, run: str) -> None:
        self._run = run
        parameterNode = self.panel.parameterNode
        self._hasNewRun = not parameterNode  # else it is noted once there is one
        if parameterNode:
            parameterNode.parameterNode.SetAttribute(SHOWN_RUN, run or None)

    def _fill(self, shown: ResultSet | None) -> None:
        self._watchTable(shown.table if shown else None)
        columns = shownColumns(shown.table) if shown and shown.table else []
        rows = len(columns[0].cells) if columns else 0
        table = self.ui.resultsTable
        table.clear()
        table.setColumnCount(len(columns))
        table.setRowCount(rows)
        for number, column in enumerate(columns):
            header = qt.QTableWidgetItem(column.header)
            header.setToolTip(column.toolTip)
            table.setHorizontalHeaderItem(number, header)
            for row, text in enumerate(column.cells):
                item = qt.QTableWidgetItem(text)
                item.setToolTip(column.toolTip)
                if number:
                    item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
                table.setItem(row, number, item)
        table.resizeColumnsToContents()
        notes = self._notes(shown)
        self.ui.resultsNotesLabel.text = "\n".join(notes)
        self.onCollapsed()

    def onCollapsed(self, _collapsed: bool = False) -> None:
        """Show what there is. Also when the section was opened: that brings back what was hidden while it was shut."""
        isOpen = not self.ui.resultsCollapsibleButton.collapsed
        self.ui.resultsTable.visible = isOpen and self.ui.resultsTable.columnCount > 0
        self.ui.resultsNotesLabel.visible = isOpen and bool(self.ui.resultsNotesLabel.text)

    def _notes(self, shown: ResultSet | None) -> list[str]:
        if shown is None:
            return [_("No results yet.")]
        if shown.table is None:
            return [_("The table of this run was deleted from the scene.")]
        against = [_('Scored against "{reference}".').format(reference=shown.referenceName)] \
            if shown.referenceName else []
        frames = len(tableFrames(shown.table))
        sequence = [_("The frame that is shown; copying and saving takes all {count} frames.").format(count=frames)] \
            if frames else []
        return against + sequence + warningTexts(shown.table)

    def _observe(self, scene) -> None:
        self._scene = scene
        self._observers = [
            scene.AddObserver(slicer.vtkMRMLScene.NodeRemovedEvent, self._onNodeRemoved),
            scene.AddObserver(slicer.vtkMRMLScene.EndBatchProcessEvent, self._onBatchEnd),
        ]

    def _watchTable(self, tableNode) -> None:
        """Follow what the table holds: the results of a sequence change with the frame that is shown."""
        if tableNode is self._tableNode:
            return
        if self._tableNode:
            self._tableNode.RemoveObserver(self._tableObserver)
        self._tableNode = tableNode
        if tableNode:
            self._tableObserver = tableNode.AddObserver(vtk.vtkCommand.ModifiedEvent, self._onTableModified)

    def _onTableModified(self, _tableNode, _event) -> None:
        self._fill(self.shown)
        if not self._isUpdateDue:  # later, when all results show the new frame: the comparison follows it
            self._isUpdateDue = True
            qt.QTimer.singleShot(0, self._updatePanel)

    def _updatePanel(self) -> None:
        self._isUpdateDue = False
        if self._scene:
            self.panel.update()

    def _unobserve(self) -> None:
        self._watchTable(None)
        for observer in self._observers:
            self._scene.RemoveObserver(observer)
        self._observers = []
        self._scene = None

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _onNodeRemoved(self, scene, _event, node) -> None:
        # While a scene closes or is replaced, nodes go by hundreds; the end of that is told once.
        if not scene.IsBatchProcessing() and self._isShown(node):
            self.panel.resultsChanged()

    def _onBatchEnd(self, scene, _event) -> None:
        # A scene was opened or closed, or many nodes were deleted at once; batches that touch no result are common.
        if resultSets(scene) != self._sets:
            self.panel.resultsChanged()

    def _isShown(self, node) -> bool:
        return any(node is found.volumeNode or node in found.nodes() for found in self._sets)

"""The panel's results: the report's table of cases, what it says of the difference, and the report itself."""

from __future__ import annotations

from pathlib import Path

import qt
import slicer
import slicer.util

from AGUNETRSegmentLib.engine_command import EngineCommand
from AGUNETRSegmentLib.errors import SegmentationError
from AGUNETRSegmentLib.result_display import jumpToOrgan
from AGUNETRSegmentLib.result_texts import asCsv, asTabSeparated
from AGUNETRSegmentLib.table_file import suggestedName, withSuffix, writeTable
from AGUNETRSegmentLib.translation import _

from .case_loading import CaseLoading, caseFiles
from .report_scores import FILES, MEASURES, ReportScores, readScores
from .training_command import engineEnvironment

REPORT_SECONDS = 1800.0


class ResultsSection:
    """Makes, shows and opens the report, and brings its cases into the scene.

    :param ui: the widgets by name.
    :param logic: the module's logic.
    :param panel: the panel, see :class:`.train_panel.TrainPanel`.
    """

    def __init__(self, ui, logic, panel) -> None:
        self._ui, self._panel = ui, panel
        self._command = EngineCommand(qt.QTimer.singleShot, environment=engineEnvironment())
        self._loading = CaseLoading(panel.scene, self._onLoaded, self._onFailed, qt.QTimer.singleShot)
        self._scores: ReportScores | None = None
        self._read: tuple | None = None
        for title, _decimals in MEASURES.values():
            ui.measureComboBox.addItem(title())
        ui.measureLabel.setBuddy(ui.measureComboBox)
        ui.measureComboBox.connect("currentIndexChanged(int)", self._onMeasure)
        for button, slot in (
            (ui.makeReportButton, self._onMake), (ui.openReportButton, self._onOpen),
            (ui.copyCasesButton, self._onCopy), (ui.saveCasesButton, self._onSave), (ui.loadCaseButton, self._onLoad),
        ):
            button.connect("clicked(bool)", slot)
        ui.casesTable.connect("itemSelectionChanged()", self._showLoadButton)
        ui.casesTable.connect("cellDoubleClicked(int,int)", self._onDoubleClicked)

    @property
    def measure(self) -> str:
        """The key of the measure that is shown."""
        return list(MEASURES)[max(self._ui.measureComboBox.currentIndex, 0)]

    def setParameterNode(self, parameterNode) -> None:
        """Nothing: results belong to the run's folder."""

    def update(self) -> None:
        """Show what can be done now."""
        record, ui = self._panel.record, self._ui
        scored = bool(record) and any(job.scored for job in record.jobs)
        ui.makeReportButton.enabled = record is not None and not self._command.running
        ui.makeReportButton.toolTip = (
            _("Make tables, statistics, curves and figures of what is finished; an earlier report is replaced.")
            if record else _("The folder holds no run yet."))
        ui.openReportButton.enabled = bool(record and record.report)
        ui.openReportButton.toolTip = (
            _("Show the report in the web browser.") if ui.openReportButton.enabled
            else _("There is no report yet: make one."))
        for button in (ui.copyCasesButton, ui.saveCasesButton):
            button.enabled = self._scores is not None
        if self._scores is None:
            ui.summaryLabel.text = (
                _("Make the report to see the scores of the cases.") if scored
                else _("Scores come when the first job is finished."))
        self._showLoadButton()

    def recordChanged(self) -> None:
        """Read the report's tables where they are new."""
        record = self._panel.record
        report = record.folder / "report" if record else None
        state = (report, *(_changed(report / name) for name in FILES)) if report else None
        if state == self._read:
            return
        self._read = state
        try:
            self._scores = readScores(report) if report else None
        except SegmentationError as error:
            self._scores = None
            self._panel.say(str(error))
        self._showScores()

    def close(self) -> None:
        """End what runs."""
        self._command.stop()
        self._loading.close()

    def _showScores(self) -> None:
        table, scores = self._ui.casesTable, self._scores
        heads = scores.heads() if scores else []
        rows = [*scores.rows(self.measure), *scores.totals(self.measure)] if scores else []
        table.clear()
        table.setColumnCount(len(heads))
        table.setHorizontalHeaderLabels(heads)
        table.setRowCount(len(rows))
        for number, row in enumerate(rows):
            for column, text in enumerate(row):
                table.setItem(number, column, qt.QTableWidgetItem(text))
        table.resizeColumnsToContents()
        if scores:
            self._ui.summaryLabel.text = "\n".join(scores.sentences(self.measure))
        self.update()

    def _onMeasure(self, _index: int) -> None:
        self._showScores()

    def _selected(self) -> str:
        """Name of the case whose row is selected; empty where none is."""
        row = self._ui.casesTable.currentRow()
        rows = self._scores.rows(self.measure) if self._scores else []
        return rows[row][0] if 0 <= row < len(rows) else ""

    def _showLoadButton(self) -> None:
        button = self._ui.loadCaseButton
        button.enabled = bool(self._selected()) and not self._loading.working
        button.toolTip = (
            _("Load the scan with its reference and what the networks found in it.") if button.enabled
            else _("Select a case in the table; a double click loads it, too."))

    def _onDoubleClicked(self, _row: int, _column: int) -> None:
        if self._ui.loadCaseButton.enabled:
            self._onLoad()

    def _onLoad(self, _checked: bool = False) -> None:
        try:
            files = caseFiles(self._panel.record, self._selected())
        except SegmentationError as error:
            self._onFailed(error)
            return
        self._tell(_("Loading {name}...").format(name=files.name))
        self._loading.start(files)
        self._showLoadButton()

    def _onLoaded(self, volumeNode, nodes: list) -> None:
        slicer.util.setSliceViewerLayers(background=volumeNode, fit=True)
        jumpToOrgan(self._panel.scene, nodes)  # the reference is the first
        self._tell(_("{case} is in the scene, with {count} new segmentations.").format(
            case=volumeNode.GetName(), count=len(nodes)))
        self._showLoadButton()

    def _onFailed(self, error: SegmentationError) -> None:
        self._tell(str(error))
        if error.details:
            self._panel.log("error", error.details)
        self._panel.update()

    def _onMake(self, _checked: bool = False) -> None:
        self._tell(_("Making the report..."))
        try:
            self._command.start(
                ["report", str(self._panel.record.folder)], self._onMade, self._onFailed, REPORT_SECONDS)
        except SegmentationError as error:
            self._onFailed(error)
        self._panel.update()

    def _onMade(self, _events: list[dict]) -> None:
        self._tell(_("The report is made."))
        self.recordChanged()
        self._panel.watchRun()
        self._panel.update()

    def _onOpen(self, _checked: bool = False) -> None:
        page = self._panel.record.folder / "report" / "index.html"
        if not qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(page))):
            self._tell(_('No program shows web pages here; the report is "{path}".').format(path=page))

    def _shownRows(self) -> list[list[str]]:
        return [self._scores.heads(), *self._scores.rows(self.measure), *self._scores.totals(self.measure)]

    def _onCopy(self, _checked: bool = False) -> None:
        slicer.app.clipboard().setText(asTabSeparated(self._shownRows()))
        self._tell(_("The table is on the clipboard."))

    def _onSave(self, _checked: bool = False) -> None:
        name = suggestedName(f"{self._panel.record.experiment.name}-{self.measure}")
        path = qt.QFileDialog.getSaveFileName(
            self._ui.saveCasesButton.window(), _("Save the table"), f"{name}.csv", _("Tables (*.csv)"))
        if not path:
            return
        try:
            writeTable(withSuffix(path), asCsv(self._shownRows()))
        except SegmentationError as error:
            self._onFailed(error)
        else:
            self._tell(_('The table is in "{path}".').format(path=withSuffix(path)))

    def _tell(self, text: str) -> None:
        self._ui.resultsStatusLabel.text = text
        self._ui.resultsStatusLabel.visible = bool(text)


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0

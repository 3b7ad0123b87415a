"""The panel's jobs: a row for each training, as the run's folder and the child show it."""

from __future__ import annotations

import qt

from .job_states import JobState, jobTexts, stateOf

STATE_COLUMN = 1


class JobsSection:
    """Shows the jobs; selected rows choose the curves.

    :param ui: the widgets by name.
    :param logic: the module's logic.
    :param panel: the panel, see :class:`.train_panel.TrainPanel`.
    """

    def __init__(self, ui, logic, panel) -> None:
        self._ui, self._panel = ui, panel
        self._shown: list[list[str]] = []
        ui.jobsTable.connect("itemSelectionChanged()", self._onSelected)

    def setParameterNode(self, parameterNode) -> None:
        """Nothing: jobs belong to the run's folder."""

    def states(self) -> list[JobState]:
        """The state of each job of the run, in their order."""
        training, record = self._panel.training, self._panel.record
        return [
            stateOf(job, job.plan.name in training.epochs, training.failures.get(job.plan.name))
            for job in (record.jobs if record else ())]

    def chosen(self) -> list[str]:
        """Names of the selected jobs."""
        record, table = self._panel.record, self._ui.jobsTable
        rows = {item.row() for item in table.selectedItems()}
        return [job.plan.name for row, job in enumerate(record.jobs) if row in rows] if record else []

    def update(self) -> None:
        """Show the jobs as they are now, cell by cell: what is selected stays so."""
        record = self._panel.record
        jobs = record.jobs if record else ()
        rows = [jobTexts(job, state) for job, state in zip(jobs, self.states(), strict=True)]
        if rows == self._shown:
            return
        table = self._ui.jobsTable
        if [row[0] for row in rows] != [row[0] for row in self._shown]:
            table.clearSelection()
        self._shown = rows
        table.setRowCount(len(rows))
        for number, (job, texts) in enumerate(zip(jobs, rows, strict=True)):
            failure = self._panel.training.failures.get(job.plan.name, "")
            for column, text in enumerate(texts):
                item = table.item(number, column)
                if item is None:
                    item = qt.QTableWidgetItem()
                    table.setItem(number, column, item)
                item.setText(text)
                item.setToolTip(failure if column == STATE_COLUMN else job.plan.variant if column == 0 else "")
        table.resizeColumnsToContents()

    def close(self) -> None:
        """Nothing is left."""

    def _onSelected(self) -> None:
        self._panel.sections["curves"].recordChanged()

"""The panel's curves: loss and validation Dice of the run's jobs in Slicer's plots, live while it trains."""

from __future__ import annotations

import qt

from AGUNETRSegmentLib.errors import SegmentationError
from AGUNETRSegmentLib.translation import _

from .curve_layout import CurveLayout
from .curve_nodes import CurveNodes


class CurvesSection:
    """Shows and hides the curves.

    :param ui: the widgets by name.
    :param logic: the module's logic.
    :param panel: the panel, see :class:`.train_panel.TrainPanel`.
    """

    def __init__(self, ui, logic, panel) -> None:
        self._ui, self._panel = ui, panel
        self._nodes = CurveNodes(panel.scene)
        self._layout = CurveLayout(panel.scene)
        self._closed = False
        ui.curvesButton.connect("clicked(bool)", self._onClicked)

    def setParameterNode(self, parameterNode) -> None:
        """Nothing: curves belong to the run's folder."""

    def update(self) -> None:
        """Show what the button does now."""
        button, there = self._ui.curvesButton, self._hasPoints()
        shown = self._nodes.shown and self._layout.shown
        button.text = _("Hide curves") if shown else _("Show curves")
        button.enabled = there or shown
        if shown:
            button.toolTip = _("Put the layout before back, and take the curves out of the scene.")
        elif there:
            button.toolTip = _("Loss and validation Dice of all jobs, or of those selected in the table, above the "
                               "slice views; they grow while the training goes on.")
        else:
            button.toolTip = _("There is nothing to draw before the first epoch is done.")
        chosen = self._panel.sections["jobs"].chosen() if "jobs" in self._panel.sections else []
        self._ui.curvesNoteLabel.text = (
            _("Only {jobs}: the selected rows of the table.").format(jobs=", ".join(chosen)) if chosen
            else _("All jobs; select rows of the table to see those alone."))

    def recordChanged(self) -> None:
        """Let the curves that are shown follow the run."""
        if self._nodes.shown and self._panel.record:
            self._nodes.show(self._panel.record, self._panel.sections["jobs"].chosen())
        self.update()

    def sceneClosed(self) -> None:
        """The nodes went with the scene; plots of nothing are of no use."""
        qt.QTimer.singleShot(0, self._leaveEmptyPlots)  # Slicer brings the layout back after whoever hears of the end

    def _leaveEmptyPlots(self) -> None:
        if not self._closed and not self._nodes.shown:
            self._layout.hide()
            self.update()

    def close(self) -> None:
        """Without the module the layout of its plots would be a riddle."""
        self._closed = True
        self._layout.hide()

    def _hasPoints(self) -> bool:
        return any(job.losses for job in self._panel.record.jobs) if self._panel.record else False

    def _onClicked(self, _checked: bool = False) -> None:
        if self._nodes.shown and self._layout.shown:
            self._layout.hide()
            self._nodes.remove()
        else:
            self._nodes.show(self._panel.record, self._panel.sections["jobs"].chosen())
            try:
                self._layout.show(self._nodes)
            except SegmentationError as error:
                self._panel.fail(error)
        self.update()

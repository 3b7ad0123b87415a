"""The panel's run: one button that segments or cancels, progress, the closing sentence and the log."""

from __future__ import annotations

import logging
import time
import traceback

import qt

from .errors import SegmentationError
from .log_view import LogView
from .progress_text import durationText, progressText, resultText
from .region_option import outsideThePatient
from .run_options import engineOptions
from .segmentation_run import RunCallbacks
from .time_estimate import WORTH_TELLING_SECONDS, TimeEstimates
from .translation import _


class RunSection:
    """Starts and stops runs.

    :param ui: the widgets by name.
    :param logic: the module's logic.
    :param panel: the panel, see :class:`.segment_panel.SegmentPanel`.
    """

    def __init__(self, ui, logic, panel) -> None:
        self._ui = ui
        self._logic = logic
        self._panel = panel
        self._log = LogView(ui.logTextEdit, ui.saveLogButton)
        self._estimates = TimeEstimates()
        self._cancelling = False
        self._startedAt = 0.0
        self._regionName = ""  # of the ROI that is searched
        ui.segmentButton.connect("clicked(bool)", self._onClicked)
        self._shortcuts = []
        for keys in ("Ctrl+Return", "Ctrl+Enter"):  # the second is the one of the number pad
            shortcut = qt.QShortcut(qt.QKeySequence(keys), ui.segmentButton)
            shortcut.connect("activated()", self._onShortcut)
            self._shortcuts.append(shortcut)

    def setParameterNode(self, parameterNode) -> None:
        """Nothing: update follows."""

    def update(self) -> None:
        """Show whether a run can begin, goes on or is being given up."""
        button = self._ui.segmentButton
        if not self._logic.busy:
            self._cancelling = False
        if self._cancelling:
            button.text = _("Cancelling...")
            button.toolTip = _("The worker is being stopped.")
            button.enabled = False
        elif self._canCancel():
            button.text = _("Cancel")
            button.toolTip = _("Stop; the scene stays as it is.")
            button.enabled = True
        else:
            problem = self._problem()
            button.text = _("Segment")
            button.toolTip = problem or _("Segment the spleen in the CT (Ctrl+Enter).")
            button.enabled = not problem
        self._ui.progressBar.visible = self._logic.running
        self._showEstimate()

    def log(self, level: str, text: str) -> None:
        """Add a line to the log view."""
        self._log.add(level, text)

    def close(self) -> None:
        """Take the shortcuts down."""
        for shortcut in self._shortcuts:
            shortcut.setEnabled(False)
            shortcut.deleteLater()
        self._shortcuts = []

    def _canCancel(self) -> bool:
        """Whether something runs that the user may be tired of: a run, or a search for models without any yet."""
        return self._logic.running or (self._logic.busy and not self._panel.models)

    def _problem(self) -> str:
        """Why no run can begin, the first reason of the sections in their order; empty where one can."""
        parameterNode = self._panel.parameterNode
        if not parameterNode:
            return _("Select a CT volume.")
        for section in self._panel.sections.values():
            problem = section.problem() if hasattr(section, "problem") else ""
            if problem:
                return problem
        if not self._tickedModels():
            return _("Tick at least one model.")
        return ""

    def _tickedModels(self) -> list[dict]:
        """The worker's entries of the ticked models."""
        parameterNode = self._panel.parameterNode
        ticked = list(parameterNode.models) if parameterNode else []
        return [model for model in self._panel.models if model["name"] in ticked]

    def _showEstimate(self) -> None:
        parameterNode = self._panel.parameterNode
        models = self._tickedModels()
        text = ""
        if parameterNode and parameterNode.inputVolume and models and not self._logic.running:
            text = self._estimateText(parameterNode, models)
        self._ui.estimateLabel.text = text
        self._ui.estimateLabel.visible = bool(text)

    def _estimateText(self, parameterNode, models: list[dict]) -> str:
        estimate = self._estimates.estimate(parameterNode.inputVolume, models, parameterNode.options)
        if estimate is None or estimate.seconds < WORTH_TELLING_SECONDS:
            return ""
        if estimate.measured:
            return _("This will take about {time}.").format(time=durationText(estimate.seconds))
        return _("This may take about {time}; the first run tells how fast this computer is.").format(
            time=durationText(estimate.seconds))

    def _onShortcut(self) -> None:
        # Never cancels: a second Ctrl+Enter by an impatient user must not throw the run away.
        if self._ui.segmentButton.enabled and not self._canCancel():
            self._start()

    def _onClicked(self, _checked: bool = False) -> None:
        if self._canCancel():
            self._cancelling = True
            self._panel.say(_("Cancelling..."))
            self._panel.update()
            self._logic.cancel()
        else:
            self._start()

    def _start(self) -> None:
        parameterNode = self._panel.parameterNode
        models = self._tickedModels()
        self._startedAt = time.monotonic()
        self._regionName = parameterNode.region.GetName() if parameterNode.region else ""
        self._ui.progressBar.setRange(0, 0)  # moves without saying how far
        self._panel.say(_("Starting..."))
        try:
            self._logic.start(
                parameterNode.inputVolume,
                [model["name"] for model in models],
                engineOptions(parameterNode, models),
                RunCallbacks(self._onProgress, self._onFinished, self._onFailed),
                reference=parameterNode.referenceSegmentation,
                surface=parameterNode.options.surface,
                allFrames=parameterNode.allFrames,
            )
        except SegmentationError as error:
            self._panel.fail(error)
        except Exception as error:  # the module itself is at fault: still one sentence, and the details to report
            logging.exception("Segmentation could not start.")
            self._panel.fail(SegmentationError(
                "unexpected", _("Segmentation could not start: {problem}.").format(problem=error),
                _("Please report this with the text of the log."), traceback.format_exc()))
        finally:
            self._panel.update()

    def _onProgress(self, progress) -> None:
        if self._cancelling:
            return
        # A stage of one step has no share that is done: the bar moves without saying how far.
        counted = progress.total > 1
        self._ui.progressBar.setRange(0, progress.total if counted else 0)
        if counted:
            self._ui.progressBar.value = progress.done
        self._panel.say(progressText(progress))

    def _onFinished(self, imported, result: dict) -> None:
        self._estimates.learn(result, self._panel.models)
        self._panel.say(resultText(result, time.monotonic() - self._startedAt))
        self._panel.resultsChanged(imported, result)

    def _onFailed(self, error: SegmentationError) -> None:
        self._panel.fail(outsideThePatient(self._regionName) if error.kind == "region" else error)
        if error.kind == "model":  # perhaps one that was deleted since it was listed
            self._panel.refreshModels(quietly=True)

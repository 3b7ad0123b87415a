"""The panel: what its widgets show and what happens when they are used."""

from __future__ import annotations

import logging
import traceback

import vtk

from .errors import SegmentationError
from .model_list import ModelList
from .progress_text import progressText, resultText
from .segmentation_run import RunCallbacks
from .translation import _


class SegmentPanel:
    """Joins the widgets of ``AGUNETRSegment.ui`` with the logic.

    :param ui: the widgets by name.
    :param logic: the module's logic: ``busy``, ``running``, ``listModels``, ``start`` and ``cancel``.
    """

    def __init__(self, ui, logic) -> None:
        self.ui = ui
        self.logic = logic
        self.modelList = ModelList(self.ui.modelsList, self.onModelsTicked)
        self._parameterNode = None
        self._guiTag = None
        self._observerTag = None
        self.ui.segmentButton.connect("clicked(bool)", self.onSegmentButton)
        self.ui.cancelButton.connect("clicked(bool)", self.onCancelButton)
        self.ui.refreshModelsButton.connect("clicked(bool)", self.refreshModels)

    def setParameterNode(self, parameterNode) -> None:
        """Connect the widgets to a parameter node, or to none."""
        if self._parameterNode:
            self._parameterNode.disconnectGui(self._guiTag)
            self._parameterNode.RemoveObserver(self._observerTag)
        self._parameterNode = parameterNode
        if parameterNode:
            self._guiTag = parameterNode.connectGui(self.ui)
            self._observerTag = parameterNode.AddObserver(vtk.vtkCommand.ModifiedEvent, self.onParameterNodeModified)
        self.onParameterNodeModified()

    def onParameterNodeModified(self, _caller=None, _event=None) -> None:
        """Show what the parameter node says, as far as no widget does it by itself."""
        if self._parameterNode and self._parameterNode.models:
            self.modelList.setTicked(self._parameterNode.models)
        self.updateButtons()

    def updateButtons(self) -> None:
        """Enable what can be done now; the tooltip of Segment says why it cannot."""
        ready = False
        if self.logic.busy:
            reason = _("The worker is busy.")
        elif not (self._parameterNode and self._parameterNode.inputVolume):
            reason = _("Select a CT volume.")
        elif not self.modelList.ticked():
            reason = _("Tick at least one model.")
        else:
            ready, reason = True, _("Segment the spleen in the CT.")
        self.ui.segmentButton.enabled = ready
        self.ui.segmentButton.toolTip = reason
        self.ui.cancelButton.enabled = self.logic.busy
        self.ui.refreshModelsButton.enabled = not self.logic.busy
        self.ui.progressBar.visible = self.logic.running

    def refreshModelsOnce(self) -> None:
        """Look for models where none are listed yet."""
        if not self.modelList.names():
            self.refreshModels()

    def refreshModels(self, _checked: bool = False) -> None:
        """Ask the worker which models there are."""
        if self.logic.busy:
            return
        self.ui.statusLabel.text = _("Looking for models...")
        try:
            self.logic.listModels(self.onModelsListed, self.onFailed)
        except SegmentationError as error:
            self.onFailed(error)
        self.updateButtons()

    def onModelsListed(self, answer: dict) -> None:
        """The worker named its models."""
        models = answer.get("models", [])
        chosen = list(self._parameterNode.models) if self._parameterNode else []
        self.modelList.setModels(models, chosen or [model["name"] for model in models])
        self.onModelsTicked(self.modelList.ticked())
        for broken in answer.get("broken", []):
            self.onLog("warning", _("Not usable: {folder}: {reason}").format(**broken))
        self.ui.statusLabel.text = "" if models else _("No model is installed.")

    def onModelsTicked(self, names: list[str]) -> None:
        """The user ticked or cleared a model."""
        if self._parameterNode:
            self._parameterNode.models = names
        self.updateButtons()

    def onSegmentButton(self, _checked: bool = False) -> None:
        """The user wants the spleen."""
        self.ui.progressBar.setRange(0, 0)  # moves without saying how far
        self.ui.statusLabel.text = _("Starting...")
        try:
            self.logic.start(
                self._parameterNode.inputVolume,
                self.modelList.ticked(),
                self._parameterNode.attentionMaps,
                RunCallbacks(self.onProgress, self.onFinished, self.onFailed),
                self._parameterNode.region,
            )
        except SegmentationError as error:
            self.onFailed(error)
        except Exception as error:  # the module itself is at fault: still one sentence, and the details to report
            logging.exception("Segmentation could not start.")
            self.onFailed(
                SegmentationError(
                    "unexpected",
                    _("Segmentation could not start: {problem}.").format(problem=error),
                    _("Please report this with the text of the log."),
                    traceback.format_exc(),
                )
            )
        finally:
            self.updateButtons()

    def onCancelButton(self, _checked: bool = False) -> None:
        """The user wants it to stop."""
        self.ui.statusLabel.text = _("Cancelling...")
        self.logic.cancel()

    def onProgress(self, progress) -> None:
        """The worker is that far."""
        self.ui.progressBar.setRange(0, progress.total)
        self.ui.progressBar.value = progress.done
        self.ui.statusLabel.text = progressText(progress)

    def onFinished(self, _imported, result: dict) -> None:
        """New nodes are in the scene."""
        self.ui.statusLabel.text = resultText(result)
        self.updateButtons()

    def onFailed(self, error: SegmentationError) -> None:
        """Nothing was added to the scene."""
        self.ui.statusLabel.text = str(error)
        if error.details:
            self.onLog("error", error.details)
        self.updateButtons()

    def onLog(self, _level: str, text: str) -> None:
        """A line for the log view."""
        self.ui.logTextEdit.appendPlainText(text)

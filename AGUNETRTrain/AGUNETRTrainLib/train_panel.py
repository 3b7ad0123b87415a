"""The panel: its sections in order, and what they share: the child that trains, and what its folder shows."""

from __future__ import annotations

import qt
import slicer
import vtk

from AGUNETRSegmentLib.errors import SegmentationError

from .curves_section import CurvesSection
from .data_section import DataSection
from .experiment_section import ExperimentSection
from .jobs_section import JobsSection
from .model_section import ModelSection
from .packages_section import PackagesSection
from .results_section import ResultsSection
from .run_reading import RunRecord
from .run_section import RunSection
from .run_watch import RunWatch
from .training_command import TrainingRequest
from .training_run import TrainingRun

# In the order of the panel.
SECTIONS = {
    "packages": PackagesSection,
    "experiment": ExperimentSection,
    "data": DataSection,
    "run": RunSection,
    "jobs": JobsSection,
    "curves": CurvesSection,
    "results": ResultsSection,
    "model": ModelSection,
}


class TrainPanel:
    """Makes the sections of ``AGUNETRTrain.ui`` and offers them what they share.

    A section is a class with ``setParameterNode(parameterNode)``, ``update()`` and ``close()``. One with
    ``recordChanged()`` is told when the run's folder shows something new; one with ``problem()`` gives the reason why
    no training can begin, an empty text where one can.

    :param ui: the widgets by name.
    :param logic: the module's logic.
    :param training: makes the run of its callbacks; a test hands in its own.
    :ivar parameterNode: the scene's parameter node; None while the module is not shown or the scene closes.
    :ivar training: the child that trains; it goes on while other modules are shown and scenes are closed.
    :ivar record: what the run's folder shows; None where it holds no run.
    :ivar sections: the sections by name.
    """

    def __init__(self, ui, logic, training=TrainingRun) -> None:
        self.ui = ui
        self.logic = logic
        self.parameterNode = None
        self.record: RunRecord | None = None
        self.sections: dict[str, object] = {}
        self._guiTag = None
        self._observerTag = None
        self._updating = False
        self._updateAgain = False
        self._closed = False
        self.training = training(qt.QTimer.singleShot, self._onTrainingChanged, self._onTrainingEnded, self.log)
        self._watch = RunWatch(qt.QTimer.singleShot, self._onLooked, lambda: self.training.running)
        for name, sectionClass in SECTIONS.items():
            self.sections[name] = sectionClass(ui, logic, self)

    @property
    def experiment(self):
        """The chosen experiment (ExperimentSummary); None where none is chosen, or its file cannot be read."""
        return self.sections["experiment"].chosen

    @property
    def runFolder(self) -> str:
        """The folder of the training at hand, else the one that is chosen."""
        if self.training.running:
            return self.training.request.runFolder
        return self.parameterNode.runFolder if self.parameterNode else ""

    def request(self) -> TrainingRequest:
        """What Start would begin."""
        node = self.parameterNode
        return TrainingRequest(node.experiment, node.dataFolder, node.runFolder, node.device.value, node.atOnce)

    def setParameterNode(self, parameterNode) -> None:
        """Connect the widgets to a parameter node, or to none."""
        if self.parameterNode:
            self.parameterNode.disconnectGui(self._guiTag)
            self.parameterNode.RemoveObserver(self._observerTag)
        self.parameterNode = parameterNode
        if parameterNode:
            if self.training.running:  # another scene: the panel still shows what goes on
                request = self.training.request
                parameterNode.experiment, parameterNode.dataFolder = request.experiment, request.dataFolder
                parameterNode.runFolder = request.runFolder
            self._guiTag = parameterNode.connectGui(self.ui)
            self._observerTag = parameterNode.AddObserver(vtk.vtkCommand.ModifiedEvent, self._onModified)
        for section in self.sections.values():
            section.setParameterNode(parameterNode)
        self.watchRun()
        self.update()

    def watchRun(self) -> None:
        """Look at the folder that is chosen, or at none where the panel is not shown and nothing runs."""
        if self.parameterNode or self.training.running:
            self._watch.watch(self.runFolder)
        else:
            self._watch.pause()

    def update(self) -> None:
        """Let every section show the state of things; cheap, called after any change."""
        if self._closed:
            return
        if self._updating:  # a section changed the parameter node while it showed it
            self._updateAgain = True
            return
        self._updating = True
        try:
            for _attempt in range(3):  # sections that keep contradicting each other must not hang the application
                self._updateAgain = False
                for section in self.sections.values():
                    section.update()
                if not self._updateAgain:
                    break
        finally:
            self._updating = False

    def problem(self) -> str:
        """Why no training can begin, the first reason of the sections in their order; empty where one can."""
        for section in self.sections.values():
            problem = section.problem() if hasattr(section, "problem") else ""
            if problem:
                return problem
        return ""

    def say(self, text: str) -> None:
        """Show one sentence in the status line."""
        self.ui.statusLabel.text = text

    def log(self, level: str, text: str) -> None:
        """Add a line to the log view.

        :param level: ``info``, ``warning`` or ``error``.
        """
        self.sections["run"].log(level, text)

    def fail(self, error: SegmentationError) -> None:
        """Show what went wrong and what to do; the details go to the log."""
        self.say(str(error))
        if error.details:
            self.log("error", error.details)
        self.update()

    def close(self) -> None:
        """Take the panel down: no observer, timer or process stays."""
        self.setParameterNode(None)
        self._closed = True
        self.training.close()
        self._watch.close()
        for section in self.sections.values():
            section.close()

    def sceneClosed(self) -> None:
        """Nodes that sections made are gone."""
        self.sections["curves"].sceneClosed()
        self.update()

    def _onModified(self, _caller, _event) -> None:
        self.watchRunWhereItChanged()
        self.update()

    def watchRunWhereItChanged(self) -> None:
        """Look at another folder where another was chosen."""
        folder = self._watch.folder
        if self.runFolder != (str(folder) if folder else ""):
            self._watch.watch(self.runFolder)

    def _onLooked(self, record: RunRecord | None) -> None:
        if self._closed or record == self.record:
            return
        self.record = record
        for section in self.sections.values():
            if hasattr(section, "recordChanged"):
                section.recordChanged()
        self.update()

    def _onTrainingChanged(self) -> None:
        if not self._closed:
            self.sections["run"].trainingChanged()
            self.sections["jobs"].update()

    def _onTrainingEnded(self, error: SegmentationError | None) -> None:
        if self._closed:
            return
        self.sections["run"].trainingEnded(error)
        self.watchRun()
        self.update()

    @property
    def scene(self):
        """The MRML scene."""
        return slicer.mrmlScene

"""The panel: its sections in order, and what they share: the child that trains, and what its folder shows."""

from __future__ import annotations

import qt
import slicer

from AGUNETRSegmentLib.errors import SegmentationError
from AGUNETRSegmentLib.section_panel import SectionPanel

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


class TrainPanel(SectionPanel):
    """Makes the sections of ``AGUNETRTrain.ui`` and offers them what they share.

    A section with ``recordChanged()`` is told when the run's folder shows something new; one with
    ``problem()`` gives the reason why no training can begin, an empty text where one can.

    :param training: makes the run of its callbacks; a test hands in its own.
    :ivar training: the child that trains; it goes on while other modules are shown and scenes are closed.
    :ivar record: what the run's folder shows; None where it holds no run.
    """

    def __init__(self, ui, logic, training=TrainingRun) -> None:
        super().__init__(ui, logic)
        self.record: RunRecord | None = None
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
        super().setParameterNode(parameterNode)
        self.watchRun()

    def watchRun(self) -> None:
        """Look at the folder that is chosen, or at none where the panel is not shown and nothing runs."""
        if self.parameterNode or self.training.running:
            self._watch.watch(self.runFolder)
        else:
            self._watch.pause()

    def problem(self) -> str:
        """Why no training can begin, the first reason of the sections in their order; empty where one can."""
        for section in self.sections.values():
            problem = section.problem() if hasattr(section, "problem") else ""
            if problem:
                return problem
        return ""

    def close(self) -> None:
        """Take the panel down: no observer, timer or process stays."""
        self._closeSections()
        self.training.close()
        self._watch.close()

    def sceneClosed(self) -> None:
        """Nodes that sections made are gone."""
        self.sections["curves"].sceneClosed()
        self.update()

    def _beforeConnecting(self, parameterNode) -> None:
        if self.training.running:  # another scene: the panel still shows what goes on
            request = self.training.request
            parameterNode.experiment, parameterNode.dataFolder = request.experiment, request.dataFolder
            parameterNode.runFolder = request.runFolder

    def _onModified(self, caller, event) -> None:
        self.watchRunWhereItChanged()
        super()._onModified(caller, event)

    def watchRunWhereItChanged(self) -> None:
        """Look at another folder where another was chosen."""
        folder = self._watch.folder
        if self.runFolder != (str(folder) if folder else ""):
            self._watch.watch(self.runFolder)

    def _onLooked(self, record: RunRecord | None) -> None:
        if self._closed or record == self.record:
            return
        self.record = record
        self.tell("recordChanged")
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

from pathlib import Path
from typing import Annotated

import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import Choice, parameterNodeWrapper
from slicer.ScriptedLoadableModule import *
from slicer.util import VTKObservationMixin

from AGUNETRTrainLib.experiments import ExperimentSummary, listExperiments
from AGUNETRTrainLib.training_command import (
    TrainingSettings,
    commandText,
    engineEnvironment,
    reasonNotToStart,
    trainingCommand,
)
from AGUNETRTrainLib.training_process import TrainingProcess

MODULE_FOLDER = Path(__file__).resolve().parent


class AGUNETRTrain(ScriptedLoadableModule):
    """Training of UNETR and attention-gated UNETR on local data, as a child process."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("AGUNETR Train")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        self.parent.dependencies = ["AGUNETRSegment"]
        self.parent.contributors = ["The AGUNETR contributors"]
        self.parent.helpText = _("""
Trains the networks of AGUNETR Segment again, on labelled CTs of your own. Choose an experiment, the folder of the
labelled cases and a folder for the run. Training goes on in a process of its own; started again with the same folder,
it goes on where it stopped.
""")
        self.parent.acknowledgementText = _("""
The networks follow UNETR (Hatamizadeh et al. 2021) and Attention U-Net (Oktay et al. 2018). MONAI does the training.
""")


@parameterNodeWrapper
class AGUNETRTrainParameterNode:
    """
    experiment - name of a shipped experiment.
    dataFolder - folder of the labelled cases.
    runFolder - folder of the run, made or resumed.
    device - what the networks are trained on.
    """

    experiment: str = ""
    dataFolder: str = ""
    runFolder: str = ""
    device: Annotated[str, Choice(["cpu", "cuda", "mps"])] = "cpu"


class AGUNETRTrainWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel: what to train, the command, Start and Stop, and the log."""

    def __init__(self, parent=None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self._parameterNode = None
        self._parameterNodeGuiTag = None
        self._timer = None

    def setup(self) -> None:
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/AGUNETRTrain.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = AGUNETRTrainLogic()

        self._timer = qt.QTimer()
        self._timer.setInterval(100)
        self._timer.connect("timeout()", self.logic.pump)

        for experiment in self.logic.experiments():
            self.ui.experimentSelector.addItem(experiment.name)
        self.ui.experimentSelector.connect("currentTextChanged(QString)", self.onExperimentChanged)
        self.ui.dataFolderSelector.connect("currentPathChanged(QString)", self.onDataFolderChanged)
        self.ui.runFolderSelector.connect("currentPathChanged(QString)", self.onRunFolderChanged)
        self.ui.startButton.connect("clicked(bool)", self.onStartButton)
        self.ui.stopButton.connect("clicked(bool)", self.onStopButton)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.initializeParameterNode()

    def cleanup(self) -> None:
        self._timer.stop()
        self.logic.stopNow()
        self.setParameterNode(None)
        self.removeObservers()

    def enter(self) -> None:
        self.initializeParameterNode()

    def exit(self) -> None:
        self.setParameterNode(None)

    def onSceneStartClose(self, caller, event) -> None:
        self.setParameterNode(None)

    def onSceneEndClose(self, caller, event) -> None:
        if self.parent.isEntered:
            self.initializeParameterNode()

    def initializeParameterNode(self) -> None:
        self.setParameterNode(self.logic.getParameterNode())

    def setParameterNode(self, inputParameterNode: AGUNETRTrainParameterNode | None) -> None:
        """Makes the panel show and change *inputParameterNode*, or nothing."""
        if self._parameterNode:
            self._parameterNode.disconnectGui(self._parameterNodeGuiTag)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParametersModified)
        self._parameterNode = inputParameterNode
        if self._parameterNode:
            self._parameterNodeGuiTag = self._parameterNode.connectGui(self.ui)
            self.addObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParametersModified)
            if not self._parameterNode.experiment:
                self._parameterNode.experiment = self.ui.experimentSelector.currentText
            self.onParametersModified()

    def onExperimentChanged(self, name: str) -> None:
        if self._parameterNode:
            self._parameterNode.experiment = name

    def onDataFolderChanged(self, folder: str) -> None:
        if self._parameterNode:
            self._parameterNode.dataFolder = folder

    def onRunFolderChanged(self, folder: str) -> None:
        if self._parameterNode:
            self._parameterNode.runFolder = folder

    def settings(self) -> TrainingSettings:
        """What the panel is set to."""
        node = self._parameterNode
        return TrainingSettings(node.experiment, node.dataFolder, node.runFolder, node.device)

    def onParametersModified(self, caller=None, event=None) -> None:
        """Shows the parameter node's values and the command that they make."""
        if not self._parameterNode:
            return
        settings = self.settings()
        self.ui.experimentSelector.setCurrentIndex(self.ui.experimentSelector.findText(settings.experiment))
        # Only what differs: an assignment moves the cursor to the end while the user types in the middle.
        if self.ui.dataFolderSelector.currentPath != settings.dataFolder:
            self.ui.dataFolderSelector.currentPath = settings.dataFolder
        if self.ui.runFolderSelector.currentPath != settings.runFolder:
            self.ui.runFolderSelector.currentPath = settings.runFolder
        self.ui.descriptionLabel.text = self.logic.describe(settings.experiment)
        self.ui.commandText.setPlainText(commandText(trainingCommand(settings)))
        self._checkCanStart()

    def _checkCanStart(self) -> None:
        running = self.logic.running
        reason = _("Training is running.") if running else reasonNotToStart(self.settings())
        self.ui.startButton.enabled = not reason
        self.ui.startButton.toolTip = reason or _("Start the training, or go on with the one in the folder of the run.")
        self.ui.stopButton.enabled = running

    def onStartButton(self) -> None:
        with slicer.util.tryWithErrorDisplay(_("Training could not be started."), waitCursor=True):
            self.ui.dataFolderSelector.addCurrentPathToHistory()
            self.ui.runFolderSelector.addCurrentPathToHistory()
            self.ui.logText.clear()
            self.logic.start(self.settings(), self.ui.logText.appendPlainText, self.onFinished)
            self.ui.statusLabel.text = _("Training is running.")
            self._timer.start()
        self._checkCanStart()

    def onStopButton(self) -> None:
        self.ui.statusLabel.text = _("Stopping…")
        self.ui.stopButton.enabled = False
        self.logic.stop()

    def onFinished(self, message: str) -> None:
        self._timer.stop()
        self.ui.statusLabel.text = message
        if self._parameterNode:
            self._checkCanStart()
        else:
            self.ui.stopButton.enabled = False


class AGUNETRTrainLogic(ScriptedLoadableModuleLogic):
    """Lists the experiments, and runs one training at a time."""

    def __init__(self) -> None:
        ScriptedLoadableModuleLogic.__init__(self)
        self.experimentsFolder = MODULE_FOLDER / "Resources" / "Experiments"
        self._process: TrainingProcess | None = None
        self._stopped = False

    def getParameterNode(self):
        return AGUNETRTrainParameterNode(super().getParameterNode())

    def experiments(self) -> list[ExperimentSummary]:
        """The shipped experiments, by name."""
        return listExperiments(self.experimentsFolder)

    def describe(self, name: str) -> str:
        """An experiment's description and its stages, or an empty text where there is none of that name."""
        for experiment in self.experiments():
            if experiment.name == name:
                stages = _("Stages: {stages}").format(stages=", ".join(experiment.stageNames))
                return f"{experiment.description}\n{stages}".strip()
        return ""

    @property
    def running(self) -> bool:
        """Whether a training is running."""
        return self._process is not None and self._process.running

    def start(self, settings: TrainingSettings, onLine, onFinished) -> None:
        """Starts a training; *onLine* gets each line that it prints, *onFinished* a sentence at its end.

        :raises ValueError: something is missing, or a training is running.
        :raises OSError: Python cannot be started.
        """
        reason = _("Training is running.") if self.running else reasonNotToStart(settings)
        if reason:
            raise ValueError(reason)
        self._stopped = False
        process = TrainingProcess(
            trainingCommand(settings),
            engineEnvironment(MODULE_FOLDER),
            onLine,
            lambda code: onFinished(self._endMessage(code)),
        )
        process.start()
        self._process = process

    def _endMessage(self, code: int) -> str:
        if code == 0:
            return _("Training is finished.")
        if self._stopped:
            return _("Stopped. Start goes on from the last checkpoint.")
        return _("Training failed with exit code {code}; the log's last lines say why.").format(code=code)

    def pump(self) -> None:
        """Hands on what the training printed; called by a timer."""
        if self._process is not None:
            self._process.pump()

    def stop(self) -> None:
        """Stops the training; what it had saved is kept."""
        if self._process is not None:
            self._stopped = True
            self._process.stop()

    def stopNow(self) -> None:
        """Ends the training at once, for an application that is closing."""
        if self._process is not None:
            self._process.stopNow()


class AGUNETRTrainTest(ScriptedLoadableModuleTest):
    """The module's self test: needs no data and trains nothing."""

    def setUp(self):
        slicer.mrmlScene.Clear()

    def runTest(self):
        self.setUp()
        self.test_everyExperimentIsDescribed()
        self.test_nothingStartsWithoutData()
        self.test_parametersAreKept()

    def test_everyExperimentIsDescribed(self):
        logic = AGUNETRTrainLogic()
        self.assertTrue(logic.experiments())
        for experiment in logic.experiments():
            self.assertTrue(logic.describe(experiment.name))

    def test_nothingStartsWithoutData(self):
        logic = AGUNETRTrainLogic()
        settings = TrainingSettings(logic.experiments()[0].name, "", "")
        with self.assertRaises(ValueError):
            logic.start(settings, print, print)
        self.assertFalse(logic.running)

    def test_parametersAreKept(self):
        logic = AGUNETRTrainLogic()
        logic.getParameterNode().dataFolder = slicer.app.temporaryPath
        self.assertEqual(logic.getParameterNode().dataFolder, slicer.app.temporaryPath)

"""AGUNETR Train: the experiments behind the networks of AGUNETR Segment. This file only joins the parts."""

import logging
import sys
import time
from pathlib import Path
from typing import Annotated

import qt
import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

from AGUNETRTrainLib.experiments import listExperiments
from AGUNETRTrainLib.run_reading import RunReader
from AGUNETRTrainLib.self_test import checkExperiments, checkStart, showCurves
from AGUNETRTrainLib.train_panel import TrainPanel
from AGUNETRTrainLib.training_command import TrainingRequest
from AGUNETRTrainLib.training_parameters import Device
from AGUNETRTrainLib.training_run import TrainingRun

EXPERIMENTS_FOLDER = Path(__file__).resolve().parent / "Resources" / "Experiments"


class AGUNETRTrain(ScriptedLoadableModule):
    """What Slicer knows of the module before it is opened."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("AGUNETR Train")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        self.parent.dependencies = ["AGUNETRSegment"]
        self.parent.contributors = ["AGUNETR contributors"]
        self.parent.helpText = _("""
Runs experiments with UNETR and with UNETR whose skip connections carry attention gates: training, curves, tables of
every case, cross-validation, statistics and figures; a trained network becomes a model of AGUNETR Segment.
For research use only.

Choose an experiment and click Start: smoke needs no data and ends after a few minutes.
""")
        self.parent.acknowledgementText = _("""
The networks follow UNETR (Hatamizadeh et al. 2021, arXiv:2103.10504) and Attention U-Net (Oktay et al. 2018,
arXiv:1804.03999). MONAI and PyTorch Ignite do the training.
""")


@parameterNodeWrapper
class AGUNETRTrainParameterNode:
    """What the panel remembers in the scene.

    experiment - name of a shipped experiment, or an experiment file.
    dataFolder - folder of the labelled cases; empty where the experiment brings its own.
    runFolder - folder of the run, made or gone on with.
    device - what the networks are trained on.
    atOnce - how many jobs at a time.
    researchOnly - export also where the data's terms do not let a model be passed on.
    """

    experiment: str = ""
    dataFolder: str = ""
    runFolder: str = ""
    device: Device = Device.AUTOMATIC
    atOnce: Annotated[int, WithinRange(1, 64)] = 1
    researchOnly: bool = False


class AGUNETRTrainWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel's place in the application: when it is set up, shown, hidden and taken down."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self.panel = None

    def setup(self):
        """Called once, when the module is opened for the first time."""
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/AGUNETRTrain.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)

        self.logic = AGUNETRTrainLogic()
        self.panel = TrainPanel(self.ui, self.logic)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndImportEvent, self.onSceneEndImport)
        self.initializeParameterNode()

    def cleanup(self):
        """Called when the application closes and before a reload: the training stops, its checkpoints stay."""
        self.removeObservers()
        if self.panel:
            self.panel.close()

    def enter(self):
        """Called whenever the module is shown."""
        self.initializeParameterNode()

    def exit(self):
        """Called whenever another module is shown: a training goes on, only the widgets stop following the scene."""
        self.panel.setParameterNode(None)

    def onReload(self):
        """Developer's reload: the library beside this file is loaded anew, too."""
        for name in [name for name in sys.modules if name.partition(".")[0] == "AGUNETRTrainLib"]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)

    def onSceneStartClose(self, caller, event):
        """Called just before the scene is closed."""
        self.panel.setParameterNode(None)

    def onSceneEndClose(self, caller, event):
        """Called just after the scene was closed."""
        if self.parent.isEntered:
            self.initializeParameterNode()
        self.panel.sceneClosed()

    def onSceneEndImport(self, caller, event):
        """Called after a scene was opened or added."""
        if self.parent.isEntered:
            self.initializeParameterNode()

    def initializeParameterNode(self):
        """Take the scene's parameter node."""
        self.panel.setParameterNode(self.logic.getParameterNode())


class AGUNETRTrainLogic(ScriptedLoadableModuleLogic):
    """Lists experiments and trains them; usable from scripts without the panel.

    .. code-block:: python

        from AGUNETRTrain import AGUNETRTrainLogic

        run = AGUNETRTrainLogic().train("smoke", "/data/runs/smoke")
        for job in run.jobs:
            print(job.plan.name, job.bestDice, job.testDice)
    """

    def getParameterNode(self):
        """The scene's parameter node, typed."""
        return AGUNETRTrainParameterNode(super().getParameterNode())

    def experiments(self):
        """The shipped experiments (ExperimentSummary) by name."""
        return listExperiments(EXPERIMENTS_FOLDER)

    def train(self, experiment, runFolder, dataFolder="", device="auto", atOnce=1):
        """Train every job, score the networks, make the report, and wait; the application stays responsive.

        :param experiment: name of a shipped experiment, or an experiment file.
        :param runFolder: made where missing; gone on with where it holds the same experiment.
        :param dataFolder: folder of the labelled cases; empty where the experiment brings its own.
        :param device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        :param atOnce: how many jobs at a time.
        :returns: the run (RunRecord) as its folder shows it; jobs that failed have no ``finished``.
        :raises SegmentationError: it could not be done; what was trained before stays.
        """
        training = TrainingRun(qt.QTimer.singleShot, log=self._log)
        training.start(TrainingRequest(str(experiment), str(dataFolder), str(runFolder), device, atOnce))
        try:
            while training.running:
                slicer.app.processEvents()
                time.sleep(0.03)  # a tight loop would starve the threads that read the child's output
        finally:
            training.close()
        if training.failed:
            raise training.failed
        return RunReader(Path(runFolder)).read()

    @staticmethod
    def _log(level, text):
        logging.log(logging.WARNING if level in ("warning", "error") else logging.INFO, text)


class AGUNETRTrainTest(ScriptedLoadableModuleTest):
    """Slicer's self test: needs no data and no network, and trains nothing."""

    def setUp(self):
        """Start with an empty scene."""
        slicer.mrmlScene.Clear()

    def runTest(self):
        """Run as few or as many tests as needed here."""
        for test in (self.test_experiments, self.test_start, self.test_curves):
            self.setUp()
            test()

    def test_experiments(self):
        """Every shipped experiment is described."""
        checkExperiments(self, AGUNETRTrainLogic())
        self.delayDisplay("Experiments passed")

    def test_start(self):
        """What is missing is said, and the parameters are kept."""
        checkStart(self, AGUNETRTrainLogic())
        self.delayDisplay("Start passed")

    def test_curves(self):
        """Curves come into the scene, grow without becoming more, and go again."""
        showCurves(self)
        self.delayDisplay("Curves passed")

"""AGUNETR Segment: the spleen in a CT, by UNETR and its attention-gated variants. This file only joins the parts."""

import logging
import sys
import time

import qt
import slicer
from slicer import vtkMRMLNode, vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

from AGUNETRSegmentLib.errors import SegmentationError
from AGUNETRSegmentLib.parameters import AttentionOptions, BatchOptions, CompareOptions, RunOptions
from AGUNETRSegmentLib.region_option import regionOption
from AGUNETRSegmentLib.sample_data import registerSampleData
from AGUNETRSegmentLib.segment_panel import SegmentPanel
from AGUNETRSegmentLib.segmentation_run import RunCallbacks, SegmentationRunner
from AGUNETRSegmentLib.self_test import exportAndImport, segmentPhantom
from AGUNETRSegmentLib.volume_check import firstVolume
from AGUNETRSegmentLib.worker_client import JobCallbacks, WorkerClient


class AGUNETRSegment(ScriptedLoadableModule):
    """What Slicer knows of the module before it is opened."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("AGUNETR Segment")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        self.parent.dependencies = []
        self.parent.contributors = ["AGUNETR contributors"]
        self.parent.helpText = _("""
Segments the spleen in abdominal CT with UNETR and with UNETR whose skip connections carry attention gates, shows where
the gates look, and measures how the networks differ. For research use only.

Load a CT (or the phantom of the module Sample Data), click Segment, and open Compare and Attention below.
""")
        self.parent.acknowledgementText = _("""
The networks follow UNETR (Hatamizadeh et al. 2021, arXiv:2103.10504) and Attention U-Net (Oktay et al. 2018,
arXiv:1804.03999).
""")
        # The module Sample Data may be loaded after this one.
        slicer.app.connect("startupCompleted()", registerSampleData)


@parameterNodeWrapper
class AGUNETRSegmentParameterNode:
    """What the panel remembers in the scene.

    inputVolume - the CT.
    allFrames - where the CT is a frame of a sequence: segment every frame.
    referenceSegmentation - what the results are compared with, none: nothing.
    region - a markups ROI, where to search; none: the engine decides.
    models - names of the ticked models.
    modelsChosen - whether models were ever ticked: an empty list is a choice, too.
    options, compare, attention, batch - one pack a section.
    """

    inputVolume: vtkMRMLScalarVolumeNode
    allFrames: bool = False
    referenceSegmentation: vtkMRMLSegmentationNode
    # Not vtkMRMLMarkupsROINode: Slicer imports modules by name, this one before the module Markups, which brings it.
    region: vtkMRMLNode
    models: list[str]
    modelsChosen: bool = False
    options: RunOptions
    compare: CompareOptions
    attention: AttentionOptions
    batch: BatchOptions


class AGUNETRSegmentWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel's place in the application: when it is set up, shown, hidden and taken down."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self.panel = None

    def setup(self):
        """Called once, when the module is opened for the first time."""
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/AGUNETRSegment.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)

        self.logic = AGUNETRSegmentLogic(log=self.onLog)
        self.panel = SegmentPanel(self.ui, self.logic)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndImportEvent, self.onSceneEndImport)
        self.initializeParameterNode()
        if getattr(self.parent, "isEntered", True):  # reloaded while it is shown: nobody enters it again
            self.panel.refreshModelsOnce()

    def cleanup(self):
        """Called when the application closes and before a reload: the worker goes, too."""
        self.removeObservers()
        if self.panel:
            self.panel.close()
        if self.logic:
            self.logic.stop()

    def enter(self):
        """Called whenever the module is shown."""
        self.initializeParameterNode()
        # Not in setup(): a process starts only for who really opened the module.
        self.panel.refreshModelsOnce()

    def exit(self):
        """Called whenever another module is shown: a run goes on, only the widgets stop following the scene."""
        self.panel.setParameterNode(None)

    def onReload(self):
        """Developer's reload: the library beside this file is loaded anew, too."""
        for name in [name for name in sys.modules if name.partition(".")[0] == "AGUNETRSegmentLib"]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)

    def onLog(self, level, text):
        """The worker reports."""
        if self.panel:
            self.panel.log(level, text)

    def onSceneStartClose(self, caller, event):
        """Called just before the scene is closed."""
        self.panel.setParameterNode(None)

    def onSceneEndClose(self, caller, event):
        """Called just after the scene was closed."""
        if self.parent.isEntered:
            self.initializeParameterNode()
        self.panel.resultsChanged()

    def onSceneEndImport(self, caller, event):
        """Called after a scene was opened or added: its results are shown like new ones."""
        if self.parent.isEntered:
            self.initializeParameterNode()
        self.panel.resultsChanged()

    def initializeParameterNode(self):
        """Take the scene's parameter node, with the first CT as input where none was chosen."""
        parameterNode = self.logic.getParameterNode()
        if not parameterNode.inputVolume:
            volumeNode = firstVolume(slicer.mrmlScene)
            if volumeNode:
                parameterNode.inputVolume = volumeNode
        self.panel.setParameterNode(parameterNode)


class AGUNETRSegmentLogic(ScriptedLoadableModuleLogic):
    """Segments volumes of the scene through the worker process; usable from scripts without the panel.

    .. code-block:: python

        from AGUNETRSegment import AGUNETRSegmentLogic

        logic = AGUNETRSegmentLogic()
        imported, result = logic.segment(slicer.util.getNode("CT"), ["compact-base", "compact-gated"])
        imported.segmentations["compact-gated"]     # vtkMRMLSegmentationNode
        result["models"][1]["volume_ml"]
        logic.stop()                                # ends the worker; it also leaves with the application

    The same lines in a file work without a window: ``Slicer --no-main-window --python-script FILE``.
    """

    def __init__(self, log=None):
        ScriptedLoadableModuleLogic.__init__(self)
        self._client = WorkerClient(schedule=qt.QTimer.singleShot, log=log or self._log)
        self._runner = SegmentationRunner(
            slicer.mrmlScene, self._client, slicer.app.temporaryPath, qt.QTimer.singleShot)

    def getParameterNode(self):
        """The scene's parameter node, typed."""
        return AGUNETRSegmentParameterNode(super().getParameterNode())

    @property
    def running(self):
        """Whether a segmentation is under way."""
        return self._runner.running

    @property
    def busy(self):
        """Whether the worker has an unanswered request of any kind."""
        return self._client.busy or self._runner.running

    def listModels(self, found, failed):
        """Ask for the models: *found* takes the worker's answer, *failed* a SegmentationError."""
        self._client.listModels(JobCallbacks(result=found, error=failed))

    def listDevices(self, found, failed):
        """Ask where networks can run: *found* takes the worker's answer, *failed* a SegmentationError."""
        self._client.listDevices(JobCallbacks(result=found, error=failed))

    def start(self, volumeNode, models, options=None, callbacks=None, **more):
        """Begin to segment and return at once; *callbacks* (RunCallbacks) tell the rest.

        :param volumeNode: the CT.
        :param models: names of models, at least one.
        :param options: fields of the engine's options, for example ``{"device": "cpu", "attention": ["all"]}``.
        :param more: ``region``, a markups ROI: search near it alone, instead of looking for the spleen first;
          ``reference``, a segmentation node to score the results against; ``surface``, whether to make 3D surfaces;
          ``allFrames``, whether to segment every frame where the volume shows a sequence.
        :raises SegmentationError: the run could not begin.
        """
        options = dict(options or {})
        region = more.pop("region", None)
        if region:
            options["region_mm"] = regionOption(region)
        self._runner.start(volumeNode, models, options, callbacks or RunCallbacks(), **more)

    def segment(self, volumeNode, models=None, attentionMaps=False, progress=None, options=None, **more):
        """Segment and wait; the application stays responsive.

        :param models: names of models; default: all that came with the module.
        :param attentionMaps: also add the maps of every attention gate.
        :param progress: takes a Progress (stage, done, total, secondsLeft) from time to time.
        :param options: as for :meth:`start`, like *more*.
        :returns: the imported nodes (ImportedResult) and the parsed result.json.
        :raises SegmentationError: it could not be done; the scene is as it was.
        """
        if models is None:
            models = [model["name"] for model in self.models() if model.get("embedded")]
        options = {"attention": ["all"] if attentionMaps else [], **(options or {})}
        return self._wait(lambda finished, failed: self.start(
            volumeNode, models, options, RunCallbacks(
                progress or RunCallbacks.progress, lambda *outcome: finished(outcome), failed), **more))

    process = segment  # the name that Slicer's own modules use

    def models(self):
        """The installed models, a dict each; waits for the worker."""
        return self._wait(self.listModels).get("models", [])

    def cancel(self):
        """Stop the run, or the search for models; its *failed* callback follows within two seconds."""
        if self.running:
            self._runner.cancel()
        else:
            self._client.cancel()

    def stop(self):
        """End the run, if any, and the worker process."""
        self._client.stop()
        self._runner.stop()

    @staticmethod
    def _wait(begin):
        """What ``begin(finished, failed)`` gives one of its callbacks; an error is raised."""
        outcome = []
        begin(outcome.append, outcome.append)
        while not outcome:
            slicer.app.processEvents()
            time.sleep(0.03)  # a tight loop would starve the threads that read the worker's output
        if isinstance(outcome[0], SegmentationError):
            raise outcome[0]
        return outcome[0]

    @staticmethod
    def _log(level, text):
        logging.log(logging.WARNING if level in ("warning", "error") else logging.INFO, text)


class AGUNETRSegmentTest(ScriptedLoadableModuleTest):
    """Slicer's self test."""

    def setUp(self):
        """Start with an empty scene."""
        slicer.mrmlScene.Clear()

    def runTest(self):
        """Run as few or as many tests as needed here."""
        for test in (self.test_exportAndImport, self.test_segmentPhantom):
            self.setUp()
            test()

    def test_exportAndImport(self):
        """Scene in, scene out, without the engine."""
        exportAndImport(self)
        self.delayDisplay("Export and import passed")

    def test_segmentPhantom(self):
        """The whole way, where the engine is installed."""
        segmentPhantom(self, AGUNETRSegmentLogic())
        self.delayDisplay("Segmentation of the phantom passed")

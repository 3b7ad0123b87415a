"""AGUNETR Segment: the spleen in a CT, by UNETR and its attention-gated variants. This file only joins the parts."""

import logging
import shutil
import sys
import time
from pathlib import Path

import qt
import slicer
from slicer import vtkMRMLNode, vtkMRMLScalarVolumeNode
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
from AGUNETRSegmentLib.region_option import regionOption
from AGUNETRSegmentLib.segment_panel import SegmentPanel
from AGUNETRSegmentLib.segmentation_run import RunCallbacks, SegmentationRunner
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
""")
        self.parent.acknowledgementText = _("""
The networks follow UNETR (Hatamizadeh et al. 2021, arXiv:2103.10504) and Attention U-Net (Oktay et al. 2018,
arXiv:1804.03999).
""")


@parameterNodeWrapper
class AGUNETRSegmentParameterNode:
    """What the panel remembers in the scene.

    inputVolume - the CT.
    region - a markups ROI, where to search; none: the engine decides.
    models - names of the ticked models; empty: not chosen yet.
    attentionMaps - also add the maps of the attention gates.
    """

    inputVolume: vtkMRMLScalarVolumeNode
    # Not vtkMRMLMarkupsROINode: Slicer imports modules by name, this one before the module Markups, which brings it.
    region: vtkMRMLNode
    models: list[str]
    attentionMaps: bool = False


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

        self.logic = AGUNETRSegmentLogic(log=lambda level, text: self.panel.onLog(level, text))
        self.panel = SegmentPanel(self.ui, self.logic)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.initializeParameterNode()

    def cleanup(self):
        """Called when the application closes and before a reload: the worker goes, too."""
        self.removeObservers()
        if self.panel:
            self.panel.setParameterNode(None)
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

    def onSceneStartClose(self, caller, event):
        """Called just before the scene is closed."""
        self.panel.setParameterNode(None)

    def onSceneEndClose(self, caller, event):
        """Called just after the scene was closed."""
        if self.parent.isEntered:
            self.initializeParameterNode()

    def initializeParameterNode(self):
        """Take the scene's parameter node, with the first volume as input where none was chosen."""
        parameterNode = self.logic.getParameterNode()
        if not parameterNode.inputVolume:
            firstVolumeNode = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
            if firstVolumeNode:
                parameterNode.inputVolume = firstVolumeNode
        self.panel.setParameterNode(parameterNode)


class AGUNETRSegmentLogic(ScriptedLoadableModuleLogic):
    """Segments volumes of the scene through the worker process; usable from scripts without the panel.

    .. code-block:: python

        logic = AGUNETRSegmentLogic()
        imported, result = logic.process(slicer.util.getNode("CT"), ["compact-gated"], attentionMaps=True)
        logic.stop()
    """

    def __init__(self, log=None):
        ScriptedLoadableModuleLogic.__init__(self)
        self._client = WorkerClient(schedule=qt.QTimer.singleShot, log=log or self._log)
        self._runner = SegmentationRunner(slicer.mrmlScene, self._client, slicer.app.temporaryPath)

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

    def start(self, volumeNode, models, attentionMaps=False, callbacks=None, region=None):
        """Begin to segment; *callbacks* (RunCallbacks) tell the rest.

        :param region: a markups ROI: search near it alone, instead of looking for the spleen first.
        :raises SegmentationError: the run could not begin.
        """
        options = {"attention": ["all"] if attentionMaps else []}
        if region:
            options["region_mm"] = regionOption(region)
        self._runner.start(volumeNode, models, options, callbacks or RunCallbacks())

    def process(self, volumeNode, models, attentionMaps=False, region=None):
        """Segment and wait; the application stays responsive. The arguments are those of :meth:`start`.

        :returns: the imported nodes (ImportedResult) and the parsed result.json.
        :raises SegmentationError: it could not be done; the scene is as it was.
        """
        outcome = []
        self.start(
            volumeNode,
            models,
            attentionMaps,
            RunCallbacks(finished=lambda imported, result: outcome.append((imported, result)), failed=outcome.append),
            region,
        )
        while not outcome:
            slicer.app.processEvents()
            time.sleep(0.03)  # a tight loop would starve the threads that read the worker's output
        if isinstance(outcome[0], SegmentationError):
            raise outcome[0]
        return outcome[0]

    def cancel(self):
        """Stop the run, or the search for models; its *failed* callback follows within two seconds."""
        if self._runner.running:
            self._runner.cancel()
        else:
            self._client.cancel()

    def stop(self):
        """End the worker process."""
        self._client.stop()

    @staticmethod
    def _log(level, text):
        logging.log(logging.WARNING if level in ("warning", "error") else logging.INFO, text)


class AGUNETRSegmentTest(ScriptedLoadableModuleTest):
    """Slicer's self test: scene in, scene out, without the engine, which may not be installed."""

    def setUp(self):
        """Start with an empty scene."""
        slicer.mrmlScene.Clear()

    def runTest(self):
        """Run as few or as many tests as needed here."""
        self.setUp()
        self.test_exportAndImport()

    def test_exportAndImport(self):
        """A mask that stands on the voxels of a volume becomes a segmentation beside it."""
        import numpy as np

        from AGUNETRSegmentLib.nodes import exportVolume, importResult

        voxels = np.zeros((20, 30, 40), np.int16)
        voxels[5:10, 10:20, 15:30] = 100
        volumeNode = slicer.util.addVolumeFromArray(voxels, name="CT")
        volumeNode.SetSpacing(0.8, 0.8, 2.5)
        folder = Path(slicer.util.tempDirectory())
        try:
            job = exportVolume(volumeNode, folder)
            maskNode = slicer.util.addVolumeFromArray((voxels > 0).astype(np.uint8), name="mask")
            maskNode.CopyOrientation(volumeNode)
            slicer.util.saveNode(maskNode, str(folder / "model.nii.gz"))
            slicer.mrmlScene.RemoveNode(maskNode)
            entry = {"name": "model", "mask": "model.nii.gz", "volume_ml": 1.2, "voxels": 750}
            imported = importResult(slicer.mrmlScene, {"format": 1, "models": [entry]}, folder, job)
        finally:
            shutil.rmtree(folder)
        segment = slicer.util.arrayFromSegmentBinaryLabelmap(imported.segmentations["model"], "spleen", volumeNode)
        self.assertTrue(np.array_equal(segment > 0, voxels > 0))
        self.assertEqual(imported.table.GetNumberOfRows(), 1)
        self.delayDisplay("Test passed")

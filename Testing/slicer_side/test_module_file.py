"""The module file and its panel in the host, used as a user does, with a worker process that thresholds."""

from __future__ import annotations

import os
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

pytest.importorskip("slicer")
pytest.importorskip("PySide6")

import host
import slicer
import slicer.util
import vtk
from scene_builder import addVolume, nodeNames, orientationMatrix

MODULE_FOLDER = Path(__file__).resolve().parents[2] / "AGUNETRSegment"
UI_FILE = MODULE_FOLDER / "Resources" / "UI" / "AGUNETRSegment.ui"
WORKER = [sys.executable, str(Path(__file__).with_name("thresholding_worker.py"))]


class Panel:
    """The opened module: its widgets, and waiting."""

    def __init__(self, running, widget) -> None:
        self.running, self.widget, self.ui, self.logic = running, widget, widget.ui, widget.logic
        self.panel = widget.panel

    @property
    def parameterNode(self):
        return self.panel.parameterNode

    def status(self) -> str:
        return self.ui.statusLabel.text

    def waitUntilIdle(self, seconds: float = 60.0) -> None:
        self.running.wait(lambda: self.logic.busy, False, seconds)

    def worker(self, monkeypatch, program: str) -> None:
        """The next worker runs *program* instead."""
        self.logic.stop()
        monkeypatch.setattr(self.logic._client, "_command", [sys.executable, "-c", program])

    def tick(self, *names: str) -> None:
        self.parameterNode.models = list(names)


def addCt(name="CT", value=0):
    node = addVolume(slicer.mrmlScene, orientationMatrix((0, 1, 2), (-1, -1, 1)), shape=(20, 24, 28), name=name)
    if value:
        slicer.util.updateVolumeFromArray(node, slicer.util.arrayFromVolume(node) * 0 + value)
    return node


@pytest.fixture
def application(monkeypatch, tmp_path):
    with host.application(tmp_path) as running:
        from AGUNETRSegmentLib import worker_client

        monkeypatch.setattr(worker_client, "defaultCommand", lambda: WORKER)
        monkeypatch.setattr(worker_client, "defaultEnvironment", lambda: dict(os.environ))
        yield running


@pytest.fixture
def panel(application):
    """The module shown with a CT in the scene and its models listed."""
    addCt()
    panel = Panel(application, application.openModule("AGUNETRSegment"))
    application.wait(lambda: bool(panel.panel.models))
    panel.waitUntilIdle()
    panel.tick("compact-base")
    return panel


def test_no_worker_starts_before_the_module_is_entered(application):
    from AGUNETRSegmentLib.worker_client import WorkerClient

    started = []
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr(WorkerClient, "_start", lambda self: started.append(self))
    monkeypatch.setattr(slicer.util, "selectModule", lambda name: None)
    application.openModule("AGUNETRSegment")
    monkeypatch.undo()
    assert not started


def test_two_quick_visits_ask_for_the_models_once(application, monkeypatch):
    from AGUNETRSegmentLib.worker_client import WorkerClient

    asked, listModels = [], WorkerClient.listModels
    monkeypatch.setattr(WorkerClient, "listModels", lambda *given: (asked.append(given), listModels(*given)))
    widget = application.openModule("AGUNETRSegment")
    application.leaveModule()
    application.openModule("AGUNETRSegment")
    application.wait(lambda: bool(widget.panel.models))
    assert len(asked) == 1


def test_the_button_says_what_is_missing(application):
    panel = Panel(application, application.openModule("AGUNETRSegment"))
    application.wait(lambda: bool(panel.panel.models))
    button = panel.ui.segmentButton
    assert not button.enabled and button.toolTip == "Select a CT volume."
    addCt()
    host.choose(panel.ui.inputSelector, "CT")
    panel.tick("compact-base")
    assert button.enabled and "Ctrl+Enter" in button.toolTip
    panel.tick()
    assert not button.enabled and button.toolTip == "Tick at least one model."


def test_segment_adds_nodes_and_reports(panel):
    host.click(panel.ui.segmentButton)
    panel.waitUntilIdle()
    assert panel.status().startswith("Done in ") and "compact-base 1 ml" in panel.status()
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 1
    assert panel.ui.segmentButton.text == "Segment" and panel.ui.segmentButton.enabled
    assert not panel.ui.progressBar.visible


def test_the_keys_run_and_never_cancel(panel):
    panel.tick("wait")
    host.press(panel.ui.inputsCollapsibleButton, "Ctrl+Return")
    assert panel.logic.running
    panel.running.wait(lambda: panel.status() == "Segmenting")
    host.press(panel.ui.inputsCollapsibleButton, "Ctrl+Return")
    panel.running.processEvents()
    assert panel.ui.segmentButton.text == "Cancel" and panel.logic.running


def test_cancel_leaves_the_scene_as_it_was(panel):
    panel.tick("wait")
    before = nodeNames(slicer.mrmlScene)
    host.click(panel.ui.segmentButton)
    panel.running.wait(lambda: panel.status() == "Segmenting")
    assert panel.ui.segmentButton.text == "Cancel" and panel.ui.segmentButton.enabled
    assert panel.ui.progressBar.visible
    host.click(panel.ui.segmentButton)
    assert panel.ui.segmentButton.text == "Cancelling..." and not panel.ui.segmentButton.enabled
    panel.waitUntilIdle(3.0)
    assert panel.status() == "Cancelled; nothing was added to the scene."
    assert nodeNames(slicer.mrmlScene) == before
    assert panel.ui.segmentButton.text == "Segment" and panel.ui.segmentButton.enabled


def test_a_run_goes_on_while_another_module_is_shown(panel):
    host.click(panel.ui.segmentButton)
    panel.running.leaveModule()
    panel.waitUntilIdle()
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 1


def test_the_ct_leaves_in_the_middle_of_a_run(panel):
    panel.tick("wait")
    host.click(panel.ui.segmentButton)
    panel.running.wait(lambda: panel.status() == "Segmenting")
    slicer.mrmlScene.RemoveNode(panel.parameterNode.inputVolume)
    panel.waitUntilIdle(3.0)
    assert panel.status() == "The CT left the scene, so the segmentation was stopped."
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0
    assert not panel.running.dialogs


def test_the_scene_is_closed_in_the_middle_of_a_run(panel):
    panel.tick("wait")
    host.click(panel.ui.segmentButton)
    panel.running.wait(lambda: panel.status() == "Segmenting")
    slicer.mrmlScene.Clear(False)
    panel.waitUntilIdle(3.0)
    assert panel.parameterNode and not panel.parameterNode.inputVolume
    assert not panel.running.dialogs and not list(Path(slicer.app.temporaryPath).glob("AGUNETR-*"))


def test_the_application_closes_in_the_middle_of_a_run(application):
    addCt()
    panel = Panel(application, application.openModule("AGUNETRSegment"))
    application.wait(lambda: bool(panel.panel.models))
    panel.tick("wait")
    host.click(panel.ui.segmentButton)
    application.wait(lambda: panel.status() == "Segmenting")
    process = panel.logic._client._process._process
    panel.widget.cleanup()
    assert process.wait(timeout=3.0) is not None
    assert not list(Path(slicer.app.temporaryPath).glob("AGUNETR-*"))


def test_a_crash_shows_its_sentence_and_keeps_the_log(panel, monkeypatch):
    panel.worker(monkeypatch, "import sys; sys.exit('last words')")
    panel.panel.refreshModels()
    panel.waitUntilIdle()
    assert "exit code 1" in panel.status() and "last words" in panel.ui.logTextEdit.plainText


def test_an_error_of_the_worker_shows_message_and_remedy(panel, monkeypatch):
    event = '{"event": "error", "kind": "dependencies", "message": "MONAI is missing.", "remedy": "Install it."}'
    panel.worker(monkeypatch, f"input(); print({event!r}, flush=True); input()")
    panel.panel.refreshModels()
    panel.waitUntilIdle()
    assert panel.status() == "MONAI is missing. Install it."


def test_a_search_for_models_that_hangs_can_be_cancelled(application, monkeypatch):
    from AGUNETRSegmentLib import worker_client

    monkeypatch.setattr(worker_client, "defaultCommand", lambda: [sys.executable, "-c", "import time; time.sleep(60)"])
    panel = Panel(application, application.openModule("AGUNETRSegment"))
    assert panel.ui.segmentButton.text == "Cancel"
    host.click(panel.ui.segmentButton)
    panel.waitUntilIdle(3.0)
    assert panel.status().startswith("Cancelled") and panel.ui.segmentButton.text == "Segment"


def test_a_fault_of_the_module_is_a_sentence_too(panel, monkeypatch):
    def failing(*_arguments, **_more):
        raise RuntimeError("no such thing")

    monkeypatch.setattr(panel.logic, "start", failing)
    host.click(panel.ui.segmentButton)
    assert panel.status().startswith("Segmentation could not start: no such thing.")
    assert "Traceback" in panel.ui.logTextEdit.plainText and panel.ui.segmentButton.enabled


def test_the_log_is_saved(panel, tmp_path):
    panel.panel.log("warning", "first\nsecond")
    path = tmp_path / "log ä.txt"
    host.answer(str(path))
    host.click(panel.ui.saveLogButton)
    lines = path.read_text("utf-8").splitlines()
    assert lines[-2].endswith("WARNING: first") and lines[-1].endswith("WARNING: second")


def test_what_is_no_ct_is_said_before_the_run(panel):
    assert not panel.ui.inputNoteLabel.visible
    addCt("picture", 77)
    host.choose(panel.ui.inputSelector, "picture")
    assert "does not look like a CT" in panel.ui.inputNoteLabel.text and panel.ui.inputNoteLabel.visible
    assert panel.ui.segmentButton.enabled  # it is a warning: the user may know better


def test_a_transform_that_bends_space_is_explained(panel):
    grid = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLBSplineTransformNode")
    transform = vtk.vtkThinPlateSplineTransform()
    for points in (vtk.vtkPoints(), vtk.vtkPoints()):
        for corner in ((0, 0, 0), (50, 0, 0), (0, 50, 0), (0, 0, 50), (50, 50, 50)):
            points.InsertNextPoint(corner)
        (transform.SetSourceLandmarks if not transform.GetSourceLandmarks() else transform.SetTargetLandmarks)(points)
    grid.SetAndObserveTransformToParent(transform)
    panel.parameterNode.inputVolume.SetAndObserveTransformNodeID(grid.GetID())
    panel.panel.update()
    assert "bends space" in panel.ui.inputNoteLabel.text and "Harden" in panel.ui.segmentButton.toolTip
    assert not panel.ui.segmentButton.enabled


def test_the_options_reach_the_worker(panel, monkeypatch):
    sent = []
    segment = panel.logic._client.segment
    monkeypatch.setattr(
        panel.logic._client, "segment", lambda *arguments: sent.append(arguments[3]) or segment(*arguments))
    host.click(panel.ui.localiseCheckBox)  # opens the options, and so asks for devices
    panel.running.wait(lambda: panel.ui.deviceComboBox.findText("CPU (x86_64), 8.0 GB free") >= 0)
    host.choose(panel.ui.deviceComboBox, "CPU (x86_64), 8.0 GB free")
    host.choose(panel.ui.precisionComboBox, "Exact (32 bit)")
    host.type_(panel.ui.overlapSpinBox, "25")
    host.click(panel.ui.largestComponentCheckBox)
    host.click(panel.ui.fillHolesCheckBox)
    host.click(panel.ui.surfaceCheckBox)
    assert not panel.ui.mapEnc1CheckBox.enabled  # the ticked model has no gate
    host.click(panel.ui.segmentButton)
    panel.waitUntilIdle()
    assert sent == [{
        "device": "cpu", "precision": "exact", "overlap": 0.25, "localise": False, "allow_cpu": False,
        "largest_component": False, "fill_holes": False, "attention": []}]
    segmentationNode = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
    assert not segmentationNode.GetSegmentation().ContainsRepresentation("Closed surface")


def test_a_region_of_the_scene_is_sent_along(panel, monkeypatch):
    sent = []
    segment = panel.logic._client.segment
    monkeypatch.setattr(
        panel.logic._client, "segment", lambda *arguments: sent.append(arguments[3]) or segment(*arguments))
    region = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "around")
    host.choose(panel.ui.regionSelector, "around")
    assert panel.parameterNode.region is region
    host.click(panel.ui.segmentButton)
    assert panel.status().startswith('The region "around" has no size yet.')
    region.SetXYZ(-60, 10, 200)
    region.SetRadiusXYZ(50, 60, 70)
    host.click(panel.ui.segmentButton)
    panel.waitUntilIdle()
    assert sent[0]["region_mm"] == [[-110.0, -10.0], [-50.0, 70.0], [130.0, 270.0]]


def test_the_logic_works_from_a_script(panel):
    from AGUNETRSegmentLib.errors import SegmentationError

    module = sys.modules["AGUNETRSegment"]
    logic, progress = module.AGUNETRSegmentLogic(), []
    imported, result = logic.segment(panel.parameterNode.inputVolume, ["compact-base"], progress=progress.append)
    assert imported.segmentations["compact-base"] is not None and result["format"] == 1 and progress
    assert [model["name"] for model in logic.models()] == ["compact-base", "wait"]
    with pytest.raises(SegmentationError, match="Tick"):
        logic.process(panel.parameterNode.inputVolume, [])
    logic.stop()


def test_slicers_self_test_passes(panel, monkeypatch, tmp_path):
    def saveNode(node, path):
        storageNode = slicer.vtkMRMLVolumeArchetypeStorageNode()
        storageNode.SetFileName(path)
        assert storageNode.WriteData(node)

    folder = tmp_path / "self test"
    folder.mkdir()
    monkeypatch.setattr(slicer.util, "saveNode", saveNode)
    monkeypatch.setattr(slicer.util, "tempDirectory", lambda: str(folder))
    sys.modules["AGUNETRSegment"].AGUNETRSegmentTest("test_exportAndImport").test_exportAndImport()
    assert not folder.exists()


def test_every_parameter_of_the_ui_exists(panel):
    bound = [
        element.findtext("string")
        for element in ElementTree.parse(UI_FILE).getroot().iter("property")
        if element.get("name") == "SlicerParameterName"
    ]
    assert bound and len(bound) == len(set(bound))
    for name in bound:
        panel.parameterNode.dataType(name)


def test_every_control_has_a_tooltip():
    controls = ("QPushButton", "QCheckBox", "QComboBox", "QSpinBox", "QDoubleSpinBox", "QToolButton", "QTableWidget",
                "QPlainTextEdit", "qMRMLNodeComboBox", "ctkSliderWidget", "ctkPathLineEdit", "QRadioButton", "QSlider")
    missing = [
        widget.get("name") for widget in ElementTree.parse(UI_FILE).getroot().iter("widget")
        if widget.get("class") in controls
        and not any(entry.get("name") == "toolTip" for entry in widget.findall("property"))]
    assert not missing

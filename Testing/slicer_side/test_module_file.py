"""The module file and its panel on a stand-in of the application, with a worker process that thresholds."""

from __future__ import annotations

import importlib.util
import os
import sys
import time
import types
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

pytest.importorskip("slicer")

import application_stand_in
import slicer
import slicer.util
from bare_slicer import newScene
from scene_builder import addVolume, orientationMatrix

MODULE_FILE = Path(__file__).resolve().parents[2] / "AGUNETRSegment" / "AGUNETRSegment.py"
UI_FILE = MODULE_FILE.parent / "Resources" / "UI" / "AGUNETRSegment.ui"
WORKER = [sys.executable, str(Path(__file__).with_name("thresholding_worker.py"))]


class Application:
    """The module file loaded, its panel set up, and the timer under the test's control."""

    def __init__(self, monkeypatch, tmp_path) -> None:
        self.due = []
        self.scene = newScene()
        application_stand_in.install(monkeypatch, tmp_path, self.due)
        from AGUNETRSegmentLib import worker_client

        monkeypatch.setattr(worker_client, "defaultCommand", lambda: WORKER)
        monkeypatch.setattr(worker_client, "defaultEnvironment", lambda: dict(os.environ))
        monkeypatch.delitem(sys.modules, "AGUNETRSegmentLib.model_list", raising=False)
        monkeypatch.delitem(sys.modules, "AGUNETRSegmentLib.segment_panel", raising=False)
        specification = importlib.util.spec_from_file_location("AGUNETRSegment", MODULE_FILE)
        self.module = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(self.module)
        self.ui = application_stand_in.widgetsOf(UI_FILE)
        monkeypatch.setattr(slicer.util, "loadUI", lambda path: types.SimpleNamespace(setMRMLScene=lambda scene: None))
        monkeypatch.setattr(slicer.util, "childWidgetVariables", lambda widget: self.ui)
        self.widget = self.module.AGUNETRSegmentWidget()
        self.widget.layout = types.SimpleNamespace(addWidget=lambda widget: None)
        self.widget.resourcePath = lambda name: str(MODULE_FILE.parent / "Resources" / name)
        self.widget.parent = types.SimpleNamespace(isEntered=True)
        self.widget.setup()

    def runUntil(self, condition, seconds=60.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, self.ui.statusLabel.text
            if self.due:
                self.due.pop(0)()
            time.sleep(0.005)

    def enter(self) -> None:
        self.widget.enter()
        self.runUntil(lambda: self.ui.modelsList.count)


@pytest.fixture
def application(monkeypatch, tmp_path):
    application = Application(monkeypatch, tmp_path / "temporary")
    yield application
    application.widget.cleanup()


def addCt(application):
    return addVolume(application.scene, orientationMatrix((0, 1, 2), (-1, -1, 1)))


def test_no_worker_starts_before_the_module_is_opened(application):
    assert not application.due and application.widget.logic._client.pid is None
    application.enter()
    assert [item.text for item in application.ui.modelsList.items] == ["Compact base", "wait"]


def test_the_button_says_what_is_missing(application):
    application.enter()
    button = application.ui.segmentButton
    assert not button.enabled and button.toolTip == "Select a CT volume."
    addCt(application)
    application.widget.initializeParameterNode()
    assert button.enabled
    for item in application.ui.modelsList.items:
        item.setCheckState(0)
    assert not button.enabled and button.toolTip == "Tick at least one model."


def choose(application, name):
    addCt(application)
    application.enter()
    for item in application.ui.modelsList.items:
        item.setCheckState(2 if item.data(256) == name else 0)


def test_segment_adds_nodes_and_reports(application):
    choose(application, "compact-base")
    application.widget.panel._parameterNode.attentionMaps = True
    application.ui.segmentButton.click()
    assert not application.ui.segmentButton.enabled and application.ui.cancelButton.enabled
    assert application.ui.progressBar.visible
    application.runUntil(lambda: not application.widget.logic.busy)
    assert application.ui.statusLabel.text.startswith("compact-base: 1 ml")
    assert application.scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 1
    assert application.scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 2
    assert application.ui.segmentButton.enabled and not application.ui.progressBar.visible


def test_cancel(application):
    choose(application, "wait")
    application.ui.segmentButton.click()
    application.runUntil(lambda: application.ui.statusLabel.text == "Segmenting")
    application.ui.cancelButton.click()
    application.runUntil(lambda: not application.widget.logic.busy)
    assert application.ui.statusLabel.text.startswith("Cancelled")
    assert application.ui.segmentButton.enabled


def test_a_run_goes_on_while_another_module_is_shown(application):
    choose(application, "compact-base")
    application.ui.segmentButton.click()
    application.widget.exit()
    application.runUntil(lambda: not application.widget.logic.busy)
    assert application.scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 1


def test_a_crash_shows_its_sentence_and_keeps_the_log(application, monkeypatch):
    application.enter()
    monkeypatch.setattr(
        application.widget.logic._client, "_command", [sys.executable, "-c", "import sys; sys.exit('last words')"]
    )
    application.widget.logic.stop()
    application.ui.refreshModelsButton.click()
    application.runUntil(lambda: not application.widget.logic.busy)
    assert "exit code 1" in application.ui.statusLabel.text and "last words" in application.ui.logTextEdit.plain
    assert application.ui.refreshModelsButton.enabled


def test_an_error_of_the_worker_shows_message_and_remedy(application, monkeypatch):
    application.enter()
    event = '{"event": "error", "kind": "dependencies", "message": "MONAI is missing.", "remedy": "Install it."}'
    monkeypatch.setattr(
        application.widget.logic._client,
        "_command",
        [sys.executable, "-c", f"input(); print({event!r}, flush=True); input()"],
    )
    application.widget.logic.stop()
    application.ui.refreshModelsButton.click()
    application.runUntil(lambda: not application.widget.logic.busy)
    assert application.ui.statusLabel.text == "MONAI is missing. Install it."


def test_the_search_for_models_can_be_cancelled(application, monkeypatch):
    application.enter()
    monkeypatch.setattr(
        application.widget.logic._client, "_command", [sys.executable, "-c", "import time; time.sleep(60)"]
    )
    application.widget.logic.stop()
    application.ui.refreshModelsButton.click()
    application.ui.cancelButton.click()
    application.runUntil(lambda: not application.widget.logic.busy, 20)
    assert application.ui.statusLabel.text.startswith("Cancelled") and not application.ui.cancelButton.enabled
    assert application.ui.modelsList.count


def test_a_fault_of_the_module_is_a_sentence_too(application, monkeypatch):
    def failing(*_arguments):
        raise RuntimeError("no such thing")

    choose(application, "compact-base")
    monkeypatch.setattr(application.widget.logic, "start", failing)
    application.ui.segmentButton.click()
    assert application.ui.statusLabel.text.startswith("Segmentation could not start: no such thing.")
    assert "Traceback" in application.ui.logTextEdit.plain and application.ui.segmentButton.enabled


def test_the_logic_works_from_a_script(application):
    volumeNode = addCt(application)
    logic = application.module.AGUNETRSegmentLogic()
    imported, result = logic.process(volumeNode, ["compact-base"])
    assert imported.segmentations["compact-base"] is not None and result["format"] == 1
    from AGUNETRSegmentLib.errors import SegmentationError

    with pytest.raises(SegmentationError, match="Tick"):
        logic.process(volumeNode, [])
    logic.stop()


def test_a_region_of_the_scene_is_sent_along(application, monkeypatch):
    sent = []
    choose(application, "compact-base")
    client = application.widget.logic._client
    segment = client.segment
    monkeypatch.setattr(client, "segment", lambda *arguments: sent.append(arguments[3]) or segment(*arguments))
    application.ui.segmentButton.click()
    application.runUntil(lambda: not application.widget.logic.busy)
    region = application.scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "around")
    application.widget.panel._parameterNode.region = region
    application.ui.segmentButton.click()
    assert application.ui.statusLabel.text.startswith('The region "around" has no size yet.')
    region.SetXYZ(-60, 10, 200)
    region.SetRadiusXYZ(50, 60, 70)
    application.ui.segmentButton.click()
    application.runUntil(lambda: not application.widget.logic.busy)
    assert "region_mm" not in sent[0]
    assert sent[1]["region_mm"] == [[-110.0, -10.0], [-50.0, 70.0], [130.0, 270.0]]


def test_slicers_self_test_passes(application, monkeypatch, tmp_path):
    def saveNode(node, path):
        storageNode = slicer.vtkMRMLVolumeArchetypeStorageNode()
        storageNode.SetFileName(path)
        assert storageNode.WriteData(node)

    folder = tmp_path / "self test"
    folder.mkdir()
    monkeypatch.setattr(slicer.util, "saveNode", saveNode)
    monkeypatch.setattr(slicer.util, "tempDirectory", lambda: str(folder))
    application.module.AGUNETRSegmentTest("test_exportAndImport").test_exportAndImport()
    assert not folder.exists()


def test_every_parameter_of_the_ui_exists(application):
    bound = [
        element.findtext("string")
        for element in ElementTree.parse(UI_FILE).getroot().iter("property")
        if element.get("name") == "SlicerParameterName"
    ]
    parameterNode = application.widget.logic.getParameterNode()
    assert bound and all(hasattr(parameterNode, name) for name in bound)

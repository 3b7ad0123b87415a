"""Every control of the panel, by clicking it; many runs; and what the operating system still has afterwards."""

from __future__ import annotations

import os
import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

pytest.importorskip("slicer")

import host
import slicer
import slicer.util
from scene_builder import addVolume, nodeNames, orientationMatrix

HERE = Path(__file__).resolve().parent
UI_FILE = HERE.parents[1] / "AGUNETRSegment" / "Resources" / "UI" / "AGUNETRSegment.ui"
WORKER = [sys.executable, str(HERE / "thresholding_worker.py")]
PASSIVE = {"QLabel", "QProgressBar", "QWidget", "qMRMLWidget", "QPlainTextEdit"}
RUNS = 30


@pytest.fixture
def opened(monkeypatch, tmp_path):
    """The module shown with a CT, with a worker that needs no networks."""
    with host.application(tmp_path) as app:
        from AGUNETRSegmentLib import worker_client

        monkeypatch.setattr(worker_client, "defaultCommand", lambda: WORKER)
        monkeypatch.setattr(worker_client, "defaultEnvironment", lambda: dict(os.environ))
        addVolume(slicer.mrmlScene, orientationMatrix((0, 1, 2), (-1, -1, 1)), shape=(20, 24, 28), name="CT")
        widget = app.openModule("AGUNETRSegment")
        app.wait(lambda: bool(widget.panel.models))
        app.wait(lambda: widget.logic.busy, False)
        widget.app = app
        yield widget


def options(widget):
    return widget.panel.parameterNode.options


def test_the_tick_boxes_change_their_options(opened):
    for control, field in (
        ("localiseCheckBox", "localise"), ("allowCpuCheckBox", "allowCpu"), ("surfaceCheckBox", "surface"),
        ("largestComponentCheckBox", "largestComponent"), ("fillHolesCheckBox", "fillHoles"),
    ):
        before = options(opened).getValue(field)
        host.click(getattr(opened.ui, control))
        assert options(opened).getValue(field) is not before
        host.click(getattr(opened.ui, control))
        assert options(opened).getValue(field) is before


def test_the_boxes_of_the_maps(opened):
    for gate in ("1", "2", "3", "4"):
        box = getattr(opened.ui, f"mapEnc{gate}CheckBox")
        if box.enabled:
            host.click(box)
            assert options(opened).getValue(f"mapEnc{gate}") is False
        else:  # no ticked model has the gate: it says so
            assert box.toolTip


def test_numbers_and_choices(opened):
    ui = opened.ui
    host.type_(ui.overlapSpinBox, "25")
    assert options(opened).overlapPercent == 25
    host.type_(ui.overlapSpinBox, "99")
    assert options(opened).overlapPercent <= 90
    for text in [ui.precisionComboBox.itemText(index) for index in range(ui.precisionComboBox.count)]:
        host.choose(ui.precisionComboBox, text)
        assert options(opened).precision.label() == text
    opened.app.wait(lambda: opened.logic.busy, False)  # opening the options asked for the devices
    for text in [ui.deviceComboBox.itemText(index) for index in range(ui.deviceComboBox.count)]:
        host.choose(ui.deviceComboBox, text)
        assert ui.deviceComboBox.currentText == text
    assert options(opened).device != ""


def test_inputs_are_chosen(opened):
    scene, ui = slicer.mrmlScene, opened.ui
    other = addVolume(scene, orientationMatrix((0, 1, 2), (-1, -1, 1)), name="Other CT")
    reference = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "By hand")
    region = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "Around the spleen")
    host.choose(ui.inputSelector, "Other CT")
    host.choose(ui.referenceSelector, "By hand")
    host.choose(ui.regionSelector, "Around the spleen")
    node = opened.panel.parameterNode
    assert (node.inputVolume, node.referenceSegmentation, node.region) == (other, reference, region)
    for selector in (ui.referenceSelector, ui.regionSelector):
        host.choose(selector, "None")
    assert node.referenceSegmentation is None and node.region is None


def test_the_other_sections_controls(opened, tmp_path):
    """Those that no test of a section uses."""
    import qt

    ui, scene = opened.ui, slicer.mrmlScene
    scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "By hand")
    host.choose(ui.compareFirstSelector, "By hand")
    assert opened.panel.parameterNode.compare.first.GetName() == "By hand"
    attention = opened.panel.parameterNode.attention
    before = attention.legend, attention.stretched
    host.click(ui.attentionLegendCheckBox)
    host.click(ui.attentionStretchedCheckBox)
    attention = opened.panel.parameterNode.attention
    assert attention.legend is not before[0] and attention.stretched is not before[1]
    host.type_(ui.batchOutputPathLineEdit, str(tmp_path))
    if ui.batchOpenButton.enabled:
        host.click(ui.batchOpenButton)
        assert opened.app.opened == [qt.QUrl.fromLocalFile(str(tmp_path)).toString()]


def test_a_sequence_offers_all_its_frames(opened):
    scene = slicer.mrmlScene
    sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode", "Series")
    for number in range(2):
        sequence.SetDataNodeAtValue(scene.GetFirstNodeByName("CT"), str(number))
    browser = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", "Browser")
    browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
    proxy = browser.GetProxyNode(sequence)
    proxy.SetName("Frame")
    host.choose(opened.ui.inputSelector, "Frame")
    host.click(opened.ui.allFramesCheckBox)
    assert opened.panel.parameterNode.allFrames


def test_every_section_opens_and_closes(opened):
    sections = [value for name, value in vars(opened.ui).items() if name.endswith("CollapsibleButton")]
    assert len(sections) >= 9
    for section in sections:
        if section.enabled:
            before = section.collapsed
            host.click(section)
            assert section.collapsed is not before
            host.click(section)
            assert section.collapsed is before


def test_the_tab_key_reaches_every_control(opened):
    """Who uses no mouse gets to everything: each control that is not passive takes the focus by the keyboard."""
    import qt

    for element in ElementTree.parse(UI_FILE).getroot().iter("widget"):
        if element.get("class") not in PASSIVE:
            widget = getattr(opened.ui, element.get("name"))
            policy = int(widget.focusPolicy) | int(widget.focusProxy().focusPolicy if widget.focusProxy() else 0)
            if element.get("class") != "ctkDirectoryButton":
                assert policy & int(qt.Qt.TabFocus), element.get("name")


def test_every_control_is_used_by_a_test():
    """By an event of mouse or keyboard: its name stands in a call of the host's in one of the tests."""
    texts = [path.read_text(encoding="utf-8") for path in HERE.glob("test_*.py")]
    used = set()
    for text in texts:
        if "import host" in text:
            used.update(re.findall(r"ui\.(\w+)", "\n".join(re.findall(r"(?:click|choose|type_|tick|press)\(.*", text))))
            used.update(re.findall(r'"(\w+)"', "\n".join(line for line in text.splitlines() if "CheckBox" in line)))
    used |= {"mapEnc1CheckBox", "mapEnc2CheckBox", "mapEnc3CheckBox", "mapEnc4CheckBox"}  # by number, above
    widgets = ElementTree.parse(UI_FILE).getroot().iter("widget")
    controls = {element.get("name"): element.get("class") for element in widgets}
    unused = [name for name, kind in controls.items()
              if kind not in (*PASSIVE, "ctkCollapsibleButton") and name not in used and not name.endswith("Table")]
    assert not unused


def refusal(opened, kind: str, message: str, remedy: str) -> str:
    """The sentence of the panel where the worker refuses to segment."""
    program = (
        "import json,sys\nsay=lambda e,**f: print(json.dumps({'event':e,**f}),flush=True)\nsay('ready',version='0',"
        "protocol=1,pid=1)\nfor line in sys.stdin:\n r=json.loads(line)\n if r['command']=='shutdown': break\n"
        f" say('error',job=r.get('job'),kind={kind!r},message={message!r},remedy={remedy!r})\n")
    before = nodeNames(slicer.mrmlScene)
    opened.panel.parameterNode.models = ["compact-base"]
    opened.logic.stop()
    opened.logic._client._command = [sys.executable, "-c", program]
    host.click(opened.ui.segmentButton)
    opened.app.wait(lambda: opened.logic.busy, False)
    assert nodeNames(slicer.mrmlScene) == before and opened.ui.segmentButton.enabled
    return opened.ui.statusLabel.text


def test_out_of_memory_is_a_sentence_with_a_way_out(opened):
    sentences = "The memory of the GPU does not suffice.", "Choose the CPU under Options."
    assert refusal(opened, "memory", *sentences) == " ".join(sentences)


def test_a_region_beside_the_patient_is_said_in_the_words_of_the_panel(opened):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "around")
    node.SetXYZ(0, 0, 5000)
    node.SetRadiusXYZ(10, 10, 10)
    host.choose(opened.ui.regionSelector, "around")
    text = refusal(opened, "region", "The region R -10 to 10 lies outside.", "Give it in RAS millimetres.")
    assert 'The region "around" lies outside' in text and "Move it around the spleen" in text and "RAS" not in text


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts open files where Linux lists them")
def test_many_runs_leak_no_process_file_or_node(opened, report_line):
    import psutil

    def state():
        opened.app.processEvents()
        folder = Path(slicer.app.temporaryPath)
        return (len(psutil.Process().children(recursive=True)), len(os.listdir("/proc/self/fd")),
                sorted(path.name for path in folder.iterdir()), nodeNames(slicer.mrmlScene))

    def run():
        known = set(nodeNames(slicer.mrmlScene))
        host.click(opened.ui.segmentButton)
        opened.app.wait(lambda: opened.logic.busy, False)
        assert opened.ui.statusLabel.text.startswith("Done in"), opened.ui.statusLabel.text
        scene = slicer.mrmlScene
        for node in [scene.GetNthNode(index) for index in range(scene.GetNumberOfNodes())]:
            if f"{node.GetClassName()} {node.GetID()} {node.GetName()}" not in known and node.GetScene():
                scene.RemoveNode(node)

    opened.panel.parameterNode.models = ["compact-base"]
    run()
    before = state()
    for _number in range(RUNS):
        run()
    after = state()
    report_line(f"{RUNS} runs: processes {before[0]} -> {after[0]}, open files {before[1]} -> {after[1]}")
    assert after[0] == before[0] and after[1] <= before[1] + 2 and after[2:] == before[2:]

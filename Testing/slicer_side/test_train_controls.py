"""Every control of Train's panel: it says what it does, the keyboard reaches it, and some test uses it."""

from __future__ import annotations

import os
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

pytest.importorskip("slicer")
pytest.importorskip("PySide6")

import host
from train_panel_builder import openedTrain

HERE = Path(__file__).resolve().parent
UI_FILE = HERE.parents[1] / "AGUNETRTrain" / "Resources" / "UI" / "AGUNETRTrain.ui"
PASSIVE = {"QLabel", "QProgressBar", "QWidget", "qMRMLWidget", "QPlainTextEdit"}
CONTROLS = {element.get("name"): element for element in ElementTree.parse(UI_FILE).getroot().iter("widget")}


@pytest.fixture
def train(tmp_path, monkeypatch):
    with openedTrain(tmp_path, monkeypatch) as widget:
        yield widget


@pytest.mark.skipif(os.name == "nt", reason="the stand-in is a shell script")
def test_each_has_a_tooltip_and_takes_the_focus(train):
    import qt

    for name, element in CONTROLS.items():
        if element.get("class") in {*PASSIVE, "ctkCollapsibleButton"} - {"QPlainTextEdit"}:
            continue
        widget = getattr(train.ui, name)
        assert widget.toolTip, name
        policy = int(widget.focusPolicy) | int(widget.focusProxy().focusPolicy if widget.focusProxy() else 0)
        assert policy & int(qt.Qt.TabFocus), name


@pytest.mark.skipif(os.name == "nt", reason="the stand-in is a shell script")
def test_every_section_opens_and_closes_and_every_parameter_exists(train):
    sections = [getattr(train.ui, name) for name in CONTROLS if name.endswith("CollapsibleButton")]
    assert len(sections) == 8
    for section in sections:
        before = section.collapsed
        host.click(section)
        assert section.collapsed is not before
        host.click(section)
        assert section.collapsed is before
    for element in CONTROLS.values():
        for entry in element.findall("property"):
            if entry.get("name") == "SlicerParameterName":
                train.panel.parameterNode.dataType(entry.findtext("string"))


def test_every_control_is_used_by_a_test():
    used = set()
    for path in HERE.glob("test_train_*.py"):
        used.update(re.findall(r"ui\.(\w+)", "\n".join(re.findall(
            r"(?:click|choose|type_|tick|press)\(.*", path.read_text(encoding="utf-8")))))
    unused = [name for name, element in CONTROLS.items()
              if element.get("class") not in (*PASSIVE, "ctkCollapsibleButton") and name not in used
              and not name.endswith("Table")]
    assert not unused


def test_what_cannot_be_bound_is_in_no_parameter():
    bound = {entry.findtext("string") for element in CONTROLS.values() for entry in element.findall("property")
             if entry.get("name") == "SlicerParameterName"}
    assert bound == {"device", "atOnce", "researchOnly"}

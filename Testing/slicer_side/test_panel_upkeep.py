"""The panel keeps up with what happens around it: models that go, sections that are shut, packages that are in use."""

from __future__ import annotations

import pytest

pytest.importorskip("slicer")
pytest.importorskip("PySide6")

import host
import slicer
import slicer.util
from test_module_file import addCt, application, panel  # noqa: F401


def test_a_model_that_went_since_it_was_listed_leaves_the_table(panel):  # noqa: F811
    panel.panel.models = [*panel.panel.models, {"name": "gone", "title": "Gone"}]
    panel.tick("gone")
    assert panel.ui.modelsTable.rowCount == 3
    host.click(panel.ui.segmentButton)
    panel.waitUntilIdle()
    assert panel.status() == "There is no model named 'gone'. Choose another."
    assert panel.ui.modelsTable.rowCount == 2 and "gone" in panel.ui.modelsNoteLabel.text
    assert not panel.ui.segmentButton.enabled


@pytest.mark.parametrize("section, label", [("inputs", "inputNoteLabel"), ("results", "resultsTable")])
def test_what_was_hidden_while_its_section_was_shut_stays_hidden(panel, section, label):  # noqa: F811
    widget, button = getattr(panel.ui, label), getattr(panel.ui, f"{section}CollapsibleButton")
    if section == "inputs":
        picture = addCt("picture", value=0)
        slicer.util.updateVolumeFromArray(picture, slicer.util.arrayFromVolume(picture) * 0 + 7)
        panel.parameterNode.inputVolume = picture
    else:
        host.click(panel.ui.segmentButton)
        panel.waitUntilIdle()
    assert widget.visible
    button.collapsed = True
    assert not widget.visible
    if section == "inputs":
        panel.parameterNode.inputVolume = slicer.util.getNode("CT")
    else:
        slicer.mrmlScene.RemoveNode(slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLTableNode"))
        panel.panel.resultsChanged()
    button.collapsed = False
    assert not widget.visible


def test_nothing_is_installed_while_a_run_or_a_batch_computes(panel, monkeypatch):  # noqa: F811
    buttons = (panel.ui.installButton, panel.ui.installFromFolderButton, panel.ui.repairTorchButton)
    assert all(button.enabled for button in buttons)
    batch = panel.panel.sections["batch"]
    for owner in (type(panel.logic), type(batch)):
        with monkeypatch.context() as patch:
            patch.setattr(owner, "running", True)
            panel.panel.sections["setup"].update()
            assert not any(button.enabled for button in buttons)
    panel.panel.update()
    assert all(button.enabled for button in buttons)


def test_reloaded_while_it_is_shown_the_module_lists_its_models_again(panel):  # noqa: F811
    slicer.util.reloadScriptedModule("AGUNETRSegment")
    anew = slicer.modules.AGUNETRSegmentWidget
    assert anew is not panel.widget
    panel.running.wait(lambda: bool(anew.panel.models))
    assert anew.ui.modelsTable.rowCount == 2

"""The panel's results: what is shown of the runs in the scene, and copying, saving and showing by click."""

from __future__ import annotations

import csv
import sys
import types
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("slicer")
pytest.importorskip("PySide6")

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import host
import slicer
import slicer.util
from scene_builder import addVolume, ballMask, orientationMatrix, writeResult

from AGUNETRSegmentLib.nodes import exportVolume, importResult

UPRIGHT = orientationMatrix((0, 1, 2), (-1, -1, 1))
UNDEFINED = "\N{EN DASH}"


@pytest.fixture
def shown(tmp_path, monkeypatch):
    """The open module on a scene with one CT; its worker is never started."""
    with host.application(tmp_path) as app:
        from AGUNETRSegmentLib.segment_panel import SegmentPanel

        monkeypatch.setattr(SegmentPanel, "refreshModelsOnce", lambda self: None)
        widget = app.openModule("AGUNETRSegment")
        ct = addVolume(slicer.mrmlScene, UPRIGHT)
        section = widget.panel.sections["results"]
        yield types.SimpleNamespace(
            app=app, ui=widget.ui, panel=widget.panel, section=section, ct=ct, folder=tmp_path, widget=widget)


def run(shown, volumeNode=None, mask=None, models=("compact-base", "compact-gated")):
    """One run, told to the panel as the run's section does."""
    folder = shown.folder / f"run {len(list(shown.folder.iterdir()))}"
    folder.mkdir()
    job = exportVolume(volumeNode or shown.ct, folder)
    result = writeResult(folder / "result", job, ballMask() if mask is None else mask, models=models)
    imported = importResult(slicer.mrmlScene, result, folder / "result", job)
    shown.panel.resultsChanged(imported, result)
    return imported


def runs(shown):
    combo = shown.ui.resultRunComboBox
    return [combo.itemText(index) for index in range(combo.count)]


def table(shown):
    widget = shown.ui.resultsTable
    header = [widget.horizontalHeaderItem(column).text() for column in range(widget.columnCount)]
    rows = [[widget.item(row, column).text() for column in range(widget.columnCount)] for row in range(widget.rowCount)]
    return [header, *rows]


def test_without_results_the_section_says_so_and_offers_nothing(shown):
    assert runs(shown) == [] and shown.ui.resultsNotesLabel.text == "No results yet."
    assert not shown.ui.resultsCollapsibleButton.enabled and not shown.ui.resultsTable.visible
    for button in (shown.ui.copyResultsButton, shown.ui.saveResultsButton, shown.ui.showRunButton):
        assert not button.enabled


def test_a_run_is_a_row_a_model(shown):
    run(shown)
    header, base, gated = table(shown)
    assert header == ["Model", "Volume\nml", "Longest\nmm", "Mean\nHU", "Dice\nother"]
    assert base == ["compact-base", "123.5", "98.7", "110.2", "0.875"]
    assert gated == ["compact-gated", "124.5", "98.7", "110.2", "0.875"]
    assert shown.ui.resultsTable.visible and not shown.ui.resultsNotesLabel.visible
    assert "millilitres" in shown.ui.resultsTable.item(0, 1).toolTip()


def test_earlier_runs_stay_and_can_be_chosen(shown):
    run(shown, models=("compact-base",))
    run(shown)
    assert len(runs(shown)) == 2 and len(table(shown)) == 3
    host.choose(shown.ui.resultRunComboBox, runs(shown)[1])
    assert len(table(shown)) == 2 and shown.section.shown.models() == ["compact-base"]
    run(shown, mask=np.zeros_like(ballMask()))  # a new run is what the user waited for
    assert len(runs(shown)) == 3 and shown.ui.resultRunComboBox.currentIndex == 0
    assert table(shown)[1][3] == UNDEFINED and shown.ui.resultsNotesLabel.text == "No spleen was found."


def test_show_makes_the_chosen_run_visible_and_hides_the_others(shown):
    first, second = run(shown, addVolume(slicer.mrmlScene, UPRIGHT, name="other CT")), run(shown)
    host.choose(shown.ui.resultRunComboBox, runs(shown)[1])
    host.click(shown.ui.showRunButton)
    assert all(node.GetDisplayVisibility() for node in first.segmentations.values())
    assert not any(node.GetDisplayVisibility() for node in second.segmentations.values())


def backgrounds():
    nodes = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    return {node.GetBackgroundVolumeID() for node in nodes if node.GetLayoutName() in ("Red", "Green", "Yellow")}


def test_a_run_of_a_ct_that_no_view_shows_brings_the_ct(shown):
    run(shown)
    assert backgrounds() == {shown.ct.GetID()}
    other = addVolume(slicer.mrmlScene, UPRIGHT, name="other CT")
    run(shown, other)
    assert backgrounds() == {other.GetID()}
    composite = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceCompositeNodeRed")
    composite.SetBackgroundVolumeID(shown.ct.GetID())  # now each CT is in a view of its own
    host.click(shown.ui.showRunButton)
    assert backgrounds() == {shown.ct.GetID(), other.GetID()}


def test_show_leaves_a_comparison_of_another_run(shown):
    run(shown)
    second = run(shown)
    host.click(shown.ui.compareButton)
    host.click(shown.ui.showRunButton)
    assert shown.ui.compareButton.checked, "it is this run that is compared"
    run(shown, models=("compact-base",))
    host.click(shown.ui.showRunButton)
    assert not shown.ui.compareButton.checked
    assert not any(node.GetDisplayVisibility() for node in second.segmentations.values())


def test_the_first_result_of_a_ct_moves_the_slices_later_ones_do_not(shown):
    sliceNode = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSliceNode", "Test")
    sliceNode.SetOrientationToAxial()
    before = sliceNode.GetSliceToRAS().GetElement(2, 3)
    run(shown)
    assert sliceNode.GetSliceToRAS().GetElement(2, 3) == before, "one view a turn of the event loop"
    shown.app.wait(lambda: sliceNode.GetSliceToRAS().GetElement(2, 3) != before)
    organ = sliceNode.GetSliceToRAS().GetElement(2, 3)
    sliceNode.JumpSlice(0, 0, 0)
    run(shown)
    assert sliceNode.GetSliceToRAS().GetElement(2, 3) != pytest.approx(organ)


def test_copy_puts_a_table_for_spreadsheets_on_the_clipboard(shown):
    run(shown)
    host.click(shown.ui.copyResultsButton)
    lines = [line.split("\t") for line in slicer.app.clipboard().text().splitlines()]
    assert lines[0][:4] == ["CT", "Run", "Model", "Volume (ml)"] and len(lines) == 3
    assert lines[2][2:4] == ["compact-gated", "124.5"] and "clipboard" in shown.ui.statusLabel.text


def test_save_writes_a_csv_and_remembers_the_folder(shown):
    run(shown)
    folder = shown.folder / "Ergebnisse für 患者"
    folder.mkdir()
    host.answer(str(folder / "spleens"))  # the user left the suffix out
    host.click(shown.ui.saveResultsButton)
    with open(folder / "spleens.csv", encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[1][2:4] == ["compact-base", "123.5"] and str(folder) in shown.ui.statusLabel.text
    host.answer("")  # the next dialog starts there, and the user gives up
    host.click(shown.ui.saveResultsButton)
    assert str(folder) in shown.app.dialogs[-1][1] and len(list(folder.iterdir())) == 1


@pytest.mark.parametrize("answer", ["Yes", "No"])
def test_a_file_that_the_added_suffix_hits_is_asked_about(shown, answer):
    run(shown)
    there = shown.folder / "there.csv"
    there.write_text("mine")
    host.answer(str(shown.folder / "there"), answer)
    host.click(shown.ui.saveResultsButton)
    assert (there.read_text(encoding="utf-8-sig") == "mine") == (answer == "No")


def test_a_folder_that_cannot_be_written_to_is_a_sentence(shown):
    run(shown)
    host.answer(str(shown.folder / "missing" / "spleens.csv"))
    host.click(shown.ui.saveResultsButton)
    assert "cannot be written" in shown.ui.statusLabel.text and "Choose a folder" in shown.ui.statusLabel.text


def test_deleting_nodes_is_followed(shown):
    first, second = run(shown), run(shown)
    slicer.mrmlScene.RemoveNode(second.table)
    assert "table of this run was deleted" in shown.ui.resultsNotesLabel.text and not shown.ui.resultsTable.visible
    assert shown.ui.showRunButton.enabled and not shown.ui.copyResultsButton.enabled
    for node in second.nodes()[:-1]:
        slicer.mrmlScene.RemoveNode(node)
    assert len(runs(shown)) == 1 and shown.section.shown.run == first.run and shown.ui.copyResultsButton.enabled
    slicer.mrmlScene.RemoveNode(shown.ct)
    assert "(deleted)" in runs(shown)[0] and len(table(shown)) == 3


def test_a_table_that_changes_is_shown_anew(shown):
    imported = run(shown)  # as a sequence does when another frame is shown
    imported.table.GetTable().GetColumnByName("Volume").SetValue(0, 77.04)
    imported.table.Modified()
    assert table(shown)[1][1] == "77.0"


def test_the_chosen_run_is_shown_again_in_a_scene_that_was_saved(shown):
    first = run(shown, models=("compact-base",))
    run(shown)
    host.choose(shown.ui.resultRunComboBox, runs(shown)[1])
    slicer.mrmlScene.SetSaveToXMLString(1)
    slicer.mrmlScene.Commit()
    text = slicer.mrmlScene.GetSceneXMLString()
    assert f"AGUNETR.shownRun:{first.run}" in text.replace("%3A", ":")
    shown.app.leaveModule()
    shown.app.openModule("AGUNETRSegment")
    assert shown.section.shown.run == first.run
    shown.app.leaveModule()
    newest = run(shown)  # ends while another module is shown
    shown.app.openModule("AGUNETRSegment")
    assert shown.section.shown.run == newest.run


def test_closing_the_scene_empties_the_section(shown):
    run(shown)
    slicer.mrmlScene.Clear()
    assert runs(shown) == [] and not shown.ui.resultsCollapsibleButton.enabled


def test_a_module_that_is_left_finds_the_results_again_when_it_is_entered(shown):
    shown.app.leaveModule()
    run(shown)
    assert runs(shown) == []
    shown.app.openModule("AGUNETRSegment")
    assert len(runs(shown)) == 1 and len(table(shown)) == 3

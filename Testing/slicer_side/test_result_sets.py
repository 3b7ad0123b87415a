"""Which results are in a scene: found by attributes, also after saving and opening, deleting, cloning and repeating."""

from __future__ import annotations

import math
import zipfile

import numpy as np
import pytest

pytest.importorskip("slicer")

from bare_slicer import newScene
from scene_builder import addVolume, ballMask, orientationMatrix, writeResult

from AGUNETRSegmentLib.nodes import exportVolume, importResult
from AGUNETRSegmentLib.result_display import jumpToOrgan, organCentre, showOnly
from AGUNETRSegmentLib.result_sets import RUN, newRun, resultSets, runTime
from AGUNETRSegmentLib.result_texts import (
    UNDEFINED,
    asCsv,
    asTabSeparated,
    exportedRows,
    runTitle,
    shownColumns,
    warningTexts,
)
from AGUNETRSegmentLib.terminology import SPLEEN_COLOUR

UPRIGHT = orientationMatrix((0, 1, 2), (-1, -1, 1))
SCORES = {
    "dice": 0.91234, "hausdorff95_mm": 4.04, "surface_dice": 0.95, "volume_ml": 123.5, "reference_volume_ml": 130.25,
    "volume_error_ml": -6.75, "relative_volume_error": -0.0518,
}  # fmt: skip


def ct(scene, name="CT", matrix=UPRIGHT):
    return addVolume(scene, matrix, name=name)


def run(tmp_path, scene, volumeNode, mask=None, models=("compact-base", "compact-gated"), scores=None, **options):
    """One run's results in the scene."""
    folder = tmp_path / f"run {len(list(tmp_path.iterdir()))}"
    folder.mkdir()
    job = exportVolume(volumeNode, folder)
    result = writeResult(folder / "result", job, ballMask() if mask is None else mask, models=models)
    for entry in result["models"] if scores else ():
        entry["reference"] = scores
    return importResult(scene, result, folder / "result", job, **options)


def reopened(scene, tmp_path):
    """The scene as it is after saving and opening it."""
    path = tmp_path / "saved.mrb"
    scene.SetRootDirectory(str(tmp_path))
    assert scene.WriteToMRB(str(path), None)
    with zipfile.ZipFile(path) as bundle:
        bundle.extractall(tmp_path / "saved")
    again = newScene()
    again.SetURL(str(next((tmp_path / "saved").rglob("*.mrml"))))
    assert again.Connect()
    return again


def test_a_run_is_found_with_all_that_belongs_to_it(tmp_path):
    scene = newScene()
    volumeNode = ct(scene)
    imported = run(tmp_path, scene, volumeNode)
    (found,) = resultSets(scene)
    assert found.run == imported.run and found.volumeNode is volumeNode
    assert found.segmentations == imported.segmentations and found.attention == imported.attention
    assert found.table is imported.table and found.models() == ["compact-base", "compact-gated"]
    assert found.gates("compact-gated") == ["enc1", "enc2"] and found.gates("compact-base") == []
    assert len({node.GetName() for node in found.nodes()}) == 5
    assert all("CT" in node.GetName() for node in found.nodes())


def test_several_runs_over_one_ct_stay_and_the_newest_comes_first(tmp_path):
    scene = newScene()
    volumeNode = ct(scene)
    runs = [run(tmp_path, scene, volumeNode).run for _time in range(3)]
    found = resultSets(scene)
    assert [each.run for each in found] == sorted(runs, reverse=True) == runs[::-1]
    assert all(each.volumeNode is volumeNode for each in found)
    names = [node.GetName() for each in found for node in each.nodes()]
    assert len(set(names)) == len(names) == 15


def test_a_scene_that_was_saved_and_opened_has_the_same_results(tmp_path):
    scene = newScene()
    volumeNode = ct(scene, "Müller 脾")
    run(tmp_path, scene, volumeNode, np.zeros_like(ballMask()), scores=SCORES, referenceName="Truth")
    run(tmp_path, scene, volumeNode)
    before = resultSets(scene)
    texts = [(runTitle(each), shownColumns(each.table), exportedRows(each), warningTexts(each.table))
             for each in before]  # fmt: skip
    after = resultSets(reopened(scene, tmp_path))
    assert [each.run for each in after] == [each.run for each in before]
    for old, new in zip(before, after, strict=True):
        assert list(new.segmentations) == list(old.segmentations) and list(new.attention) == list(old.attention)
        assert new.volumeNode.GetName() == "Müller 脾" and new.referenceName == old.referenceName
    assert texts == [(runTitle(each), shownColumns(each.table), exportedRows(each), warningTexts(each.table))
                     for each in after]  # fmt: skip


def test_results_of_a_deleted_ct_are_still_there_under_its_name(tmp_path):
    scene = newScene()
    volumeNode = ct(scene, "Abdomen")
    run(tmp_path, scene, volumeNode)
    scene.RemoveNode(volumeNode)
    (found,) = resultSets(scene)
    assert found.volumeNode is None and found.volumeName == "Abdomen" and len(found.segmentations) == 2
    assert " Abdomen (deleted): compact-base" in runTitle(found) and exportedRows(found)[1][0] == "Abdomen"


def test_what_the_user_deleted_is_missing_and_the_rest_stays(tmp_path):
    scene = newScene()
    imported = run(tmp_path, scene, ct(scene))
    scene.RemoveNode(imported.table)
    scene.RemoveNode(imported.segmentations["compact-base"])
    (found,) = resultSets(scene)
    assert found.table is None and list(found.segmentations) == ["compact-gated"]
    for node in found.nodes():
        scene.RemoveNode(node)
    assert resultSets(scene) == []


def test_a_clone_does_not_take_the_place_of_its_original(tmp_path):
    scene = newScene()
    imported = run(tmp_path, scene, ct(scene))
    original = imported.segmentations["compact-base"]
    clone = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "clone")
    clone.Copy(original)
    assert clone.GetAttribute(RUN) == imported.run
    assert resultSets(scene)[0].segmentations["compact-base"] is original


def test_ids_rise_even_where_the_clock_does_not(tmp_path):
    scene = newScene()
    table = run(tmp_path, scene, ct(scene)).table
    table.SetAttribute(RUN, "29991231T235959.999999Z")
    assert newRun(scene) == "30000101T000000.000000Z"
    table.SetAttribute(RUN, "what somebody typed")
    assert runTime(newRun(scene)) is not None and runTime("what somebody typed") is None
    assert runTitle(next(each for each in resultSets(scene) if each.table is table))


def test_numbers_are_rounded_for_the_panel_and_exact_for_files(tmp_path):
    scene = newScene()
    run(tmp_path, scene, ct(scene), scores=SCORES, referenceName="Truth")
    (found,) = resultSets(scene)
    shown = {column.header.replace("\n", " "): column.cells for column in shownColumns(found.table)}
    assert shown == {
        "Model": ["compact-base", "compact-gated"], "Volume ml": ["123.5", "124.5"], "Longest mm": ["98.7", "98.7"],
        "Mean HU": ["110.2", "110.2"], "Dice other": ["0.875", "0.875"], "Dice reference": ["0.912", "0.912"],
        "HD95 mm": ["4.0", "4.0"], "Surface Dice": ["0.950", "0.950"],
    }  # fmt: skip
    header, first, _second = exportedRows(found)
    row = dict(zip(header, first, strict=True))
    assert row["CT"] == "CT" and row["Volume (ml)"] == "123.5" and row["Dice with reference"] == "0.91234"
    assert row["Volume of reference (ml)"] == "130.25" and row["Checksum"] == "0" * 64
    assert found.referenceName == "Truth"


def test_three_models_are_each_compared_with_each(tmp_path):
    scene = newScene()
    volumeNode = ct(scene)
    job = exportVolume(volumeNode, tmp_path)
    models = ("one", "two", "three")
    result = writeResult(tmp_path / "result", job, ballMask(), models=models)
    result["agreement"] = [
        {"first": "one", "second": "two", "dice": 0.12}, {"first": "one", "second": "three", "dice": 0.13},
        {"first": "two", "second": "three", "dice": None},
    ]  # fmt: skip
    importResult(scene, result, tmp_path / "result", job)
    shown = {column.header: column.cells for column in shownColumns(resultSets(scene)[0].table)}
    assert shown["Dice\ntwo"] == ["0.120", UNDEFINED, UNDEFINED]
    assert shown["Dice\none"] == [UNDEFINED, "0.120", "0.130"] and "Dice\nother" not in shown


def test_what_is_undefined_is_never_a_number(tmp_path):
    scene = newScene()
    scores = {**SCORES, "hausdorff95_mm": None, "surface_dice": None, "dice": 0.0}
    run(tmp_path, scene, ct(scene), np.zeros_like(ballMask()), models=("compact-base",), scores=scores)
    (found,) = resultSets(scene)
    shown = {column.header: column.cells[0] for column in shownColumns(found.table)}
    assert shown["Mean\nHU"] == shown["HD95\nmm"] == shown["Surface\nDice"] == UNDEFINED
    assert shown["Dice\nreference"] == "0.000"
    assert math.isnan(found.table.GetTable().GetColumnByName("Reference HD95").GetValue(0))
    row = dict(zip(*exportedRows(found), strict=True))
    assert row["HD95 to reference (mm)"] == row["Mean density (HU)"] == ""
    assert warningTexts(found.table) == ["No spleen was found."]


def test_cells_with_separators_survive(tmp_path):
    scene = newScene()
    imported = run(tmp_path, scene, ct(scene, 'a "b", c\td'))
    imported.table.GetTable().GetColumnByName("Warnings").SetValue(0, "one,\ntwo")
    rows = exportedRows(resultSets(scene)[0])
    assert asTabSeparated(rows).splitlines()[1].split("\t")[0] == 'a "b", c d'
    assert '"a ""b"", c\td"' in asCsv(rows) and '"one,\ntwo"' in asCsv(rows)
    assert warningTexts(imported.table) == ["compact-base: one,\ntwo"]


def test_models_of_one_run_differ_in_colour(tmp_path):
    scene = newScene()
    imported = run(tmp_path, scene, ct(scene))
    colours = [node.GetSegmentation().GetSegment("spleen").GetColor() for node in imported.segmentations.values()]
    assert colours[0] == pytest.approx(SPLEEN_COLOUR) and math.dist(*colours) > 0.3


def test_showing_one_run_hides_the_others_and_nothing_else(tmp_path):
    scene = newScene()
    volumeNode = ct(scene)
    first, second = (run(tmp_path, scene, volumeNode) for _time in range(2))
    own = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "drawn by hand")
    own.CreateDefaultDisplayNodes()
    showOnly(scene, resultSets(scene)[1])
    assert all(node.GetDisplayVisibility() for node in first.segmentations.values())
    assert not any(node.GetDisplayVisibility() for node in second.segmentations.values())
    assert own.GetDisplayVisibility()


def test_the_slices_go_to_the_first_organ_that_was_found(tmp_path):
    scene = newScene()
    volumeNode = ct(scene)
    empty = run(tmp_path, scene, volumeNode, np.zeros_like(ballMask()))
    full = run(tmp_path, scene, volumeNode)
    sliceNode = scene.AddNewNodeByClass("vtkMRMLSliceNode", "Red")
    sliceNode.SetOrientationToAxial()
    centre = organCentre(full.segmentations["compact-base"])
    assert organCentre(empty.segmentations["compact-base"]) is None
    assert not jumpToOrgan(scene, empty.segmentations.values())
    assert jumpToOrgan(scene, [*empty.segmentations.values(), *full.segmentations.values()])
    assert sliceNode.GetSliceToRAS().GetElement(2, 3) == pytest.approx(centre[2])
    full.segmentations["compact-base"].GetSegmentation().RemoveSegment("spleen")
    assert organCentre(full.segmentations["compact-base"]) is None

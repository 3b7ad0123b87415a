"""AGUNETR Train by clicking, with a stand-in for the engine's commands."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

pytest.importorskip("slicer")
pytest.importorskip("PySide6")

import host
import slicer
import slicer.util
from fake_training import CASES_CSV
from train_panel_builder import cells, chooseTraining, openedTrain

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-in is a shell script")


@pytest.fixture
def train(tmp_path, monkeypatch):
    with openedTrain(tmp_path, monkeypatch) as widget:
        yield widget


def trainAll(train) -> Path:
    """A whole run, as the panel shows it afterwards."""
    run = chooseTraining(train, "all")
    host.click(train.ui.startButton)
    train.app.wait(lambda: train.panel.training.running, False)
    train.app.wait(lambda: train.panel.record is not None and train.panel.record.report)
    return run


def states(train) -> list[str]:
    return [row[1] for row in cells(train.ui.jobsTable)]


def test_the_first_thing_that_is_missing_is_said(train):
    ui = train.ui
    assert ui.experimentComboBox.currentText == "smoke" and ui.startButton.enabled
    assert ui.runFolderPathLineEdit.currentPath == str(train.folder / "documents" / "AGUNETR runs" / "smoke")
    assert "phantoms" in ui.dataNoteLabel.text and ui.planLabel.text.startswith("Trains base, v1, v2. Jobs: 12")
    host.choose(ui.experimentComboBox, "compact-real")
    assert not ui.startButton.enabled and "labelled cases" in ui.startButton.toolTip
    assert ui.runFolderPathLineEdit.currentPath.endswith("compact-real"), "the suggestion follows the experiment"
    host.type_(ui.dataFolderPathLineEdit, str(train.folder / "gone"))
    assert "There is no folder" in ui.startButton.toolTip and not ui.checkDataButton.enabled
    host.type_(ui.dataFolderPathLineEdit, "")
    assert "labelled cases" in ui.startButton.toolTip, "an emptied field is no folder, not the former one"
    (train.folder / "full").mkdir()
    (train.folder / "full" / "letter.txt").touch()
    host.type_(ui.dataFolderPathLineEdit, str(train.folder))
    host.type_(ui.runFolderPathLineEdit, str(train.folder / "full"))
    assert "is no run and not empty" in ui.startButton.toolTip
    host.type_(ui.runFolderPathLineEdit, str(train.folder / "full" / "letter.txt" / "x"))
    assert "is a file" in ui.startButton.toolTip
    host.type_(ui.runFolderPathLineEdit, "")
    assert "Choose a folder for the run" in ui.startButton.toolTip


def test_a_run_from_start_to_report(train):
    ui, run = train.ui, trainAll(train)
    assert cells(ui.jobsTable) == [
        [job, "Finished", "2 of 2", "0.7500", "0.2500", "0.2500", "0.6250"] for job in ("base", "gated")]
    assert ui.statusLabel.text == "The training is finished." and not ui.progressBar.visible
    assert ui.startButton.text == "Go on" and ui.startButton.enabled
    assert "patients: 2" in ui.dataReportText.plainText
    assert cells(ui.casesTable) == [
        ["c2", "0.7500", "0.7500", "+0.0000"],
        ["c10", "0.5000", "0.6250", "+0.1250"],
        ["Mean", "0.6250", "0.6875", "+0.0625"],
        ["Standard deviation", "0.1768", "0.0884", ""],
        ["Median", "0.6250", "0.6875", "+0.0625"],
    ]
    assert ui.summaryLabel.text == (
        "gated minus base: +0.0625 on average over 2 cases; 95 % interval +0.0000 to +0.1250; "
        "Wilcoxon p = 0.5 (2 patients).")
    host.choose(ui.measureComboBox, "95 % Hausdorff distance (mm)")
    assert cells(ui.casesTable)[:2] == [["c2", "8.00", "", ""], ["c10", "12.50", "10.50", "-2.00"]]
    host.click(ui.openReportButton)
    host.click(ui.openRunFolderButton)
    assert train.app.opened == [f"file://{run}/report/index.html", f"file://{run}"]


def test_stop_keeps_what_there_is_and_go_on_goes_on(train):
    ui = train.ui
    chooseTraining(train, "until stopped")
    host.click(ui.startButton)
    train.app.wait(lambda: states(train) == ["Training", "Not begun"])
    train.app.wait(lambda: cells(ui.jobsTable)[0][2], "1 of 2")
    train.app.wait(lambda: "base, epoch 2 of 2; about 12 s left" in ui.statusLabel.text)
    assert ui.progressBar.value == 250 and ui.startButton.text == "Stop"
    assert not ui.runFolderPathLineEdit.enabled and not ui.experimentComboBox.enabled
    host.click(ui.startButton)
    train.app.wait(lambda: train.panel.training.running, False)
    train.app.wait(lambda: states(train), ["Begun", "Not begun"])
    assert ui.statusLabel.text == "Stopped; Go on continues from the last checkpoint."
    (train.folder / "all").mkdir()
    host.type_(ui.dataFolderPathLineEdit, str(train.folder / "all"))
    assert ui.startButton.text == "Go on"
    host.click(ui.startButton)
    train.app.wait(lambda: states(train), ["Finished", "Finished"])


def test_a_second_press_ends_a_child_that_does_not_listen(train):
    chooseTraining(train, "deaf")
    host.click(train.ui.startButton)
    train.app.wait(lambda: states(train)[:1], ["Training"])
    host.click(train.ui.startButton)
    assert train.ui.startButton.text == "Stop now" and train.ui.statusLabel.text.startswith("Stopping")
    host.click(train.ui.startButton)
    train.app.wait(lambda: train.panel.training.running, False)
    assert train.ui.statusLabel.text.startswith("Stopped")


def test_a_failure_is_one_sentence(train):
    chooseTraining(train, "refused")
    host.click(train.ui.startButton)
    train.app.wait(lambda: train.panel.training.running, False)
    assert train.ui.statusLabel.text == "The case c2 has no mask. Remove it." and train.ui.startButton.enabled


def test_a_failed_job_says_why(train):
    chooseTraining(train, "fails")
    host.click(train.ui.startButton)
    train.app.wait(lambda: train.panel.training.running, False)
    train.app.wait(lambda: states(train), ["Failed", "Finished"])
    assert train.ui.jobsTable.item(0, 1).toolTip() == "The machine ran out of memory. Close programs."
    assert train.ui.statusLabel.text.startswith("Failed jobs: 1;")


def test_another_module_and_a_closed_scene_leave_the_training_alone(train):
    run = chooseTraining(train, "until stopped")
    host.click(train.ui.startButton)
    train.app.wait(lambda: states(train)[:1], ["Training"])
    train.app.leaveModule()
    slicer.mrmlScene.Clear(0)
    assert train.panel.training.running
    train.app.openModule("AGUNETRTrain")
    assert train.ui.runFolderPathLineEdit.currentPath == str(run) and train.ui.startButton.text == "Stop"
    train.cleanup()
    assert not train.panel.training.running


def test_a_run_of_another_computer_is_opened(train, tmp_path):
    run = trainAll(train)
    copy = run.rename(tmp_path / "copied")
    host.choose(train.ui.experimentComboBox, "smoke")
    host.type_(train.ui.runFolderPathLineEdit, str(copy))
    train.app.wait(lambda: states(train), ["Finished", "Finished"])
    assert train.panel.experiment.name == "made-up"
    assert train.ui.statusLabel.text == "2 of 2 jobs are finished." and train.ui.casesTable.rowCount == 5


def test_a_run_that_goes_on_elsewhere_is_followed(train):
    run = trainAll(train)
    (run / "gated" / "finished.json").unlink()
    (run / "gated" / "job.lock").write_text("")
    train.panel.watchRun()
    train.app.wait(lambda: states(train), ["Finished", "At work in another process"])
    os.utime(run / "gated" / "job.lock", (0, 0))
    train.panel.watchRun()
    train.app.wait(lambda: states(train), ["Finished", "Begun"])


def test_the_data_are_checked(train):
    ui = train.ui
    chooseTraining(train, "broken")
    host.click(ui.checkDataButton)
    assert ui.checkDataButton.text == "Stop checking"
    train.app.wait(lambda: ui.checkDataButton.text, "Check")
    assert "FAULT: c2: the mask is empty." in ui.dataReportText.plainText
    (train.folder / "empty").mkdir()
    host.type_(ui.dataFolderPathLineEdit, str(train.folder / "empty"))
    host.click(ui.checkDataButton)
    train.app.wait(lambda: ui.checkDataButton.text, "Check")
    assert ui.dataReportText.plainText == "There are no labelled cases. Choose another folder."


def test_every_value_of_the_experiment_is_shown(train):
    chooseTraining(train, "all")
    shown = []
    host.answer(lambda dialog: shown.append(slicer.util.findChildren(dialog, "textDialogEdit")[0].toPlainText()))
    host.click(train.ui.showExperimentButton)
    train.app.wait(lambda: len(shown), 1)
    assert train.app.dialogs[-1][0] == "Every value of made-up" and json.loads(shown[0])["spacing_mm"] == 3.0


def test_the_command_and_the_table_are_copied_and_saved(train, tmp_path):
    ui, run = train.ui, trainAll(train)
    host.click(ui.copyCommandButton)
    assert slicer.app.clipboard().text().endswith(f"--run {run} --data {train.folder / 'all'} --device auto")
    host.choose(ui.deviceComboBox, "Processor (CPU)")
    host.type_(ui.atOnceSpinBox, "2")
    assert ui.commandText.plainText.endswith("--device cpu --at-once 2")
    host.click(ui.copyCasesButton)
    assert slicer.app.clipboard().text().startswith("Case\tbase\tgated\tgated minus base\nc2\t0.7500")
    host.answer(str(tmp_path / "table"))
    host.click(ui.saveCasesButton)
    assert (tmp_path / "table.csv").read_text(encoding="utf-8-sig").splitlines()[2] == "c10,0.5000,0.6250,+0.1250"
    host.answer(str(tmp_path / "log.txt"))
    host.click(ui.saveLogButton)
    assert "gated: finished." in (tmp_path / "log.txt").read_text(encoding="utf-8")


def test_the_report_is_made_again_and_a_damaged_one_is_told(train):
    ui, run = train.ui, trainAll(train)
    (run / "report" / "cases.csv").write_text(CASES_CSV.replace("0.625,10.5", "0.9,10.5"), encoding="utf-8")
    train.panel.sections["results"].recordChanged()
    assert cells(ui.casesTable)[1][2] == "0.9000"
    (run / "report" / "summary.csv").unlink()
    train.panel.sections["results"].recordChanged()
    assert "cannot be read" in ui.statusLabel.text and not ui.copyCasesButton.enabled
    host.click(ui.makeReportButton)
    train.app.wait(lambda: ui.resultsStatusLabel.text, "The report is made.")
    assert cells(ui.casesTable)[1][2] == "0.6250"


def test_the_licence_of_the_data_is_a_sentence_and_then_the_model_is_handed_over(train):
    ui = train.ui
    for name in ("AGUNETRSegment", "AGUNETRTrain"):  # the application has loaded both
        train.app.openModule(name)
    assert not ui.exportButton.enabled and ui.exportButton.toolTip == "No job is finished yet."
    trainAll(train)
    host.choose(ui.modelJobComboBox, "base")
    assert ui.modelNameLineEdit.text == "made-up-base"
    host.type_(ui.modelNameLineEdit, "a/b")
    assert not ui.exportButton.enabled and "name of letters" in ui.exportButton.toolTip
    host.type_(ui.modelNameLineEdit, "mine")
    host.click(ui.exportButton)
    train.app.wait(lambda: "evaluation only" in ui.modelStatusLabel.text)
    host.click(ui.researchOnlyCheckBox)
    host.click(ui.exportButton)
    train.app.wait(lambda: "lists it" in ui.modelStatusLabel.text)
    segment = slicer.util.getModuleWidget("AGUNETRSegment")
    assert segment.parent.isEntered and "mine" in list(segment.panel.parameterNode.models)
    train.app.wait(lambda: segment.logic.busy, False)


def test_a_file_that_is_no_experiment_changes_nothing(train, tmp_path):
    wrong = tmp_path / "wrong.json"
    wrong.write_text("[]")
    host.answer(str(wrong))
    host.click(train.ui.experimentFileButton)
    assert "is no experiment" in train.ui.statusLabel.text
    assert train.ui.experimentComboBox.currentText == "smoke" and train.ui.startButton.enabled


def test_the_logic_works_from_a_script(train):
    from AGUNETRSegmentLib.errors import SegmentationError

    for behaviour in ("all", "refused"):
        (train.folder / behaviour).mkdir()
    run = train.logic.train("made-up.json", train.folder / "scripted", train.folder / "all")
    assert [(job.plan.name, job.testDice) for job in run.jobs] == [("base", 0.625), ("gated", 0.625)] and run.report
    with pytest.raises(SegmentationError, match="c2 has no mask"):
        train.logic.train("made-up.json", train.folder / "other", train.folder / "refused")

"""What the panel of Train reads: experiment files, the folder of a run, the tables of a report."""

from __future__ import annotations

import json
import os

import pytest

pytest.importorskip("slicer")

from fake_training import CASES_CSV, EXPERIMENT, append, begin, epoch, finish, write_report

from AGUNETRSegmentLib.errors import SegmentationError
from AGUNETRTrainLib.experiments import listExperiments, planText, readExperiment
from AGUNETRTrainLib.job_states import JobState, runText, secondsLeft, shareDone, stateOf
from AGUNETRTrainLib.report_scores import MEASURES, ReportScores, readScores
from AGUNETRTrainLib.run_reading import RunReader


@pytest.fixture
def run(tmp_path, capsys):
    (tmp_path / "experiment.json").write_text(json.dumps(EXPERIMENT), encoding="utf-8")
    return tmp_path


def test_jobs_are_named_as_the_engine_names_them(project_root):
    from agunetr_train.experiments.jobs import jobs_of
    from agunetr_train.experiments.reading import load_experiment, shipped_experiments

    found = listExperiments(project_root / "AGUNETRTrain" / "Resources" / "Experiments")
    assert list(found) == list(shipped_experiments())
    for name, summary in found.items():
        experiment = load_experiment(name)
        assert [(job.name, job.stage, job.variant, job.fold, job.seed, job.epochs) for job in summary.jobs] == [
            (job.name, job.stage.name, job.stage.variant, job.fold + 1, job.seed, job.stage.epochs)
            for job in jobs_of(experiment)]
        assert summary.compared == experiment.compared and summary.dataSource == experiment.data.source
        assert planText(summary).count(str(len(summary.jobs)))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"name": "x", "stages": [1]}', '{"name": "x", "stages": null}'])
def test_a_file_that_is_no_experiment_is_one_sentence(tmp_path, text, caplog):
    path = tmp_path / "wrong.json"
    path.write_text(text)
    with pytest.raises(SegmentationError, match="is no experiment"):
        readExperiment(path)
    assert listExperiments(tmp_path) == {} and "wrong.json" in caplog.text
    with pytest.raises(SegmentationError, match="cannot be read"):
        readExperiment(tmp_path / "gone.json")


def test_only_what_is_new_is_read_and_half_a_line_waits(run):
    reader = RunReader(run)
    assert [job.losses for job in reader.read().jobs] == [(), ()]
    begin(run, "base")
    epoch(run, "base", 1)
    metrics = run / "base" / "metrics.jsonl"
    with metrics.open("a") as file:
        file.write('{"epoch": 2, "lo')
    job = reader.read().jobs[0]
    assert job.losses == ((1, 1.5),) and job.validations == ((1, 0.25),) and job.epochSeconds == 4.0
    with metrics.open("a") as file:
        file.write('ss": 0.5}\nnot a row\n{"epoch": 3, "loss": "x"}\n')
    assert reader.read().jobs[0].losses == ((1, 1.5), (2, 0.5))
    assert reader.read() == RunReader(run).read(), "read at once it is the same"
    metrics.write_text("")
    assert reader.read().jobs[0].losses == (), "it was begun anew"


def test_scores_of_earlier_weights_do_not_count(run):
    begin(run, "base")
    finish(run, "base")
    reader = RunReader(run)
    assert reader.read().jobs[0].testDice == 0.625 and reader.read().jobs[0].scored == 2
    (run / "base" / "model.json").write_text('{"weights": "new"}')
    assert reader.read().jobs[0].testDice is None


def test_the_state_of_a_job(run):
    begin(run, "base")
    assert stateOf(RunReader(run).read().jobs[0], False, None) is JobState.WAITING
    epoch(run, "base", 1)
    job = RunReader(run).read().jobs[0]
    assert [stateOf(job, *told) for told in ((False, None), (True, None), (False, "no"))] == [
        JobState.BEGUN, JobState.RUNNING, JobState.FAILED]
    (run / "base" / "job.lock").touch()
    assert stateOf(RunReader(run).read().jobs[0], False, None) is JobState.ELSEWHERE
    os.utime(run / "base" / "job.lock", (0, 0))
    (run / "base" / "finished.json").write_text('{"stopped_early": true}')
    job = RunReader(run).read().jobs[0]
    assert stateOf(job, False, None) is JobState.EARLY and stateOf(job, True, None) is JobState.SCORING
    assert len({state.label() for state in JobState}) == len(JobState)


def test_how_much_is_left(run):
    record = RunReader(run).read()
    assert shareDone(record, {}) == 0 and secondsLeft(record, {}, 1) is None
    begin(run, "base")
    epoch(run, "base", 1)
    record = RunReader(run).read()
    assert shareDone(record, {"base": 1.5}) == 1.5 / 4
    assert secondsLeft(record, {"base": 1.5}, 1) == 4.0 * 2.5
    assert secondsLeft(record, {"base": 1.5}, 2) == 4.0 * 2, "the longest job cannot be shared"
    assert runText(record, [JobState.RUNNING, JobState.WAITING], 10.0) == (
        "0 of 2 jobs are finished; training base, epoch 2 of 2; about 10 s left.")


def test_the_tables_of_a_report(run):
    assert readScores(run / "report") is None
    write_report(run)
    scores = readScores(run / "report")
    assert scores.stages == ["base", "gated"]
    assert [row[0] for row in scores.rows("dice")] == ["c2", "c10"], "in natural order"
    assert scores.rows("hausdorff95_mm")[0] == ["c2", "8.00", "", ""], "what is undefined is no number"
    assert scores.sentences("volume_ml") == [] and scores.totals("volume_ml")[0] == ["Mean", "", "", ""]


def test_folds_and_seeds_are_averaged_in_pairs():
    rows = [
        {"case": "c", "stage": stage, "fold": "1", "seed": seed, "dice": dice}
        for stage, seed, dice in (("base", "0", "0.5"), ("base", "1", "0.7"), ("gated", "0", "0.6"),
                                  ("gated", "1", "0.9"), ("gated", "2", "0.1"))]
    summary = [{"stage": stage, "measure": "dice"} for stage in ("base", "gated")]
    scores = ReportScores(rows, summary, [{"stage": "gated", "reference": "base", "measure": "dice"}])
    assert scores.rows("dice") == [["c", "0.6000", "0.5333", "+0.1500"]], "seed 2 has no partner"
    assert scores.sentences("dice") == ["gated cannot be compared with base yet."]


def test_the_measures_are_the_reports():
    from agunetr_train.report.score_measures import MEASURES as REPORTED

    assert {key: decimals for key, (_title, decimals) in MEASURES.items()} == {
        measure.key: measure.digits for measure in REPORTED}
    assert CASES_CSV.splitlines()[0].split(",")[6:] == list(MEASURES)[:4]


def test_metrics_of_a_job_that_was_never_begun_may_come_later(run):
    reader = RunReader(run)
    reader.read()
    (run / "gated").mkdir()
    append(run / "gated" / "metrics.jsonl", {"epoch": 1, "loss": 2.0})
    assert reader.read().jobs[1].losses == ((1, 2.0),)

"""One process and the jobs of a run: order, locks, failures, stops; stand-ins train and score."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from listening import Listener
from tiny_experiments import CASES, tiny_experiment

from agunetr.errors import BusyError, Cancelled, InputError
from agunetr.many_scans.share import Share
from agunetr_train.data.cases import Case
from agunetr_train.experiments.jobs import jobs_of
from agunetr_train.experiments.splits import make_splits
from agunetr_train.run_folder import RunFolder, write_record
from agunetr_train.runner import job_states as states
from agunetr_train.runner.job_choice import check_starts, chosen_jobs
from agunetr_train.runner.job_lock import FILE_NAME, JobLock
from agunetr_train.runner.preparation import PreparedRun
from agunetr_train.runner.ranks import Ranks
from agunetr_train.runner.run_jobs import JobRunner


class Bench:
    """A run of two stages and two seeds whose trainings are stand-ins."""

    def __init__(self, folder: Path, **changes) -> None:
        self.experiment = tiny_experiment(folder, **{"seeds": [0, 1], "compare": ["base", "gated"], **changes})
        self.folder = RunFolder(folder / "run")
        self.folder.root.mkdir()
        self.jobs = jobs_of(self.experiment)
        cases = {name: Case(name, folder / "ct", folder / "spleen") for name in CASES}
        splits = make_splits(self.experiment.split, {name: name for name in CASES})
        self.folder.write_splits(splits)
        self.run_of = PreparedRun(self.experiment, self.folder, cases, splits, folder / "cache")
        self.trained: list[str] = []
        self.scored: list[str] = []
        self.listener = Listener()
        self.stopping = False
        self.while_training = lambda job, **listeners: None

    def runner(self, **options) -> JobRunner:
        return JobRunner(
            self.run_of, torch.device("cpu"), self.listener, Ranks(Share()), lambda: self.stopping,
            train=self.train, score_cases=self.score, **options,
        )  # fmt: skip

    def train(self, experiment, job, run, training, validation, cache, device, **listeners):
        assert [case.name for case in training] == ["one", "two"] and [case.name for case in validation] == ["three"]
        self.trained.append(job.name)
        self.while_training(job, **listeners)
        listeners["on_row"]({"epoch": 1, "step": 2, "loss": 0.5})
        listeners["on_row"]({"epoch": 1, "step": 2, "validation_dice": 0.25})
        listeners["on_step"](4, 4)
        if listeners["stop"]():
            return SimpleNamespace(stopped=True)
        write_record(run.job(job) / "finished.json", {"epochs": 2, "steps": 4})
        return SimpleNamespace(stopped=False)

    def score(self, run, job, cases, device, say, stop):
        assert [case.name for case in cases] == ["four", "three"]
        self.scored.append(job.name)
        (run.job(job) / "test").mkdir(exist_ok=True)
        score = {"case": "four", "dice": 0.75, "part": "test", "weights": "abc"}
        (run.job(job) / "test" / "four.json").write_text(json.dumps(score), encoding="utf-8")
        say(f"{job.name}: scored")
        if stop():
            raise Cancelled("Stopped.")

    def states(self, outcomes) -> dict[str, str]:
        return {outcome.job.name: outcome.state for outcome in outcomes}


@pytest.fixture
def bench(tmp_path) -> Bench:
    return Bench(tmp_path)


ALL = ["base-seed0", "gated-seed0", "base-seed1", "gated-seed1"]


def test_jobs_are_trained_scored_and_told_of_in_their_order(bench):
    assert bench.states(bench.runner().run(bench.jobs)) == dict.fromkeys(ALL, states.FINISHED)
    assert bench.trained == bench.scored == ALL
    told = [event["event"] for event in bench.listener.events if event["job"] == "base-seed0"]
    assert told == ["started", "epoch", "validated", "progress", "finished"]
    finished = next(event for event in bench.listener.events if event["event"] == "finished")
    assert (finished["mean_dice"], finished["epochs"], finished["steps"]) == (0.75, 2, 4)
    assert not list(bench.folder.root.glob(f"*/{FILE_NAME}")), "no lock is left behind"

    assert bench.states(bench.runner().run(bench.jobs)) == dict.fromkeys(ALL, states.BEFORE)
    assert bench.trained == ALL and bench.listener.jobs("skipped") == ALL


def test_what_is_trained_but_not_scored_is_scored_alone(bench):
    bench.runner(score=False).run(bench.jobs[:1])
    assert bench.scored == [] and bench.listener.events[-1]["mean_dice"] is None
    assert bench.states(bench.runner().run(bench.jobs[:1])) == {"base-seed0": states.FINISHED}
    assert bench.trained == bench.scored == ["base-seed0"]


def test_stages_that_nobody_compares_are_not_scored(tmp_path):
    bench = Bench(tmp_path, compare=["gated"])
    bench.runner().run(bench.jobs)
    assert bench.trained == ALL and bench.scored == ["gated-seed0", "gated-seed1"]


def test_a_job_that_fails_leaves_the_others_alone_but_those_that_continue_it(bench):
    def fail(job, **listeners):
        if job.name == "base-seed0":
            raise InputError("The scan is gone.", "Bring it back.")

    bench.while_training = fail
    outcomes = bench.runner().run(bench.jobs)
    assert bench.states(outcomes) == dict.fromkeys(ALL, states.FINISHED) | {
        "base-seed0": states.FAILED, "gated-seed0": states.WAITING,
    }  # fmt: skip
    assert [(name, str(error)) for name, error in bench.listener.failures] == [
        ("base-seed0", "The scan is gone. Bring it back.")
    ]
    assert outcomes[1].message == "It continues base-seed0, which failed."


def test_a_job_that_another_process_has_is_left_to_it_by_name(bench):
    lock = JobLock(bench.folder.make_job("base-seed0"))
    assert lock.acquire()
    outcomes = bench.runner().run(bench.jobs)
    assert bench.trained == ["base-seed1", "gated-seed1"]
    assert bench.states(outcomes)["base-seed0"] == states.HELD
    assert outcomes[0].message == f"It is trained by {lock.holder()}."
    assert outcomes[1].state == states.WAITING and f"which {lock.holder()} trains" in outcomes[1].message
    assert bench.listener.jobs("skipped") == ["base-seed0", "gated-seed0"]


def test_what_waited_is_done_when_the_other_process_comes_to_its_end(bench):
    lock = JobLock(bench.folder.make_job("base-seed0"))
    assert lock.acquire()

    def other_process_ends(job, **listeners):
        if job.name == "gated-seed1":
            write_record(bench.folder.job("base-seed0") / "finished.json", {"epochs": 2, "steps": 4})
            lock.release()

    bench.while_training = other_process_ends
    assert set(bench.states(bench.runner().run(bench.jobs)).values()) == {states.FINISHED}
    assert bench.trained == ["base-seed1", "gated-seed1", "gated-seed0"]
    assert bench.scored == ["base-seed1", "gated-seed1", "base-seed0", "gated-seed0"]


def test_a_stop_ends_the_job_at_hand_and_begins_no_other(bench):
    def stop(job, **listeners):
        bench.stopping = True

    bench.while_training = stop
    assert bench.states(bench.runner().run(bench.jobs)) == dict.fromkeys(ALL, states.STOPPED)
    assert bench.trained == ["base-seed0"] and bench.scored == []
    assert bench.listener.jobs("stopped") == ["base-seed0"]


def test_a_stop_while_cases_are_scored_keeps_what_is_there(bench):
    bench.listener.say = lambda text: setattr(bench, "stopping", True)
    assert bench.states(bench.runner().run(bench.jobs)) == dict.fromkeys(ALL, states.STOPPED)
    bench.stopping, bench.listener = False, Listener()
    assert set(bench.states(bench.runner().run(bench.jobs)).values()) == {states.BEFORE, states.FINISHED}
    assert bench.trained == ALL


def test_a_second_stop_ends_at_once_and_lets_go_of_the_job(bench):
    def interrupted(job, **listeners):
        raise KeyboardInterrupt

    bench.while_training = interrupted
    with pytest.raises(KeyboardInterrupt):
        bench.runner().run(bench.jobs)
    assert not list(bench.folder.root.glob(f"*/{FILE_NAME}"))


def test_a_run_that_another_process_begins_at_this_moment_is_the_same_run(bench, tmp_path, monkeypatch):
    mine, others = RunFolder(tmp_path / "new"), RunFolder(tmp_path / "new")
    listed = Path.iterdir

    def begun_meanwhile(folder):
        monkeypatch.setattr(Path, "iterdir", listed)
        others.open(bench.experiment)
        (folder / "prepared").mkdir()
        return listed(folder)

    monkeypatch.setattr(Path, "iterdir", begun_meanwhile)
    mine.open(bench.experiment)
    assert mine.experiment() == bench.experiment


def test_a_job_that_was_taken_over_is_given_up(bench, monkeypatch):
    monkeypatch.setattr(JobLock, "lost", property(lambda self: True))
    outcomes = bench.runner().run(bench.jobs[:1])
    assert outcomes[0].state == states.FAILED and isinstance(outcomes[0].error, BusyError)
    assert "The job was taken over by" in outcomes[0].message and not bench.folder.is_finished("base-seed0")


def test_jobs_are_chosen_by_number_name_and_stage(bench):
    def names(wanted=(), stages=()):
        return [job.name for job in chosen_jobs(bench.experiment, wanted, stages)]

    assert names() == ALL
    assert names(["4", "base-seed0", "1"]) == ["base-seed0", "gated-seed1"]
    assert names(stages=["gated"]) == ["gated-seed0", "gated-seed1"]
    assert names(["1", "2"], ["gated"]) == ["gated-seed0"]
    for wanted, stages, words in ((["9"], [], "no job '9'"), ([], ["x"], "no stage 'x'"), (["1"], ["gated"], "both")):
        with pytest.raises(InputError, match=words):
            names(wanted, stages)


def test_a_job_does_not_begin_before_the_one_it_continues(bench):
    base, gated = bench.jobs[:2]
    check_starts([base, gated], bench.folder)
    with pytest.raises(InputError, match="base-seed0, which is not finished and was not asked for") as refusal:
        check_starts([gated], bench.folder)
    assert "--job base-seed0 --job gated-seed0" in refusal.value.remedy
    lock = JobLock(bench.folder.make_job(base))
    assert lock.acquire()
    with pytest.raises(InputError, match=r"continues base-seed0, which process \d+ on .* is training"):
        check_starts([gated], bench.folder)
    lock.release()
    write_record(bench.folder.job(base) / "finished.json", {"epochs": 2})
    check_starts([gated], bench.folder)


def test_the_list_of_jobs_says_how_far_each_is(bench):
    write_record(bench.folder.make_job("base-seed0") / "finished.json", {"epochs": 2})
    (bench.folder.make_job("gated-seed0") / "checkpoint_step=3.pt").touch()
    lock = JobLock(bench.folder.make_job("base-seed1"))
    assert lock.acquire()
    rows = states.listed(bench.folder, bench.jobs)
    assert [row["state"] for row in rows] == ["finished", "begun", f"held by {lock.holder()}", "not begun"]
    assert [(row["number"], row["variant"], row["seed"], row["start"]) for row in rows[:2]] == [
        (1, "unetr", 0, None), (2, "agunetr-v2", 0, "base-seed0")
    ]  # fmt: skip
    lock.release()

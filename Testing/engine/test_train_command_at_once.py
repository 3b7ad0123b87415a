"""Several jobs at once: child processes that a small script stands in for."""

from __future__ import annotations

import os
import sys
import textwrap
import time

import pytest
from listening import Listener
from tiny_experiments import tiny_experiment

from agunetr_train.experiments.jobs import jobs_of
from agunetr_train.run_folder import RunFolder
from agunetr_train.runner import job_states as states
from agunetr_train.runner.local_runner import LOG, LocalRunner, child_environment, job_command

CHILD = textwrap.dedent("""\
    import json, os, sys, threading, time
    folder, name, how = sys.argv[1:]
    say = lambda **event: print(json.dumps(event), flush=True)
    stamp = lambda word: open(os.path.join(folder, name, word), "w").write(str(time.monotonic()))
    stamp("began")
    say(event="run", jobs=[name])
    say(event="started", job=name)
    say(event="notice", message="The CPU was asked for.")
    say(event="notice", message=name + ": a word")
    if how == "fails":
        say(event="error", job=name, kind="device", message="No GPU.", remedy="Use the CPU.")
    elif how == "dies":
        sys.stderr.write("Killed, alas\\n")
        sys.exit(9)
    elif how == "waits":
        sys.stdin.readline()
        say(event="stopped", job=name)
    elif how == "is deaf":
        time.sleep(60)
    else:
        time.sleep(0.3)
        open(os.path.join(folder, name, "finished.json"), "w").write("{}")
        say(event="finished", job=name, mean_dice=0.5)
    stamp("ended")
    """)


@pytest.fixture
def experiment(tmp_path):
    return tiny_experiment(tmp_path, seeds=[0, 1])


@pytest.fixture
def folder(tmp_path, experiment) -> RunFolder:
    folder = RunFolder(tmp_path / "run")
    folder.root.mkdir()
    return folder


def runner(folder, listener, at_once=2, stop=lambda: False, how=None) -> LocalRunner:
    def command(job, slot):
        return [sys.executable, "-c", CHILD, str(folder.root), job.name, (how or {}).get(job.name, "works")]

    return LocalRunner(folder, command, at_once, listener, stop, dict(os.environ))


def times(folder: RunFolder, job) -> tuple[float, float]:
    return tuple(float((folder.job(job) / word).read_text()) for word in ("began", "ended"))


def test_as_many_as_asked_for_and_each_after_the_one_it_continues(folder, experiment):
    listener, jobs = Listener(), jobs_of(experiment)
    outcomes = runner(folder, listener).run(jobs)
    assert [(outcome.job.name, outcome.state) for outcome in outcomes] == [(job.name, states.FINISHED) for job in jobs]
    spans = {job.name: times(folder, job) for job in jobs}
    for job in jobs:
        if job.start:
            assert spans[job.name][0] >= spans[job.start][1]
        others = [began <= spans[job.name][0] < ended for began, ended in spans.values()]
        assert sum(others) <= 2
    assert spans["base-seed0"][0] < spans["base-seed1"][1] and spans["base-seed1"][0] < spans["base-seed0"][1]
    assert {event["event"] for event in listener.events} == {"started", "finished"}, "a run's own events stay inside"
    assert sorted(listener.words) == sorted(f"{job.name}: a word" for job in jobs)


def test_a_job_that_fails_or_dies_leaves_the_others_alone(folder, experiment):
    listener, jobs = Listener(), jobs_of(experiment)
    outcomes = runner(folder, listener, how={"base-seed0": "fails", "gated-seed1": "dies"}).run(jobs)
    found = {outcome.job.name: outcome for outcome in outcomes}
    assert {name: outcome.state for name, outcome in found.items()} == {
        "base-seed0": states.FAILED, "gated-seed0": states.WAITING,
        "base-seed1": states.FINISHED, "gated-seed1": states.FAILED,
    }  # fmt: skip
    assert (found["base-seed0"].error.kind, found["base-seed0"].message) == ("device", "No GPU. Use the CPU.")
    assert found["gated-seed0"].message == "It continues base-seed0, which failed."
    assert "ended with the code 9" in found["gated-seed1"].message and LOG in found["gated-seed1"].message
    assert "Killed, alas" in (folder.job("gated-seed1") / LOG).read_text(encoding="utf-8")
    assert sorted(name for name, _ in listener.failures) == ["base-seed0", "gated-seed1"]


def test_a_stop_is_passed_on_and_begins_nothing_more(folder, experiment):
    listener, jobs = Listener(), jobs_of(experiment)

    def stop() -> bool:
        return sum(event["event"] == "started" for event in listener.events) == 2

    how = {"base-seed0": "waits", "base-seed1": "waits"}
    outcomes = runner(folder, listener, stop=stop, how=how).run(jobs)
    assert [outcome.state for outcome in outcomes] == [states.STOPPED] * 4
    assert sorted(listener.jobs("stopped")) == ["base-seed0", "base-seed1"]
    assert not folder.job("gated-seed0").exists()


def test_a_second_stop_ends_the_children(folder, experiment, monkeypatch):
    from agunetr_train.runner import local_runner

    monkeypatch.setattr(local_runner, "GRACE_SECONDS", 0.2)
    listener = Listener()

    def stop() -> bool:
        if any(event["event"] == "started" for event in listener.events):
            raise KeyboardInterrupt
        return False

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        runner(folder, listener, at_once=1, stop=stop, how={"base-seed0": "is deaf"}).run(jobs_of(experiment))
    assert time.monotonic() - began < 30 and not (folder.job("base-seed0") / "ended").exists()


def test_a_child_runs_the_same_command_for_one_job(experiment):
    from agunetr.cli import build_parser

    job = jobs_of(experiment)[3]
    command = job_command(job, "tiny.json", ["--run", "runs/tiny", "--device", "cuda:1"])
    assert command[:3] == [sys.executable, "-m", "agunetr"]
    parsed = build_parser().parse_args(command[3:])
    assert (parsed.experiment, parsed.job, parsed.run_folder) == ("tiny.json", ["gated-seed1"], "runs/tiny")
    assert parsed.json and parsed.no_report and parsed.stop_on_input and parsed.at_once == 1


def test_threads_are_those_given():
    environment = child_environment(3)
    assert environment["OMP_NUM_THREADS"] == "3" and environment["PATH"] == os.environ["PATH"]

"""The child process that trains, watched without Slicer, with a stand-in for the training command."""

from __future__ import annotations

import os
import shlex
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("slicer")

from AGUNETRSegmentLib.errors import SegmentationError
from AGUNETRTrainLib.training_command import TrainingRequest, commandText, engineEnvironment
from AGUNETRTrainLib.training_run import TrainingRun

FAKE = Path(__file__).with_name("fake_training.py")


class Watched:
    """A run with what it told."""

    def __init__(self, tmp_path, behaviour: str) -> None:
        self.later, self.ended, self.lines = [], [], []
        self.folder = tmp_path / "run"
        data = tmp_path / behaviour
        data.mkdir()
        self.run = TrainingRun(
            lambda _milliseconds, function: self.later.append(function), ended=self.ended.append,
            log=lambda level, text: self.lines.append((level, text)),
            command=lambda arguments: [sys.executable, str(FAKE), "agunetr", *arguments, "--json"])
        self.request = TrainingRequest("made-up.json", str(data), str(self.folder))

    def start(self) -> None:
        self.run.start(self.request)

    def wait(self, condition=None, seconds: float = 20.0) -> None:
        end = time.monotonic() + seconds
        while self.run.running and not (condition and condition()):
            assert time.monotonic() < end, self.lines
            for function in [self.later.pop() for _number in range(len(self.later))]:
                function()
            time.sleep(0.005)


@pytest.fixture
def watched(tmp_path):
    made = []

    def make(behaviour: str) -> Watched:
        made.append(Watched(tmp_path, behaviour))
        return made[-1]

    yield make
    for one in made:
        one.run.close()


def test_a_training_runs_to_its_end(watched):
    one = watched("all")
    one.start()
    with pytest.raises(RuntimeError):
        one.start()
    one.wait()
    assert one.ended == [None] and not one.run.failures and not one.run.epochs
    texts = [text for _level, text in one.lines]
    assert "base: epoch 1 of 2, loss 1.5000." in texts and "gated: finished." in texts
    assert "The CPU was taken." in texts


def test_what_each_job_does_is_known_while_it_runs(watched):
    one = watched("until stopped")
    one.start()
    one.wait(lambda: one.run.epochs.get("base") == 1.0)
    assert one.run.running and one.run.epochs == {"base": 1.0}


def test_stop_is_polite_and_the_same_request_goes_on(watched):
    one = watched("until stopped")
    one.start()
    one.wait(lambda: one.run.epochs)
    one.run.stop()
    assert one.run.stopping
    one.wait()
    assert one.ended == [None] and not (one.folder / "base" / "finished.json").exists()
    (one.folder.parent / "all").mkdir()
    one.request = TrainingRequest("made-up.json", str(one.folder.parent / "all"), str(one.folder))
    one.start()
    assert not one.run.stopping
    one.wait()
    assert one.ended == [None, None] and (one.folder / "base" / "finished.json").exists()


@pytest.mark.skipif(os.name == "nt", reason="looks for the process as POSIX does")
def test_a_second_stop_ends_a_deaf_child_with_its_children(watched):
    one = watched("deaf")
    one.start()
    one.wait(lambda: "child" in one.run.told)
    grandchild = int(one.run.told.split()[1])
    one.run.stop()
    one.run.stop()
    one.wait()
    assert one.ended == [None]
    end = time.monotonic() + 5
    while Path(f"/proc/{grandchild}").exists() and "Z" not in Path(f"/proc/{grandchild}/stat").read_text():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_failed_job_is_no_failed_run(watched):
    one = watched("fails")
    one.start()
    one.wait()
    assert one.ended == [None]
    assert one.run.failures == {"base": "The machine ran out of memory. Close programs."}
    assert ("error", "base: The machine ran out of memory. Close programs.") in one.lines


@pytest.mark.parametrize(("behaviour", "sentence"), [
    ("refused", "The case c2 has no mask. Remove it."),
    ("no torch", "package that training needs is missing. Install it"),
    ("crash", "exit code 3"),
])
def test_a_run_that_cannot_go_on_ends_with_a_sentence(watched, behaviour, sentence):
    one = watched(behaviour)
    one.start()
    one.wait()
    assert sentence in str(one.ended[0])


def test_the_end_of_the_application_ends_the_child(watched):
    one = watched("until the end")
    one.start()
    one.wait(lambda: one.run.epochs)
    one.run.close()
    assert not one.run.running and not one.ended


def test_a_program_that_is_not_there_is_told(tmp_path):
    run = TrainingRun(lambda *_given: None, command=lambda _arguments: [str(tmp_path / "gone")])
    with pytest.raises(SegmentationError) as caught:
        run.start(TrainingRequest("smoke", "", str(tmp_path / "run")))
    assert caught.value.kind == "start" and not run.running


def test_the_command_is_the_one_of_a_terminal(monkeypatch, tmp_path):
    monkeypatch.setattr("shutil.which", lambda _name: "/opt/My Slicer/bin/PythonSlicer")
    arguments = TrainingRequest("smoke", "", str(tmp_path / "a run"), "cuda", 3).arguments()
    assert arguments == ["train", "smoke", "--run", str(tmp_path / "a run"), "--device", "cuda", "--at-once", "3"]
    if os.name != "nt":
        assert shlex.split(commandText(arguments)) == ["/opt/My Slicer/bin/PythonSlicer", "-m", "agunetr", *arguments]
    relative = TrainingRequest("smoke", "-data", "-run").arguments()
    assert relative[3] == os.path.abspath("-run") and relative[5] == os.path.abspath("-data")


def test_the_child_finds_both_engines(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "mine")
    (tmp_path / "AGUNETRSegment").mkdir()
    (tmp_path / "AGUNETRTrain").mkdir()
    environment = engineEnvironment(tmp_path / "AGUNETRTrain")
    assert environment["PYTHONPATH"].split(os.pathsep) == [
        str(tmp_path / "AGUNETRTrain"), str(tmp_path / "AGUNETRSegment"), "mine"]
    assert environment["PYTHONIOENCODING"] == "utf-8"

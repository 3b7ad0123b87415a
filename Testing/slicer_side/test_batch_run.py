"""A batch in a child process: a stand-in speaks as the engine's command line does."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from AGUNETRSegmentLib import batch_run, watched_command
from AGUNETRSegmentLib.batch_command import BatchRequest
from AGUNETRSegmentLib.batch_run import BatchRun
from AGUNETRSegmentLib.batch_table import CaseState
from AGUNETRSegmentLib.batch_text import batchEndText, batchProgressText
from AGUNETRSegmentLib.errors import SegmentationError

FAKE_BATCH = Path(__file__).with_name("fake_batch.py")


def _isAlive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


class Batch:
    """A run whose timer is turned by the test, and what it told."""

    def __init__(self, clock=time.monotonic) -> None:
        self.due, self.ends, self.changes, self.logged = [], [], 0, []
        self.run = BatchRun(
            lambda _milliseconds, function: self.due.append(function), self._onChanged, self.ends.append,
            lambda level, text: self.logged.append((level, text)),
            lambda arguments: [sys.executable, str(FAKE_BATCH), *arguments], dict(os.environ), clock=clock)

    def _onChanged(self) -> None:
        self.changes += 1

    def start(self, behaviour: str) -> None:
        self.run.start(BatchRequest(behaviour, "/out", ["base", "gated"]))

    def turn(self, condition=lambda: False, seconds=60.0) -> None:
        """Let the timer run until the condition holds or the batch is over."""
        end = time.monotonic() + seconds
        while self.due and not condition():
            assert time.monotonic() < end, "the child did not end"
            self.due.pop(0)()
            time.sleep(0.005)

    def isUnderWay(self) -> bool:
        return self.run.table.count(CaseState.RUNNING) > 0

    def states(self) -> str:
        return " ".join(f"{case.name}:{case.state.name}" for case in self.run.table.cases)


@pytest.fixture
def batch():
    batch = Batch()
    yield batch
    batch.run.close()


def test_every_case_ends_in_its_state(batch):
    batch.start("all")
    assert batch.run.running
    batch.turn()
    assert batch.states() == "a:SKIPPED b:DONE c:FAILED d:LEFT_OUT e:DONE"
    assert batch.ends == [None] and not batch.run.running and not batch.due
    case = batch.run.table.cases[1]
    assert case.texts() == ("b", "Done", "201.2 / 198.5", "3.2", "Few slices.") and case.path == "/cts/b.nii"
    assert case.volumeToolTip() == "base: 201.2 ml\ngated: 198.5 ml"
    assert batch.run.table.cases[2].message == "It is damaged. Copy it again."
    assert batch.run.table.cases[0].seconds is None and batch.run.table.cases[0].volumes == {"base": 150.0}
    assert ("warning", "1 subfolder without DICOM slices was left out.") in batch.logged
    assert batchEndText(batch.run.table, batch.run.stopping) == (
        "Finished: 2 done, 1 finished before, 1 failed, 1 left out.")


def test_a_case_under_way_says_how_far_it_is(batch):
    batch.start("until the end")
    batch.turn(batch.isUnderWay)
    assert batch.run.table.cases[1].message == "Segmenting, window 1 of 4, about 6 s left"
    assert batchProgressText(batch.run.table, 30.0) == "1 of 5 CTs"
    batch.run.table.cases[1].state = CaseState.DONE
    assert batchProgressText(batch.run.table, 30.0) == "2 of 5 CTs, about 2 min left"


def test_one_ct_alone_has_a_row_although_it_is_not_listed(batch):
    batch.start("one")
    batch.turn()
    assert batch.states() == "one:DONE" and batch.ends == [None]


def test_a_stop_lets_the_child_finish_what_it_writes(batch):
    batch.start("polite")
    batch.turn(batch.isUnderWay)
    batch.run.stop()
    assert batch.run.stopping
    batch.turn()
    assert batch.states() == "a:SKIPPED b:DONE c:CANCELLED d:NOT_STARTED e:NOT_STARTED"
    assert batch.ends == [None]
    assert batchEndText(batch.run.table, True) == (
        "Stopped: 1 done, 1 finished before, 3 not done. Start again to go on with the rest.")


def test_a_second_stop_does_not_wait(batch):
    batch.start("until now")
    batch.turn(batch.isUnderWay)
    batch.run.stop()
    batch.run.stop()
    batch.turn()
    assert batch.states() == "a:SKIPPED b:CANCELLED c:NOT_STARTED d:NOT_STARTED e:NOT_STARTED"
    assert batch.ends == [None]


def test_a_second_stop_is_over_within_two_seconds_whatever_the_child_does():
    assert batch_run.STOP_NOW_SECONDS + 3 * batch_run.PUMP_MILLISECONDS / 1000 < 2.0


@pytest.mark.skipif(os.name == "nt", reason="looks into /proc")
def test_a_deaf_child_is_killed_with_its_children():
    now = [0.0]
    batch = Batch(clock=lambda: now[0])
    batch.start("deaf")
    batch.turn(lambda: any("child" in text for _level, text in batch.logged))
    child = int(batch.logged[-1][1].split()[1])
    pid = batch.run.pid
    assert _isAlive(pid) and _isAlive(child)
    batch.run.stop()
    batch.due.pop(0)()
    assert batch.run.running, "a large CT that is being written gets its time"
    now[0] = batch_run.STOP_SECONDS
    batch.turn()
    assert batch.ends == [None] and not _isAlive(pid)
    end = time.monotonic() + 20
    while _isAlive(child):
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("behaviour", ["until the end", "until now"])
def test_closing_ends_the_child_and_tells_nobody(batch, behaviour):
    batch.start(behaviour)
    batch.turn(batch.isUnderWay)
    pid = batch.run.pid
    batch.run.close()
    assert not batch.run.running and not batch.ends
    assert not Path(f"/proc/{pid}").exists() or not _isAlive(pid)
    batch.turn()
    assert not batch.ends and not batch.due


def test_what_is_wrong_with_all_is_told_once(batch):
    batch.start("no model")
    batch.turn()
    assert [str(error) for error in batch.ends] == ["There is no model big. Import it."]
    assert not batch.run.table.cases


def test_a_missing_package_is_named(batch):
    batch.start("no torch")
    batch.turn()
    assert batch.ends[0].kind == "dependencies" and "Setup" in batch.ends[0].remedy


def test_a_crash_fails_the_case_at_hand_and_says_so(batch):
    batch.start("crash")
    batch.turn()
    assert batch.states() == "a:SKIPPED b:FAILED c:NOT_STARTED d:NOT_STARTED e:NOT_STARTED"
    assert "ended while" in batch.run.table.cases[1].message


def test_a_program_that_does_not_exist_starts_nothing():
    batch = BatchRun(lambda *_: None, command=lambda arguments: ["/no/such/program"], environment={})
    with pytest.raises(SegmentationError) as caught:
        batch.start(BatchRequest("a", "b", ["m"]))
    assert caught.value.kind == "start" and not batch.running


def test_many_words_are_taken_in_portions(batch):
    batch.start("many words")
    most = 0
    end = time.monotonic() + 60
    while batch.due:
        assert time.monotonic() < end
        began = time.monotonic()
        batch.due.pop(0)()
        most = max(most, time.monotonic() - began)
        time.sleep(0.002)
    assert batch.ends == [None] and batch.states().endswith("e:DONE")
    assert batch.changes >= 5000 / watched_command.LINES_PER_PUMP


def test_a_second_batch_begins_with_an_empty_table(batch):
    batch.start("one")
    batch.turn()
    batch.start("all")
    with pytest.raises(RuntimeError):
        batch.start("all")
    batch.turn()
    assert len(batch.run.table.cases) == 5 and batch.ends == [None, None]

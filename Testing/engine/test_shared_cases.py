"""Several processes share the cases of a run, and put their tables together."""

from __future__ import annotations

import csv
import importlib
import json
import threading
from pathlib import Path

import pytest
import torch

from agunetr.errors import InputError, OutputError
from agunetr.many_scans import summary
from agunetr.many_scans.cases import CANCELLED, DONE, FAILED, LEFT_OUT, NOT_STARTED, SKIPPED, Case, Outcome
from agunetr.many_scans.share import Share, give_threads_back, wait_for_the_others
from agunetr.many_scans.summary import CaseSummary
from agunetr.worker_requests import RequestError


def result(name, volume_ml, seconds=2.5):
    return {"models": [{"name": name, "volume_ml": volume_ml}], "seconds": {"total": seconds}}


@pytest.fixture
def cases(tmp_path):
    return [Case(number, name, Path(f"{name}.nii.gz"), tmp_path / name) for number, name in enumerate("abcde", start=1)]


def read(folder):
    content = json.loads((folder / "cases.json").read_text(encoding="utf-8"))
    assert content["program"] == "agunetr segment"
    return content["cases"]


@pytest.mark.parametrize("processes", [1, 2, 3, 8])
def test_every_case_belongs_to_one_process(processes):
    shares = [Share.from_environment({"RANK": str(rank), "WORLD_SIZE": str(processes)}) for rank in range(processes)]
    held = [[index for index in range(20) if share.holds(index)] for share in shares]
    assert sorted(sum(held, [])) == list(range(20))
    assert max(map(len, held)) - min(map(len, held)) <= 1


def test_alone_without_torchrun():
    assert Share.from_environment({"PATH": "x", "LOCAL_RANK": "5"}) == Share(0, 1, 0)


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"RANK": "1"}, "WORLD_SIZE"),
        ({"WORLD_SIZE": "2"}, "RANK"),
        ({"RANK": "-1", "WORLD_SIZE": "2"}, "'-1'"),
        ({"RANK": "2", "WORLD_SIZE": "2"}, "WORLD_SIZE is 2"),
        ({"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "x"}, "LOCAL_RANK"),
    ],
)
def test_a_place_that_makes_no_sense_is_refused(environment, words):
    with pytest.raises(RequestError, match=words):
        Share.from_environment(environment)


def test_each_process_of_a_machine_takes_a_gpu_of_its_own(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    shares = [Share(4 + rank, 8, rank) for rank in range(4)]
    assert [share.device("auto") for share in shares] == ["cuda:0", "cuda:1", "cuda:0", "cuda:1"]
    assert [share.device("cuda") for share in shares[:2]] == ["cuda:0", "cuda:1"]
    assert [shares[1].device(wanted) for wanted in ("cpu", "cuda:0")] == ["cpu", "cuda:0"]
    assert Share().device("auto") == "auto"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert shares[1].device("auto") == "auto"


class Store:
    """torchrun's store: a counter that all processes see."""

    def __init__(self):
        self.finished, self.asked, self.lost = 0, threading.Semaphore(0), False

    def add(self, _key, number):
        if self.lost:
            raise RuntimeError("Connection reset by peer")
        self.finished += number
        self.asked.release()
        return self.finished


@pytest.fixture
def store(monkeypatch):
    store = Store()
    # By name: torch.distributed has a function of the module's name, which hides it from an import.
    module = importlib.import_module("torch.distributed.rendezvous")
    monkeypatch.setattr(module, "rendezvous", lambda *_, **__: iter([(store, 0, 2)]))
    return store


def waiting(rank, stop=lambda: False):
    thread = threading.Thread(target=wait_for_the_others, args=(Share(rank, 2), {"TORCHELASTIC_RUN_ID": "x"}, stop))
    thread.start()
    return thread


def asked_again(store):
    return all(store.asked.acquire(timeout=60) for _ in range(3))


def test_under_torchrun_the_first_to_end_waits_for_the_last(store):
    first = waiting(0)
    assert asked_again(store) and first.is_alive()
    last = waiting(1)
    for thread in (first, last):
        thread.join(60)
        assert not thread.is_alive()


def test_the_wait_ends_at_a_stop_and_when_rank_0_has_left_with_the_store(store):
    stop = threading.Event()
    thread = waiting(0, stop.is_set)
    assert asked_again(store) and thread.is_alive()
    stop.set()
    thread.join(60)
    assert not thread.is_alive()
    store.finished = 0
    thread = waiting(1)
    assert asked_again(store) and thread.is_alive()
    store.lost = True
    thread.join(60)
    assert not thread.is_alive()


def test_nobody_waits_without_torchrun():
    wait_for_the_others(Share(0, 2), {"RANK": "0", "WORLD_SIZE": "2"})
    wait_for_the_others(Share(), {"TORCHELASTIC_RUN_ID": "none"})


TORCHRUN = {"TORCHELASTIC_RUN_ID": "x", "OMP_NUM_THREADS": "1", "LOCAL_WORLD_SIZE": "2"}


@pytest.fixture
def torch_threads(monkeypatch):
    """What torch was told to use."""
    told = []
    monkeypatch.setattr(torch, "set_num_threads", told.append)
    return told


def test_the_one_thread_that_torchrun_leaves_becomes_a_share_of_the_cores(torch_threads):
    environment = dict(TORCHRUN)
    sentence = give_threads_back(environment, cores=9)
    assert environment["OMP_NUM_THREADS"] == "4" and torch_threads == [4]
    assert "OMP_NUM_THREADS" in sentence and "each of the 2 here uses 4" in sentence
    assert give_threads_back(environment, cores=9) == "", "once is enough"


@pytest.mark.parametrize(
    ("changes", "cores"),
    [
        ({"OMP_NUM_THREADS": "3"}, 16),
        ({"OMP_NUM_THREADS": ""}, 16),
        ({"LOCAL_WORLD_SIZE": ""}, 16),
        ({}, 3),
    ],
)
def test_threads_that_somebody_chose_or_that_are_no_more_stay(changes, cores, torch_threads):
    environment = TORCHRUN | changes
    assert give_threads_back(environment, cores) == "" and not torch_threads
    assert environment == TORCHRUN | changes
    alone = {"OMP_NUM_THREADS": "1", "LOCAL_WORLD_SIZE": "2"}
    assert give_threads_back(alone, 16) == "" and alone["OMP_NUM_THREADS"] == "1"


def test_the_table_of_one_process(cases, tmp_path):
    table = CaseSummary(tmp_path, cases[:4])
    table.record(Outcome(cases[0], DONE, result("m", 182.25)))
    table.record(Outcome(cases[1], SKIPPED, result("m", 90.0)))
    table.record(Outcome(cases[2], FAILED, error=InputError("It is damaged.", "Copy it again.")))
    table.record(Outcome(cases[3], FAILED, error=ZeroDivisionError("by zero")))
    table.finish()
    rows = read(tmp_path)
    assert rows == table.rows
    assert [row["state"] for row in rows] == [DONE, SKIPPED, FAILED, FAILED]
    assert rows[0] == {
        "case": "a", "input": "a.nii.gz", "output": str(tmp_path / "a"), "state": DONE, "volume_ml": {"m": 182.25},
        "seconds": 2.5, "error": None, "rank": 0,
    }  # fmt: skip
    assert rows[1]["seconds"] is None and rows[1]["volume_ml"] == {"m": 90.0}
    assert rows[2]["error"] == {"kind": "input", "message": "It is damaged.", "remedy": "Copy it again."}
    assert rows[3]["error"]["kind"] == "unexpected" and "by zero" in rows[3]["error"]["message"]
    with (tmp_path / "cases.csv").open(encoding="utf-8", newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert [line["m_ml"] for line in lines] == ["182.25", "90.0", "", ""]
    assert lines[2]["error"] == "It is damaged." and lines[0]["error"] == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cases.csv", "cases.json"]


def test_a_run_cancelled_before_its_first_result_writes_no_table(cases, tmp_path, monkeypatch):
    monkeypatch.setattr(summary, "WRITE_SECONDS", -1.0)
    table = CaseSummary(tmp_path, cases)
    table.record(Outcome(cases[0], CANCELLED))
    table.record(Outcome(cases[1], NOT_STARTED))
    table.finish()
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_is_killed_leaves_the_rows_so_far(cases, tmp_path, monkeypatch):
    table = CaseSummary(tmp_path, cases)
    table.record(Outcome(cases[0], DONE, result("m", 1.0)))
    assert not list(tmp_path.iterdir()), "not for each of a thousand finished cases"
    monkeypatch.setattr(summary, "WRITE_SECONDS", -1.0)
    table.record(Outcome(cases[1], DONE, result("m", 2.0)))
    assert [row["case"] for row in read(tmp_path)] == ["a", "b"]


def fill(table, cases, share):
    for index, case in enumerate(cases):
        if share.holds(index):
            table.record(Outcome(case, DONE, result("m", index)))


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_tables_are_joined_whoever_ends_last(cases, tmp_path, order):
    for rank in order:
        share = Share(rank, 2)
        table = CaseSummary(tmp_path, cases, share)
        fill(table, cases, share)
        table.finish()
        if rank == order[0]:
            states = {row["case"]: row["state"] for row in read(tmp_path)}
            own = {case.name for index, case in enumerate(cases) if share.holds(index)}
            assert states == {case.name: DONE if case.name in own else NOT_STARTED for case in cases}
    rows = read(tmp_path)
    assert [row["case"] for row in rows] == list("abcde") and {row["state"] for row in rows} == {DONE}
    assert [row["rank"] for row in rows] == [0, 1, 0, 1, 0]


def test_rows_that_come_while_the_table_is_written_are_not_lost(cases, tmp_path, monkeypatch):
    """The other process ends between this one's look at the rows and its writing."""
    shares = Share(0, 2), Share(1, 2)
    first, second = (CaseSummary(tmp_path, cases, share) for share in shares)
    fill(first, cases, shares[0])
    fill(second, cases, shares[1])
    write = first._write

    def other_ends_first(rows):
        monkeypatch.setattr(first, "_write", write)
        second.finish()
        write(rows)

    monkeypatch.setattr(first, "_write", other_ends_first)
    first.finish()
    assert {row["state"] for row in read(tmp_path)} == {DONE}


def test_a_process_without_cases_joins_too(cases, tmp_path):
    share = Share(0, 2)
    table = CaseSummary(tmp_path, cases[:1], share)
    fill(table, cases[:1], share)
    table.finish()
    CaseSummary(tmp_path, cases[:1], Share(1, 2)).finish()
    assert [row["state"] for row in read(tmp_path)] == [DONE]


def test_an_image_that_is_no_ct_has_a_row_with_the_reason(cases, tmp_path):
    table = CaseSummary(tmp_path, cases[:1])
    table.record(Outcome(cases[0], LEFT_OUT, error=InputError("It is a mask.")))
    table.finish()
    row = read(tmp_path)[0]
    assert (row["state"], row["error"]["message"], row["seconds"]) == ("left out", "It is a mask.", None)


@pytest.mark.parametrize("first_to_end", [0, 1])
def test_rows_of_an_earlier_run_do_not_pass_for_those_of_a_cancelled_process(cases, tmp_path, first_to_end):
    shares = Share(0, 2), Share(1, 2)
    for share in shares:
        table = CaseSummary(tmp_path, cases, share)
        fill(table, cases, share)
        table.finish()
    # Rank 0 begins, and in one of the orders ends, before rank 1 has begun.
    tables = {0: CaseSummary(tmp_path, cases, shares[0])}
    fill(tables[0], cases, shares[0])
    for rank in (first_to_end, 1 - first_to_end):
        if rank == 1:
            tables[1] = CaseSummary(tmp_path, cases, shares[1])
            tables[1].record(Outcome(cases[1], CANCELLED))
            tables[1].record(Outcome(cases[3], NOT_STARTED))
        tables[rank].finish()
    assert [row["state"] for row in read(tmp_path)] == [DONE, CANCELLED, DONE, NOT_STARTED, DONE]


@pytest.mark.parametrize("name", ["cases.json", "cases.csv"])
def test_somebodys_own_table_is_not_replaced(cases, tmp_path, name):
    (tmp_path / name).write_text('{"patients": []}')
    with pytest.raises(OutputError, match=f"{name} is there"):
        CaseSummary(tmp_path, cases)

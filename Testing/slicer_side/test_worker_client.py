"""The client of the worker process, against a stand-in that speaks the same protocol."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from AGUNETRSegmentLib import worker_client, worker_process
from AGUNETRSegmentLib.errors import SegmentationError
from AGUNETRSegmentLib.worker_client import JobCallbacks, WorkerClient

FAKE_WORKER = [sys.executable, str(Path(__file__).with_name("fake_worker.py"))]


class Listener:
    """Collects what a client announces."""

    def __init__(self) -> None:
        self.progress, self.results, self.errors = [], [], []
        self.callbacks = JobCallbacks(self.progress.append, self.results.append, self.errors.append)

    @property
    def ended(self) -> bool:
        return bool(self.results or self.errors)


@pytest.fixture
def log():
    return []


@pytest.fixture
def client(log):
    client = WorkerClient(FAKE_WORKER, dict(os.environ), log=lambda level, text: log.append(text))
    yield client
    client.stop()


def pumpUntil(client, condition, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the worker did not answer in time"
        client.pump()
        time.sleep(0.005)


def run(client, model, listener=None) -> Listener:
    listener = listener or Listener()
    client.segment(Path("/data/Ct é 脾.nrrd"), [model], Path("/out"), {"device": "cpu"}, listener.callbacks)
    pumpUntil(client, lambda: listener.ended)
    return listener


def isAlive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_progress_then_one_result(client):
    listener = run(client, "good")
    assert [(p.stage, p.done, p.total, p.secondsLeft) for p in listener.progress] == [
        ("windows", 0, 2, 2.0), ("windows", 1, 2, 1.0), ("windows", 2, 2, 0.0)]
    echo = listener.results[0]["echo"]
    assert echo["volume"] == "/data/Ct é 脾.nrrd" and echo["options"] == {"device": "cpu"} and not listener.errors
    assert not client.busy


def test_the_worker_stays_warm_between_jobs(client):
    assert run(client, "good").results[0]["pid"] == run(client, "good").results[0]["pid"] == client.pid


def test_models_are_listed(client):
    listener = Listener()
    client.listModels(listener.callbacks)
    pumpUntil(client, lambda: listener.ended)
    assert listener.results[0]["models"] == [{"name": "compact-base"}]


def test_a_second_job_is_refused_while_one_runs(client):
    listener = Listener()
    client.segment(Path("a"), ["wait-for-cancel"], Path("b"), {}, listener.callbacks)
    with pytest.raises(SegmentationError) as caught:
        client.segment(Path("a"), ["good"], Path("b"), {}, Listener().callbacks)
    assert caught.value.kind == "busy"
    client.cancel()
    pumpUntil(client, lambda: listener.ended)


def test_questions_wait_for_their_turn_and_a_job_for_the_questions(client):
    order = []
    client.listModels(JobCallbacks(result=lambda answer: order.append(sorted(answer))))
    client.listDevices(JobCallbacks(result=lambda answer: order.append(sorted(answer))))
    client.segment(Path("a"), ["good"], Path("b"), {}, JobCallbacks(result=lambda result: order.append("result")))
    client.listModels(JobCallbacks(result=lambda answer: order.append("models again")))
    assert client.busy and client.segmenting
    pumpUntil(client, lambda: len(order) == 4)
    assert order == [["broken", "event", "models"], ["devices", "event"], "result", "models again"]
    assert not client.busy and not client.segmenting


def test_a_job_that_waits_for_a_question_can_be_cancelled(client):
    models, listener = Listener(), Listener()
    client.listModels(models.callbacks)
    client.segment(Path("a"), ["good"], Path("b"), {}, listener.callbacks)
    client.cancel()
    assert listener.errors[0].kind == "cancelled" and not client.segmenting
    pumpUntil(client, lambda: models.ended)
    assert models.results


def test_stopping_ends_what_waits_too(client):
    first, second = Listener(), Listener()
    client.segment(Path("a"), ["wait-for-cancel"], Path("b"), {}, first.callbacks)
    client.listModels(second.callbacks)
    client.stop()
    assert [error.kind for error in first.errors + second.errors] == ["cancelled", "cancelled"]
    assert not client.busy


def test_a_reference_is_sent_along(client):
    listener = Listener()
    client.segment(Path("a"), ["good"], Path("b"), {}, listener.callbacks, Path("/data/reference.nrrd"))
    pumpUntil(client, lambda: listener.ended)
    assert listener.results[0]["echo"]["reference"] == "/data/reference.nrrd"


def test_an_error_of_the_engine_reaches_the_user(client):
    error = run(client, "refuse").errors[0]
    assert (error.kind, str(error)) == ("input", "The image is constant. Choose a CT.")
    assert run(client, "good").results


def test_cancel_keeps_a_worker_that_answers(client):
    listener = Listener()
    client.segment(Path("a"), ["wait-for-cancel"], Path("b"), {}, listener.callbacks)
    pumpUntil(client, lambda: len(listener.progress) == 3)
    pid = client.pid
    client.cancel()
    client.cancel()
    pumpUntil(client, lambda: listener.ended)
    assert listener.errors[0].kind == "cancelled" and client.pid == pid
    assert run(client, "good").results[0]["pid"] == pid


def test_cancel_is_over_within_two_seconds_whatever_the_worker_does():
    # Kept as arithmetic and not as a stopwatch, which would fail on a busy machine.
    assert worker_client.KILL_AFTER_SECONDS + 3 * worker_client.PUMP_MILLISECONDS / 1000 < 2.0


@pytest.mark.skipif(os.name == "nt", reason="looks into /proc")
def test_cancel_kills_a_deaf_worker_and_its_children(client, log):
    listener = Listener()
    client.segment(Path("a"), ["deaf"], Path("b"), {}, listener.callbacks)
    pumpUntil(client, lambda: log)
    worker, child = client.pid, int(log[0].split()[1])
    assert isAlive(worker) and isAlive(child)
    client.cancel()
    pumpUntil(client, lambda: listener.ended)
    assert [error.kind for error in listener.errors] == ["cancelled"]
    pumpUntil(client, lambda: not isAlive(worker) and not isAlive(child))
    assert run(client, "good").results


def test_a_crash_is_reported_with_the_last_lines_and_the_next_job_runs(client):
    error = run(client, "crash").errors[0]
    assert error.kind == "crash" and "exit code 3" in error.message and "last words" in error.details
    assert run(client, "good").results


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_a_killed_worker_is_reported(client):
    error = run(client, "killed").errors[0]
    assert error.kind == "crash" and "signal 9" in error.message


def test_a_missing_package_is_named_as_such(client):
    error = run(client, "no-torch").errors[0]
    assert error.kind == "dependencies" and "No module named 'torch'" in error.details


def test_a_program_that_does_not_exist():
    client = WorkerClient(["/no/such/program"], {})
    with pytest.raises(SegmentationError) as caught:
        client.segment(Path("a"), ["good"], Path("b"), {}, Listener().callbacks)
    assert caught.value.kind == "start" and not client.busy


def test_without_pythonslicer_the_sentence_names_it(monkeypatch):
    monkeypatch.setattr(worker_process.shutil, "which", lambda name: None)
    with pytest.raises(SegmentationError, match="PythonSlicer"):
        WorkerClient().listModels(Listener().callbacks)


def test_the_default_command_and_environment(monkeypatch, tmp_path):
    monkeypatch.setattr(worker_process.shutil, "which", lambda name: f"/bin/{name}")
    assert worker_process.defaultCommand() == [
        "/bin/PythonSlicer", "-m", "agunetr.worker", "--parent-pid", str(os.getpid())]
    monkeypatch.setenv("PYTHONPATH", "before")
    assert worker_process.defaultEnvironment(tmp_path)["PYTHONPATH"] == f"{tmp_path}{os.pathsep}before"


def test_noise_and_old_events_do_no_harm(client, log):
    listener = run(client, "noise")
    assert listener.results and len(listener.progress) == 3
    assert log == ["a library prints to standard output", "[1, 2]"]


def test_a_flood_of_lines_is_taken_in_portions(client, log):
    listener = Listener()
    client.segment(Path("a"), ["flood"], Path("b"), {}, listener.callbacks)
    sizes = []
    while not listener.ended:
        before = len(log)
        client.pump()
        sizes.append(len(log) - before)
    assert len(log) == 1000 and max(sizes) <= worker_client.LINES_PER_PUMP


def test_a_worker_that_left_idle_is_replaced(tmp_path):
    environment = {**os.environ, "FAKE_WORKER_LEAVES_ONCE": str(tmp_path / "left")}
    client = WorkerClient(FAKE_WORKER, environment)
    assert run(client, "good").results
    assert (tmp_path / "left").exists()
    client.stop()


def test_stopping_ends_the_process_and_the_job(client):
    listener = Listener()
    client.segment(Path("a"), ["wait-for-cancel"], Path("b"), {}, listener.callbacks)
    pumpUntil(client, lambda: listener.progress)
    pid = client.pid
    client.stop()
    assert listener.errors[0].kind == "cancelled" and client.pid is None
    assert not isAlive(pid)
    client.stop()


def test_a_timer_that_is_handed_in_keeps_the_pump_going_while_the_worker_lives(log):
    due = []
    client = WorkerClient(FAKE_WORKER, dict(os.environ), schedule=lambda ms, f: due.append((ms, f)))
    listener = Listener()
    client.segment(Path("a"), ["good"], Path("b"), {}, listener.callbacks)
    deadline = time.monotonic() + 60
    while not listener.ended and time.monotonic() < deadline:
        assert len(due) == 1
        milliseconds, function = due.pop()
        assert milliseconds == worker_client.PUMP_MILLISECONDS
        function()
        time.sleep(0.01)
    assert listener.results and len(due) == 1
    client.stop()
    due.pop()[1]()
    assert not due


def test_a_callback_that_raises_does_not_end_the_watch(log):
    due = []
    client = WorkerClient(FAKE_WORKER, dict(os.environ), schedule=lambda ms, f: due.append(f))

    def fail(_progress):
        raise RuntimeError("a widget is gone")

    listener = Listener()
    client.segment(Path("a"), ["good"], Path("b"), {}, JobCallbacks(fail, listener.results.append))
    failures = 0
    deadline = time.monotonic() + 60
    while not listener.results and time.monotonic() < deadline:
        try:
            due.pop()()
        except RuntimeError:
            failures += 1
        time.sleep(0.01)
    assert failures == 3 and listener.results
    client.stop()

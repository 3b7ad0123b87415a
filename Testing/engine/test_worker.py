"""The worker's protocol, with real child processes and a scripted engine."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from worker_process import WorkerProcess, cancel_seconds, child_environment

SCRIPTED = str(Path(__file__).with_name("worker_with_scripted_engine.py"))


@pytest.fixture
def worker():
    """A worker that has said it is ready."""
    with WorkerProcess(SCRIPTED) as process:
        process.ready = process.next("ready")
        yield process


def test_ready_names_version_protocol_and_process(worker):
    from agunetr import __version__

    assert worker.ready == {"event": "ready", "version": __version__, "protocol": 1, "pid": worker.process.pid}


def test_starts_without_loading_torch():
    code = (
        "import sys, agunetr.worker, agunetr.worker_loop; "
        "sys.exit(any(m in sys.modules for m in ('torch', 'monai', 'numpy')))"
    )
    subprocess.run([sys.executable, "-c", code], env=child_environment(), check=True)


def test_jobs_one_after_the_other(worker):
    worker.segment("first", "quick", options={"overlap": 0.25})
    assert worker.next("result")["result"] == {"input": "quick", "options": {"overlap": 0.25}, "undefined": None}
    for job in (7, "drei äöü 脾臓"):
        worker.segment(job, "quick")
        assert worker.next("result")["job"] == job


def test_models(worker):
    worker.send({"command": "models"})
    assert worker.next("models") == {"event": "models", "models": [{"name": "scripted"}], "broken": []}


def test_devices_are_listed_while_a_job_runs(worker):
    worker.segment("first", "windows")
    worker.next("progress")
    worker.send({"command": "devices"})
    assert worker.next("devices") == {"event": "devices", "devices": [{"name": "scripted"}]}
    worker.send({"command": "cancel", "job": "first"})
    assert worker.next("error")["kind"] == "cancelled"


def test_second_job_is_refused_and_the_first_goes_on(worker):
    worker.segment("first", "windows")
    worker.next("progress")
    worker.segment("second", "quick")
    refused = worker.next("error")
    assert (refused["job"], refused["kind"]) == ("second", "busy")
    assert refused["remedy"]
    assert worker.next("progress")["job"] == "first"
    worker.send({"command": "cancel", "job": "first"})
    assert worker.next("error")["job"] == "first"


def test_cancel_is_answered_within_two_seconds_and_the_worker_stays(worker):
    worker.segment("a", "windows")
    worker.next("progress")
    started = time.monotonic()
    worker.send({"command": "cancel", "job": "a"})
    error = worker.next("error")
    assert time.monotonic() - started < cancel_seconds()
    assert (error["job"], error["kind"]) == ("a", "cancelled")
    worker.segment("b", "quick")
    assert worker.next("result")["job"] == "b"
    time.sleep(1.7)  # the grace of the first job has run out: it must not hit the worker now
    worker.segment("c", "quick")
    assert worker.next("result")["job"] == "c"


def test_cancel_of_a_job_that_does_not_stop_ends_the_worker_within_two_seconds(worker):
    worker.segment("a", "stubborn")
    started = time.monotonic()
    worker.send({"command": "cancel", "job": "a"})
    error = worker.next("error")
    assert time.monotonic() - started < cancel_seconds()
    assert (error["job"], error["kind"]) == ("a", "cancelled")
    assert worker.exit_code() == 130
    assert "discarded unfinished files\n" in worker.log


def test_cancel_of_another_job_changes_nothing(worker):
    worker.segment("a", "windows")
    worker.send({"command": "cancel", "job": "b"})
    assert "'b'" in worker.next("log", "error")["message"]
    assert worker.next("progress", "error")["event"] == "progress"


def test_progress_is_throttled_and_estimates_the_time_left(worker):
    worker.segment("a", "windows")
    started = time.monotonic()
    events = [worker.next("progress") for _ in range(10)]
    assert time.monotonic() - started > 0.8
    assert events[0] == {
        "event": "progress", "job": "a", "stage": "windows", "done": 0, "total": 1000, "seconds_left": None
    }  # fmt: skip
    assert events[-1]["seconds_left"] > 5


@pytest.mark.parametrize(
    ("volume", "kind", "message"),
    [
        ("refused", "input", "The file is empty."),
        ("broken", "unexpected", "The engine failed: RuntimeError: a fault in the engine"),
        ("hungry", "memory", "The machine ran out of memory."),
    ],
)
def test_a_failed_job_is_reported_and_the_worker_stays(worker, volume, kind, message):
    worker.segment("a", volume)
    error = worker.next("error")
    assert (error["job"], error["kind"], error["message"]) == ("a", kind, message)
    assert error["remedy"]
    worker.segment("b", "quick")
    assert worker.next("result")["job"] == "b"


GARBAGE = [
    b"\x00\xff\xfe garbage\n",
    b"hello\n",
    b"[" * 100_000 + b"\n",
    b"[1, 2]\n",
    b"17\n",
    b'{"command": "fly"}\n',
    b'{"command": ["segment"]}\n',
    b'{"command": "models", "extra": 1}\n',
    b'{"command": "cancel", "job": {"a": 1}}\n',
    b'{"command": "segment", "volume": "quick", "models": ["m"], "output": "o"}\n',
    b'{"command": "segment", "job": "j", "volume": 3, "models": ["m"], "output": "o"}\n',
    b'{"command": "segment", "job": "j", "volume": "quick", "models": [], "output": "o"}\n',
    b'{"command": "segment", "job": "j", "volume": "quick", "models": "m", "output": "o"}\n',
    b'{"command": "segment", "job": "j", "volume": "quick", "models": ["m"], "output": ""}\n',
    b'{"command": "segment", "job": "j", "volume": "quick", "models": ["m"], "output": "a\\u0000b"}\n',
    b'{"command": "segment", "job": "j", "volume": "quick", "models": ["m"], "output": "o", "options": []}\n',
    b'{"command": "segment", "job": "j", "volume": "quick", "models": ["m"], "output": "o", "overwrite": 1}\n',
    b"x" * (3 << 20) + b"\n",
]


def test_garbage_is_answered_and_survived(worker):
    worker.send(b"\n  \n")
    for line in GARBAGE:
        worker.send(line)
        error = worker.next("error", "result", "models")
        assert (error["event"], error["kind"]) == ("error", "request"), line[:80]
        assert error["message"].endswith(".") and len(error["message"]) < 200
        assert error["job"] == ("j" if b'"j"' in line else None)
    worker.segment("b", "quick")
    assert worker.next("result")["job"] == "b"


def test_printing_libraries_do_not_corrupt_the_stream(worker):
    worker.segment("a", "noisy")
    assert worker.next("log")["message"] == "one warning"
    assert worker.next("result") == {"event": "result", "job": "a", "result": {}}
    worker.segment("b", "quick")  # the child of the noisy job did not eat the next request
    assert worker.next("result")["job"] == "b"
    worker.send({"command": "shutdown"})
    assert worker.exit_code() == 0
    log = "".join(worker.log)
    for text in ("noise", "C++ was here", "original Python stream", "child"):
        assert text in log


def test_shutdown_cancels_the_job(worker):
    worker.segment("a", "windows")
    worker.send({"command": "shutdown"})
    last = worker.rest()[-1]
    assert (last["event"], last["kind"]) == ("error", "cancelled")
    assert worker.exit_code() == 0


def test_end_of_input_ends_the_worker(worker, tmp_path):
    worker.segment("a", "marker", output=str(tmp_path / "marker"))
    worker.process.stdin.close()
    assert worker.exit_code(timeout=180) == 0
    assert (tmp_path / "marker").read_text() == "cancelled"


def test_last_line_without_an_end_is_still_read(worker):
    worker.send(b'{"command": "models"}')
    worker.process.stdin.close()
    assert worker.exit_code(timeout=180) == 0


def test_the_reader_of_the_events_is_gone():
    with WorkerProcess(SCRIPTED) as worker:
        worker.next("ready")
        with open(os.devnull, "rb") as nothing:
            os.dup2(nothing.fileno(), worker.process.stdout.fileno())
        worker.segment("a", "windows")
        assert worker.process.wait(180) == 0


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_terminate_cancels_and_leaves(worker, tmp_path):
    worker.segment("a", "marker", output=str(tmp_path / "marker"))
    worker.send({"command": "cancel", "job": "none"})
    worker.next("log")
    worker.process.terminate()
    assert worker.exit_code(timeout=180) == 0
    assert (tmp_path / "marker").read_text() == "cancelled"


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_kill_closes_the_stream_after_whole_lines(worker):
    worker.segment("a", "windows")
    worker.next("progress")
    os.kill(worker.process.pid, signal.SIGKILL)
    assert all(event["event"] == "progress" for event in worker.rest(timeout=180))
    assert worker.exit_code() == -signal.SIGKILL


def test_idle_worker_leaves():
    with WorkerProcess(SCRIPTED, "--idle-minutes", "0.05") as worker:
        worker.next("ready")
        worker.segment("a", "quick")
        worker.next("result")
        assert worker.next("log", timeout=180)["message"] == "The worker leaves: it had nothing to do."
        assert worker.exit_code() == 0


def test_a_long_job_is_not_idle():
    with WorkerProcess(SCRIPTED, "--idle-minutes", "0.03") as worker:
        worker.segment("a", "windows")
        time.sleep(2.5)
        worker.send({"command": "cancel", "job": "a"})
        assert worker.next("error")["kind"] == "cancelled"


@pytest.mark.skipif(os.name == "nt", reason="starts a POSIX launcher")
@pytest.mark.parametrize("watched", ["the direct parent", "a process named by its id"])
def test_worker_leaves_when_its_parent_dies(watched):
    """Standard input stays open here: only the parent's death can end the worker."""
    application = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    arguments = [SCRIPTED]
    if watched != "the direct parent":
        arguments += ["--parent-pid", str(application.pid)]
    launcher = f"import subprocess, sys; subprocess.Popen([sys.executable, *{arguments!r}]).wait()"
    with WorkerProcess("-c", launcher) as worker:
        worker.next("ready")
        started = time.monotonic()
        victim = worker.process if watched == "the direct parent" else application
        victim.kill()
        victim.wait()
        worker.rest(timeout=180)  # ends when the last holder of the output has gone
        assert time.monotonic() - started < cancel_seconds()
    if application.poll() is None:
        application.kill()
        application.wait()


def test_no_event_comes_without_a_request(worker):
    with pytest.raises(queue.Empty):
        worker.next("error", "result", "log", timeout=0.3)

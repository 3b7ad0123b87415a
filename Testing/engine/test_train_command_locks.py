"""The lock of a job: one holder, known by name; left locks are taken over, those of living holders never."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import pytest
from worker_process import child_environment

from agunetr.errors import OutputError
from agunetr_train.runner.job_lock import FILE_NAME, JobLock

LEASE = 0.9
"""Seconds: long enough for a slow machine to renew it, short enough to wait for."""
FOREIGN = "filelock/2\npid=1\nhost=node-17\nmode=lease\ntoken=ab\nduration=0.9\n"


def never() -> bool:
    return False


@pytest.fixture
def foreign(tmp_path):
    """The lock of a process on another machine, last renewed a minute ago."""
    path = tmp_path / FILE_NAME
    path.write_text(FOREIGN, encoding="utf-8")
    os.utime(path, (time.time() - 60, time.time() - 60))
    return path


def child_that_holds(folder, then: str) -> subprocess.Popen:
    script = (
        "import os, sys, time; from pathlib import Path; from agunetr_train.runner.job_lock import JobLock\n"
        f"lock = JobLock(Path(sys.argv[1])); assert lock.acquire(); print('held', flush=True)\n{then}"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(folder)], env=child_environment(), stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, encoding="utf-8",
    )  # fmt: skip
    assert child.stdout.readline() == "held\n"
    return child


def test_one_at_a_time_and_the_holder_is_named(tmp_path):
    child = child_that_holds(tmp_path, "sys.stdin.read(); lock.release()")
    try:
        lock = JobLock(tmp_path)
        assert not lock.acquire()
        holder = lock.holder()
        assert holder.pid == child.pid and holder.silent_seconds < 60
        assert str(holder) == f"process {child.pid} on {holder.host}"
        assert not lock.seems_left() and not lock.watch(never)
    finally:
        child.communicate()
    assert child.returncode == 0 and lock.acquire()
    assert lock.holder().pid == os.getpid()
    lock.release()
    assert lock.holder() is None and list(tmp_path.iterdir()) == []


def test_the_lock_of_a_process_that_is_gone_is_taken_over_at_once(tmp_path):
    child = child_that_holds(tmp_path, "os._exit(9)")
    child.communicate()
    assert (tmp_path / FILE_NAME).is_file()
    lock = JobLock(tmp_path)
    assert lock.acquire() and lock.holder().pid == os.getpid()
    lock.release()


def test_a_silent_lock_of_another_machine_is_watched_and_then_taken_over(tmp_path, foreign):
    lock = JobLock(tmp_path, LEASE)
    assert not lock.acquire() and lock.seems_left()
    assert (lock.holder().host, lock.holder().pid) == ("node-17", 1)
    began = time.monotonic()
    assert lock.watch(never)
    assert time.monotonic() - began >= LEASE * 0.9, "it had its time to show a sign of life"
    lock.release()


def test_a_lock_that_is_renewed_meanwhile_is_left_to_its_holder(tmp_path, foreign):
    lock = JobLock(tmp_path, LEASE)
    threading.Timer(0.2, os.utime, (foreign,)).start()
    assert not lock.watch(never)
    assert foreign.read_text(encoding="utf-8") == FOREIGN


def test_watching_stops_when_asked_to(tmp_path, foreign):
    began = time.monotonic()
    assert not JobLock(tmp_path, 30.0).watch(lambda: True)
    assert time.monotonic() - began < 5


def test_a_holder_learns_that_its_lock_was_taken_over(tmp_path):
    lock = JobLock(tmp_path, LEASE)
    assert lock.acquire() and not lock.lost
    (tmp_path / "other").write_text(FOREIGN, encoding="utf-8")
    os.replace(tmp_path / "other", tmp_path / FILE_NAME)
    until = time.monotonic() + 30
    while not lock.lost and time.monotonic() < until:
        time.sleep(0.02)
    assert lock.lost
    lock.release()
    assert (tmp_path / FILE_NAME).read_text(encoding="utf-8") == FOREIGN, "the other's lock is not removed"


def test_a_folder_that_cannot_hold_a_lock_is_named(tmp_path):
    (tmp_path / "a file").touch()
    with pytest.raises(OutputError, match="job.lock cannot be made"):
        JobLock(tmp_path / "a file").acquire()

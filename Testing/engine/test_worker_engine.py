"""The worker with the real engine: one process, tiny models, a tiny CT."""

from __future__ import annotations

import json
import os
import signal
import time

import numpy as np
import pytest
import SimpleITK as sitk
from worker_process import WorkerProcess, cancel_seconds

# On a starved machine a window may take longer than the usual grace, and the worker would leave.
PATIENT_WORKER = ("-m", "agunetr.worker", "--grace-seconds", "60")
MANY_WINDOWS = {"overlap": 0.9, "window_batch": 2}


@pytest.fixture(scope="module")
def worker(tiny_models):
    """One warm worker for the whole module."""
    with WorkerProcess(*PATIENT_WORKER, AGUNETR_MODELS=str(tiny_models)) as process:
        process.next("ready")
        yield process


@pytest.fixture
def output(tmp_path):
    """A result folder whose parent is there."""
    return tmp_path / "Ergebnis für 脾臓"


def wait_for_windows(worker):
    while "windows" not in worker.next("progress")["stage"]:
        pass


def files_below(folder):
    return [path.name for path in folder.rglob("*")]


def test_segments_and_reports(worker, tiny_ct, output):
    options = {"device": "cpu", "attention": ["all"]}
    worker.segment("j1", str(tiny_ct), str(output), models=["tiny-base", "tiny-gated"], options=options)
    stages = []
    while (event := worker.next("progress", "result", "error"))["event"] == "progress":
        stages.append(event["stage"])
    assert event["event"] == "result", event
    assert event["job"] == "j1"
    assert event["result"] == json.loads((output / "result.json").read_text(encoding="utf-8"))
    assert [model["name"] for model in event["result"]["models"]] == ["tiny-base", "tiny-gated"]
    expected = [
        "result.json",
        "tiny-base.nii.gz",
        "tiny-gated.nii.gz",
        "tiny-gated_enc1.nii.gz",
        "tiny-gated_enc2.nii.gz",
    ]
    assert sorted(files_below(output)) == expected
    assert {"read", "tiny-base: windows", "tiny-gated: windows"} <= set(stages)
    mask, ct = sitk.ReadImage(str(output / "tiny-base.nii.gz")), sitk.ReadImage(str(tiny_ct))
    assert mask.GetSize() == ct.GetSize()
    assert np.allclose(mask.GetOrigin(), ct.GetOrigin(), atol=1e-4)


def test_second_job_is_warm(worker, tiny_ct, output):
    worker.segment("j2", str(tiny_ct), str(output), models=["tiny-base"])
    result = worker.next("result", "error")["result"]
    assert result["seconds"]["load"] < 0.05


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"volume": "nowhere.nii.gz"}, "input"),
        ({"models": ["no-such-model"]}, "model"),
        ({"output": "/no/such/parent/folder"}, "output"),
        ({"options": {"device": "cuda:77"}}, "device"),
        ({"options": {"overlap": 1.5}}, "request"),
        ({"options": {"no_such_option": 1}}, "request"),
    ],
)
def test_refusals_say_what_to_do_and_leave_nothing(worker, tiny_ct, output, change, kind):
    request = {"volume": str(tiny_ct), "models": ["tiny-base"], "output": str(output), **change}
    worker.send({"command": "segment", "job": kind, **request})
    error = worker.next("error", "result")
    assert (error["event"], error["job"], error["kind"]) == ("error", kind, kind)
    assert error["message"].endswith(".")
    assert not files_below(output.parent)


def test_results_are_not_overwritten_unless_asked(worker, tiny_ct, output):
    answers = []
    for overwrite in (False, False, True):
        worker.segment("again", str(tiny_ct), str(output), models=["tiny-base"], overwrite=overwrite)
        answers.append(worker.next("result", "error").get("kind", "result"))
    assert answers == ["result", "output", "result"]


def test_models_event_lists_what_a_panel_needs(worker):
    worker.send({"command": "models"})
    models = {model["name"]: model for model in worker.next("models")["models"]}
    assert models["tiny-gated"]["gates"] == ["enc1", "enc2"]
    assert {"title", "variant", "checksum", "size_bytes", "embedded", "folder"} <= set(models["tiny-base"])


def test_cancel_between_windows_within_two_seconds(worker, tiny_ct, output):
    worker.segment("long", str(tiny_ct), str(output), models=["tiny-fine"], options=MANY_WINDOWS)
    wait_for_windows(worker)
    started = time.monotonic()
    worker.segment("impatient", str(tiny_ct), str(output), models=["tiny-base"])
    assert worker.next("error")["kind"] == "busy"
    worker.send({"command": "cancel", "job": "long"})
    error = worker.next("error", "result")
    assert time.monotonic() - started < cancel_seconds()
    assert (error["job"], error["kind"]) == ("long", "cancelled")
    assert not files_below(output.parent)
    worker.segment("after", str(tiny_ct), str(output), models=["tiny-base"])
    assert worker.next("result", "error")["job"] == "after"


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize("end", ["kill", "terminate", "end of input"])
def test_a_worker_that_ends_leaves_no_file_under_a_final_name(tiny_models, tiny_ct, output, end):
    with WorkerProcess(*PATIENT_WORKER, AGUNETR_MODELS=str(tiny_models)) as worker:
        worker.segment("long", str(tiny_ct), str(output), models=["tiny-fine"], options=MANY_WINDOWS)
        wait_for_windows(worker)
        if end == "kill":
            worker.process.kill()
        elif end == "terminate":
            worker.process.terminate()
        else:
            worker.process.stdin.close()
        assert worker.exit_code(timeout=180) == (-signal.SIGKILL if end == "kill" else 0)
    assert not output.exists()
    if end != "kill":  # a killed process cannot tidy up; its unfinished folder is hidden
        assert not files_below(output.parent)

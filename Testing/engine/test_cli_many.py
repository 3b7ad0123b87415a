"""``agunetr segment`` over many CTs: folders, resuming, the table at the end, and several processes."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys

import pytest
import SimpleITK as sitk
from worker_process import child_environment

from agunetr.cli import main
from agunetr.inference.job import ScanJob


@pytest.fixture(autouse=True)
def models(tiny_models, monkeypatch):
    """The tiny models are installed, and no other process shares the work."""
    monkeypatch.setenv("AGUNETR_MODELS", str(tiny_models))
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    return tiny_models


@pytest.fixture
def cts(tiny_ct, tmp_path):
    """A folder of three CTs, the second of them damaged."""
    folder = tmp_path / "cts"
    folder.mkdir()
    for name in ("a", "c"):
        (folder / f"{name}.nii.gz").write_bytes(tiny_ct.read_bytes())
    (folder / "b.nii.gz").write_bytes(b"no image")
    return folder


def segment(*arguments):
    return main(["segment", *map(str, arguments), "-m", "tiny-base", "--device", "cpu"])


def states(output):
    return {row["case"]: row["state"] for row in json.loads((output / "cases.json").read_text("utf-8"))["cases"]}


def change_times(output):
    return {path: path.stat().st_mtime_ns for path in output.glob("*/*")}


def test_a_folder_of_cts_and_again(cts, tmp_path, capfd):
    output = tmp_path / "out"
    assert segment(cts, "-o", output) == 7
    assert states(output) == {"a": "done", "b": "failed", "c": "done"}
    captured = capfd.readouterr()
    table = captured.out.split("\n\n")[-1].splitlines()
    assert table[0].split() == ["case", "state", "tiny-base", "ml", "seconds", "error"]
    assert table[1].split()[:2] == ["a", "done"] and table[2].split()[:4] == ["b", "failed", "-", "-"]
    assert "b.nii.gz" in table[2] and table[-1] == "1 of 3 CTs failed."
    assert "agunetr: error: b: " in captured.err

    before = change_times(output)
    (cts / "b.nii.gz").write_bytes((cts / "a.nii.gz").read_bytes())
    assert segment(cts, "-o", output) == 0
    assert states(output) == {"a": "skipped", "b": "done", "c": "skipped"}
    assert "a: skipped, an earlier run has finished it" in capfd.readouterr().out
    after = change_times(output)
    assert {path: after[path] for path in before} == before and len(after) == 6

    assert segment(cts, "-o", output, "--threshold", "0.4") == 7
    assert "other options (threshold)" in capfd.readouterr().err
    assert change_times(output) == after
    assert segment(cts, "-o", output, "--threshold", "0.4", "--overwrite") == 0
    assert all(time > after[path] for path, time in change_times(output).items())


def test_what_a_single_call_did_is_not_repeated(cts, tmp_path):
    output = tmp_path / "out"
    output.mkdir()
    assert segment(cts / "a.nii.gz", "-o", output / "a") == 0
    assert segment(cts, "-o", output) == 7
    assert states(output) == {"a": "skipped", "b": "failed", "c": "done"}


def test_events_for_programs(cts, tmp_path, capfd):
    output = tmp_path / "out"
    assert segment(cts / "a.nii.gz", "-o", tmp_path / "elsewhere") == 0
    capfd.readouterr()
    assert segment(cts, "-o", output, "--json") == 7
    assert segment(cts, "-o", output, "--json", "--quiet") == 7
    events = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    spoken = [(event["event"], event.get("case")) for event in events if event["event"] != "progress"]
    started = [("started", "a"), ("started", "b"), ("started", "c")]
    for part, ends in ((spoken[:8], "result"), (spoken[8:], "skipped")):
        assert part[0] == ("listed", None) and part[-1] == ("cases", None)
        assert [spoke for spoke in part if spoke[0] == "started"] == started
        assert [spoke for spoke in part[1:-1] if spoke[0] != "started"] == [(ends, "a"), ("error", "b"), (ends, "c")]
    assert events[0]["cases"][1] == {"case": "b", "input": str(cts / "b.nii.gz"), "output": str(output / "b")}
    assert [event["number"] for event in events if event["event"] == "started"] == [1, 2, 3, 1, 2, 3]
    assert events[-1]["cases"] == json.loads((output / "cases.json").read_text("utf-8"))["cases"]
    assert {event["case"] for event in events if event["event"] == "progress"} == {"a", "b", "c"}


def test_masks_among_the_cts_are_left_out_and_said_so(cts, tmp_path, capfd):
    (cts / "b.nii.gz").unlink()
    mask = sitk.ReadImage(str(cts / "a.nii.gz")) > 100
    sitk.WriteImage(mask, str(cts / "a_spleen.nii.gz"))
    output = tmp_path / "out"
    assert segment(cts, "-o", output, "--json") == 0
    assert states(output) == {"a": "done", "a_spleen": "left out", "c": "done"}
    events = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    left_out = [event for event in events if event["event"] == "left-out"]
    assert [event["case"] for event in left_out] == ["a_spleen"] and "a mask" in left_out[0]["message"]
    assert segment(cts, "-o", output) == 0
    assert "a_spleen: Left out: this is a mask" in capfd.readouterr().out
    assert not (output / "a_spleen").exists()


def test_a_folder_of_masks_alone_is_refused(cts, tmp_path, capfd):
    for name in ("a", "b", "c"):
        sitk.WriteImage(sitk.ReadImage(str(cts / "a.nii.gz")) > 100, str(cts / f"{name}_mask.nii.gz"))
        if name != "a":
            (cts / f"{name}.nii.gz").unlink()
    (cts / "a.nii.gz").unlink()
    assert segment(cts, "-o", tmp_path / "out") == 3
    assert "None of the images is a CT." in capfd.readouterr().err


def start(cts, output, models):
    """The command line as another program starts it."""
    command = [sys.executable, "-m", "agunetr", "segment", str(cts), "-o", str(output), "-m", "tiny-base"]
    return subprocess.Popen(
        [*command, "--device", "cpu", "--json", "--stop-on-input"],
        env=child_environment(AGUNETR_MODELS=str(models)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )


@pytest.mark.parametrize("last_words", ["", "stop\n"])
def test_standard_input_stops_as_an_interrupt_does(last_words, cts, tmp_path, tiny_models):
    output = tmp_path / "out"
    with start(cts, output, tiny_models) as process:
        assert json.loads(process.stdout.readline())["event"] == "listed"
        process.stdin.write(last_words)
        process.stdin.close()  # the end of the program that holds the pipe does this, too
        events = [json.loads(line) for line in process.stdout]
        assert process.wait(timeout=500) == 130
    assert events[-1]["event"] == "error" and events[-1]["kind"] == "cancelled"
    assert not list(tmp_path.rglob(".agunetr-unfinished-*")) and not (output / "c").exists()


def test_a_second_line_on_standard_input_stops_at_once(cts, tmp_path, tiny_models):
    with start(cts, tmp_path / "out", tiny_models) as process:
        assert json.loads(process.stdout.readline())["event"] == "listed"
        process.stdin.write("stop\nnow\n")
        process.stdin.flush()
        assert process.wait(timeout=500) == 130
    assert not list(tmp_path.rglob(".agunetr-unfinished-*"))


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--gate", "enc9"], 4, "enc9"),
        (["--device", "toaster"], 6, "toaster"),
        (["--series", "1.2.3"], 3, "DICOM"),
        (["-o", "no/such/parent"], 5, "no/such"),
    ],
)
def test_what_is_wrong_with_all_is_said_once_and_before_the_work(arguments, code, message, cts, tmp_path, capfd):
    output = tmp_path / "out"
    output.mkdir()
    assert main(["segment", str(cts), "-m", "tiny-base", "-o", str(output), *arguments]) == code
    errors = capfd.readouterr().err
    assert errors.count("agunetr: error: ") == 1 and message in errors
    assert list(output.iterdir()) == []


def test_somebodys_own_table_is_not_replaced(cts, tmp_path):
    (tmp_path / "cases.csv").write_text("patient,age\n")
    assert segment(cts, "-o", tmp_path) == 5
    assert (tmp_path / "cases.csv").read_text() == "patient,age\n" and not (tmp_path / "a").exists()


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_an_interrupted_run_goes_on_where_it_was(cts, tmp_path, monkeypatch, capfd):
    (cts / "b.nii.gz").write_bytes((cts / "a.nii.gz").read_bytes())
    output = tmp_path / "out"
    original, calls = ScanJob.segment, []

    def interrupted(job, *arguments):
        calls.append(job)
        if len(calls) == 2:
            signal.raise_signal(signal.SIGINT)
        return original(job, *arguments)

    with monkeypatch.context() as context:
        context.setattr(ScanJob, "segment", interrupted)
        assert segment(cts, "-o", output) == 130
    assert states(output) == {"a": "done", "b": "cancelled", "c": "not started"}
    assert sorted(path.name for path in output.iterdir()) == ["a", "cases.csv", "cases.json"]
    assert "b: Cancelled" in capfd.readouterr().err
    assert segment(cts, "-o", output) == 0
    assert states(output) == {"a": "skipped", "b": "done", "c": "done"}


def test_processes_share_the_cases(cts, tmp_path, monkeypatch, capfd):
    (cts / "d.nii.gz").write_bytes((cts / "a.nii.gz").read_bytes())
    output = tmp_path / "out"
    monkeypatch.setenv("WORLD_SIZE", "2")
    shown = []
    for rank, code in (("1", 7), ("0", 0)):
        monkeypatch.setenv("RANK", rank)
        assert segment(cts, "-o", output) == code
        shown.append(capfd.readouterr().out)
    assert "[2/4] b" in shown[0] and "[4/4] d" in shown[0] and "[1/4]" not in shown[0]
    assert "[1/4] a" in shown[1] and "[3/4] c" in shown[1] and "[2/4]" not in shown[1]
    assert states(output) == {"a": "done", "b": "failed", "c": "done", "d": "done"}
    with (output / "cases.csv").open(encoding="utf-8", newline="") as stream:
        assert [(row["case"], row["rank"]) for row in csv.DictReader(stream)] == [
            ("a", "0"), ("b", "1"), ("c", "0"), ("d", "1")
        ]  # fmt: skip


def test_a_single_ct_is_for_rank_0(tiny_ct, tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    assert segment(tiny_ct, "-o", tmp_path / "out") == 0
    assert not (tmp_path / "out").exists()
    monkeypatch.setenv("RANK", "0")
    assert segment(tiny_ct, "-o", tmp_path / "out") == 0
    assert (tmp_path / "out" / "result.json").is_file()


def test_torchrun_does_every_case_once_and_a_failure_ends_nobody(cts, tmp_path, tiny_models):
    """The damaged CT is the only one of rank 1, which is done long before rank 0."""
    output = tmp_path / "out"
    done = subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
            "-m", "agunetr", "segment", str(cts), "-m", "tiny-base", "-o", str(output), "--device", "cpu",
        ],
        env=child_environment(AGUNETR_MODELS=str(tiny_models)), capture_output=True, encoding="utf-8", timeout=500,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert states(output) == {"a": "done", "b": "failed", "c": "done"}
    assert sorted(line for line in done.stdout.splitlines() if line.startswith("[")) == [
        "[1/3] a",
        "[2/3] b",
        "[3/3] c",
    ]
    assert "exitcode  : 7" in done.stderr

"""``agunetr segment``: one CT, many, refusals, interruption, and what is printed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from worker_process import cancel_seconds, child_environment

from agunetr.cli import main
from agunetr.commands.exit_codes import UsageError
from agunetr.commands.segment_many import case_names


@pytest.fixture(autouse=True)
def models(tiny_models, monkeypatch):
    """The tiny models are installed."""
    monkeypatch.setenv("AGUNETR_MODELS", str(tiny_models))
    return tiny_models


def segment(*arguments):
    return main(["segment", *map(str, arguments)])


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_one_ct_two_models(tiny_ct, tmp_path, capfd):
    output = tmp_path / "out"
    assert segment(tiny_ct, "--model", "tiny-base", "--model", "tiny-gated", "--attention", "--output", output) == 0
    assert names(output) == [
        "result.json", "tiny-base.nii.gz", "tiny-gated.nii.gz", "tiny-gated_enc1.nii.gz", "tiny-gated_enc2.nii.gz"
    ]  # fmt: skip
    text = capfd.readouterr().out
    assert "tiny-base: " in text and " ml" in text and "Dice between tiny-base and tiny-gated" in text
    assert str(output / "tiny-gated_enc1.nii.gz") in text
    result = json.loads((output / "result.json").read_text(encoding="utf-8"))
    assert result["input"]["path"] == str(tiny_ct)
    for key in ("device", "precision", "warnings", "seconds", "agreement"):
        assert key in result
    assert all(model["checksum"] and model["volume_ml"] >= 0 for model in result["models"])


def test_options_reach_the_engine(tiny_ct, tmp_path):
    arguments = [
        tiny_ct, "-m", "tiny-gated", "-o", tmp_path / "out", "--device", "cpu", "--precision", "exact",
        "--overlap", "0", "--gate", "enc2", "--window-batch", "2", "--threshold", "0.4", "--keep-all-components",
        "--keep-holes", "--no-body-crop", "--quiet",
    ]  # fmt: skip
    assert segment(*arguments) == 0
    assert names(tmp_path / "out") == ["result.json", "tiny-gated.nii.gz", "tiny-gated_enc2.nii.gz"]


def test_a_model_may_be_a_folder(tiny_ct, tiny_models, tmp_path, monkeypatch):
    monkeypatch.setenv("AGUNETR_MODELS", str(tmp_path / "none"))
    assert segment(tiny_ct, "-m", tiny_models / "tiny-base", "-o", tmp_path / "out") == 0


def test_json_lines_and_nothing_else(tiny_ct, tmp_path, capfd):
    assert segment(tiny_ct, "-m", "tiny-base", "-o", tmp_path / "out", "--json") == 0
    events = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert events[-1]["event"] == "result"
    assert events[-1]["result"]["models"][0]["name"] == "tiny-base"
    assert {event["event"] for event in events} == {"progress", "result"}
    assert {event["case"] for event in events} == {"Jürgen 脾臓"}


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["missing.nii.gz", "-m", "tiny-base", "-o", "out"], 3, "missing.nii.gz"),
        (["CT", "-m", "tiny-bse", "-o", "out"], 4, "tiny-base"),
        (["CT", "-m", "tiny-base", "-o", "no/such/parent"], 5, "no/such"),
        (["CT", "-m", "tiny-base", "-o", "out", "--device", "cuda:88"], 6, "Choose"),
        (["CT", "-m", "tiny-base", "-o", "out", "--device", "toaster"], 6, "toaster"),
        (["CT", "-m", "tiny-base", "-o", "out", "--overlap", "1"], 2, "overlap"),
        (["CT", "-m", "tiny-base", "-o", "out", "--threshold", "nan"], 2, "threshold"),
        (["CT", "-m", "tiny-base", "-o", "out", "--gate", "enc9"], 4, "enc9"),
        (["CT", "CT", "-m", "tiny-base", "-o", "out"], 2, "Several CTs"),
        (["CT", "other", "-m", "tiny-base", "-o", "out", "--series", "1.2"], 2, "--series"),
    ],
)
def test_refusals_say_what_is_wrong_and_leave_nothing(arguments, code, message, tiny_ct, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert segment(*[tiny_ct if argument == "CT" else argument for argument in arguments]) == code
    errors = capfd.readouterr().err
    assert "agunetr: error: " in errors and message in errors and "Traceback" not in errors
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten_unless_asked(tiny_ct, tmp_path):
    arguments = [tiny_ct, "-m", "tiny-base", "-o", tmp_path / "out", "--quiet"]
    assert segment(*arguments) == 0
    before = (tmp_path / "out" / "result.json").stat().st_mtime_ns
    assert segment(*arguments) == 5
    assert (tmp_path / "out" / "result.json").stat().st_mtime_ns == before
    assert segment(*arguments, "--overwrite") == 0
    assert (tmp_path / "out" / "result.json").stat().st_mtime_ns != before


def test_a_failed_case_does_not_stop_the_others(tiny_ct, tmp_path, capfd):
    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(b"no image")
    second = tmp_path / "second.nii.gz"
    second.write_bytes(tiny_ct.read_bytes())
    output = tmp_path / "out"
    assert segment(tiny_ct, broken, second, "-m", "tiny-base", "-o", output) == 7
    assert [path.name for path in sorted(output.iterdir())] == ["Jürgen 脾臓", "cases.csv", "cases.json", "second"]
    assert names(output / "second") == ["result.json", "tiny-base.nii.gz"]
    captured = capfd.readouterr()
    assert "[2/3] broken" in captured.out and "1 of 3 CTs failed." in captured.out
    assert "agunetr: error: broken: " in captured.err


def test_case_names():
    assert case_names([Path("a/ct.nii.gz"), Path("b/ct.nii.gz"), Path("b/x.NRRD")]) == ["a_ct", "b_ct", "x"]
    assert case_names([Path("p1.v2.mha"), Path("folder.of.dicom")]) == ["p1.v2", "folder.of.dicom"]
    assert case_names([Path("."), Path("ct.nii")])[0] == Path.cwd().name
    for clash in (["a/ct.nii", "a/ct.mha"], ["x/a/ct.nii", "y/a/ct.nii"], ["a/CT.nii", "a/ct.nii"]):
        with pytest.raises(UsageError, match="Several CTs"):
            case_names([Path(text) for text in clash])


def test_case_names_stay_inside_the_output_folder(tmp_path, monkeypatch):
    (tmp_path / "patient" / "ct").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "patient" / "ct")
    assert case_names([Path(".."), Path("x/.."), Path("../scan.nii")]) == ["patient", "ct", "scan"]
    for path in ("a/.nii.gz", "...nii.gz", ".hidden.nii", "/"):
        with pytest.raises(UsageError, match="would be written to a folder called"):
            case_names([Path(path), Path("ct.nii")])


def test_the_input_is_not_replaced_by_its_mask(tiny_ct, tmp_path, capfd):
    path = tmp_path / "tiny-base.nii.gz"
    path.write_bytes(tiny_ct.read_bytes())
    assert segment(path, "-m", "tiny-base", "-o", tmp_path, "--overwrite") == 5
    assert "would replace the input" in capfd.readouterr().err
    assert path.read_bytes() == tiny_ct.read_bytes() and names(tmp_path) == [path.name]


def run_interrupted(tiny_ct, tiny_models, output, *signals):
    """Starts a long segmentation, interrupts it among its windows, returns exit code, events, and seconds it took."""
    arguments = ["-m", "tiny-fine", "-o", str(output), "--overlap", "0.9", "--window-batch", "2", "--json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "agunetr", "segment", str(tiny_ct), str(tiny_ct.parent / "second.nii.gz"), *arguments],
        env=child_environment(AGUNETR_MODELS=str(tiny_models)), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    lines = []
    for line in process.stdout:
        lines.append(json.loads(line))
        if lines[-1].get("stage") == "windows":
            break
    started = time.monotonic()
    for number in signals:
        process.send_signal(number)
        time.sleep(0.05)
    output_rest, _ = process.communicate(timeout=180)
    lines += [json.loads(line) for line in output_rest.splitlines()]
    return process.returncode, lines, time.monotonic() - started


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize("signals", [(signal.SIGINT,), (signal.SIGTERM,), (signal.SIGINT, signal.SIGINT)])
def test_interruption_is_quick_and_leaves_nothing(signals, tiny_ct, tiny_models, tmp_path):
    output = tmp_path / "out"
    code, events, seconds = run_interrupted(tiny_ct, tiny_models, output, *signals)
    assert code == 130
    assert seconds < cancel_seconds()
    assert (events[-1]["event"], events[-1]["kind"]) == ("error", "cancelled")
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


@pytest.mark.skipif(os.name == "nt", reason="needs a POSIX terminal")
def test_progress_bar_on_a_terminal(tiny_ct, tiny_models, tmp_path):
    import pty

    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "agunetr", "segment", str(tiny_ct), "-m", "tiny-base", "-o", str(tmp_path / "out")],
        env=child_environment(AGUNETR_MODELS=str(tiny_models), TERM="xterm"), stdout=subprocess.PIPE, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:  # Linux reports the closed end of a terminal as an error
            break
        if not part:
            break
        shown += part
    os.close(ours)
    text, _ = process.communicate(timeout=180)
    assert process.returncode == 0
    assert b"windows" in shown and b"%" in shown
    assert b"tiny-base: " in text

"""The Slicer side of AGUNETR Train, without Slicer: experiments, command, child process."""

from __future__ import annotations

import os
import shlex
import sys
import time

import pytest

from AGUNETRTrainLib.experiments import listExperiments
from AGUNETRTrainLib.training_command import (
    TrainingSettings,
    commandText,
    engineEnvironment,
    reasonNotToStart,
    trainingCommand,
)
from AGUNETRTrainLib.training_process import TrainingProcess

posix_only = pytest.mark.skipif(os.name == "nt", reason="signals")


def _run(process, condition=lambda: False, seconds=20.0):
    end = time.monotonic() + seconds
    while process.running and not condition():
        assert time.monotonic() < end, "the child did not end"
        process.pump()
        time.sleep(0.005)


def _process(script, lines, codes, graceSeconds=10.0):
    return TrainingProcess([sys.executable, "-u", "-c", script], os.environ, lines.append, codes.append, graceSeconds)


def test_every_line_arrives_in_order_and_then_the_exit_code():
    lines, codes = [], []
    process = _process("for i in range(1000): print(i)\nraise SystemExit(3)", lines, codes)
    process.start()
    _run(process)
    assert lines == [str(number) for number in range(1000)]
    assert codes == [3] and not process.running


def test_errors_and_odd_bytes_are_lines_too():
    lines, codes = [], []
    script = (
        "import sys\n"
        "sys.stdout.buffer.write(b'\\xff caf\\xc3\\xa9\\r\\n')\nsys.stdout.flush()\n"
        "print('oops', file=sys.stderr)"
    )
    process = _process(script, lines, codes)
    process.start()
    _run(process)
    assert lines == ["\ufffd caf\u00e9", "oops"]


@posix_only
def test_stop_is_an_interrupt_that_the_child_can_answer():
    lines, codes = [], []
    script = (
        "import time\n"
        "try:\n    print('up')\n    time.sleep(60)\n"
        "except KeyboardInterrupt:\n    print('saved')\n    raise SystemExit(130)"
    )
    process = _process(script, lines, codes)
    process.start()
    _run(process, lambda: bool(lines))
    process.stop()
    _run(process)
    assert lines == ["up", "saved"] and codes == [130]


@posix_only
def test_a_deaf_child_is_killed_with_its_children():
    lines, codes = [], []
    script = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(child.pid)\ntime.sleep(60)"
    )
    process = _process(script, lines, codes, graceSeconds=0.1)
    process.start()
    _run(process, lambda: bool(lines))
    process.stop()
    _run(process)
    assert codes == [-9]
    _assert_gone(int(lines[0]))


@posix_only
def test_closing_the_application_kills_at_once_and_calls_nobody():
    lines, codes = [], []
    process = _process("import os, time; print(os.getpid()); time.sleep(60)", lines, codes)
    process.start()
    _run(process, lambda: bool(lines))
    process.stopNow()
    process.pump()
    assert not process.running and codes == []
    _assert_gone(int(lines[0]))


def _assert_gone(pid):
    """An ended process may stay in the table until its parent has asked for its exit code: that counts as gone."""
    for _attempt in range(200):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
                if stat.read().rsplit(")", 1)[1].split()[0] in "ZX":
                    return
        except OSError:
            return
        time.sleep(0.01)
    pytest.fail(f"process {pid} still runs")


def test_the_shipped_experiments_are_listed(project_root):
    experiments = listExperiments(project_root / "AGUNETRTrain" / "Resources" / "Experiments")
    assert experiments and all(experiment.stageNames and experiment.description for experiment in experiments)


def test_a_broken_experiment_is_left_out(tmp_path, caplog):
    (tmp_path / "broken.json").write_text("{", encoding="utf-8")
    (tmp_path / "list.json").write_text("[]", encoding="utf-8")
    (tmp_path / "good.json").write_text('{"stages": [{"name": "first"}]}', encoding="utf-8")
    assert [(found.name, found.description, found.stageNames) for found in listExperiments(tmp_path)] == [
        ("good", "", ("first",))
    ]
    assert "broken.json" in caplog.text and "list.json" in caplog.text


def test_the_command_is_one_that_the_training_program_takes(tmp_path):
    command_line = pytest.importorskip("agunetr.cli")
    settings = TrainingSettings("compact-embedded", str(tmp_path / "my data"), str(tmp_path / "run"), "cuda")
    command = trainingCommand(settings, python="python3")
    assert command[:3] == ["python3", "-m", "agunetr"]
    options = command_line.build_parser().parse_args(command[3:])
    assert (options.command, options.experiment, options.data, options.run_folder, options.device) == (
        "train", "compact-embedded", str(tmp_path / "my data"), str(tmp_path / "run"), "cuda"
    )  # fmt: skip
    if os.name != "nt":
        assert shlex.split(commandText(command)) == command


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, ""),
        ({"experiment": ""}, "Choose an experiment."),
        ({"dataFolder": ""}, "Choose the folder of the labelled cases."),
        ({"dataFolder": "{tmp}/none"}, "There is no folder {tmp}/none: choose the one of the labelled cases."),
        ({"runFolder": ""}, "Choose a folder for the run."),
        ({"runFolder": "{tmp}/a/b"}, "The folder for the run cannot be made, since {tmp}/a is missing"),
        ({"runFolder": "{tmp}/file"}, "{tmp}/file is a file: choose a folder for the run."),
    ],
)
def test_what_is_missing_is_said_before_anything_starts(tmp_path, changes, sentence):
    (tmp_path / "file").touch()
    chosen = {"experiment": "any", "dataFolder": "{tmp}", "runFolder": "{tmp}/run"} | changes
    settings = TrainingSettings(**{name: value.format(tmp=tmp_path) for name, value in chosen.items()})
    reason = reasonNotToStart(settings)
    assert reason.startswith(sentence.format(tmp=tmp_path)) and bool(reason) == bool(sentence)


def test_the_child_finds_both_engines_from_the_source_tree(project_root):
    lines, codes = [], []
    script = "import agunetr, agunetr_train; print(agunetr.__file__)"
    environment = engineEnvironment(project_root / "AGUNETRTrain")
    assert environment["PYTHONIOENCODING"] == "utf-8"
    process = TrainingProcess([sys.executable, "-c", script], environment, lines.append, codes.append)
    process.start()
    _run(process)
    assert codes == [0] and lines[0].startswith(str(project_root / "AGUNETRSegment"))

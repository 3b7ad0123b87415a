"""The whole way of a small experiment: trained, interrupted, gone on with, scored, reported, exported, listed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import tomllib
from tiny_experiments import write_experiment
from worker_process import child_environment

from agunetr.cli import build_parser, command_modules, main
from agunetr.commands import exit_codes
from agunetr.commands.console import JsonConsole
from agunetr.errors import Cancelled, InputError
from agunetr_train.commands import COMMANDS
from agunetr_train.commands.training_packages import PACKAGES
from agunetr_train.experiments.reading import experiment_from, shipped_experiments
from agunetr_train.run_folder import RunFolder

posix_only = pytest.mark.skipif(os.name == "nt", reason="signals")


class Events:
    """A stream of events; raises Ctrl+C in this very process after one of a given name.

    Args:
        interrupt_after: the event's name.
    """

    def __init__(self, interrupt_after: str = "") -> None:
        self.rows: list[dict] = []
        self._interrupt_after = interrupt_after

    def write(self, line: str) -> None:
        self.rows.append(json.loads(line))
        if self.rows[-1]["event"] == self._interrupt_after:
            self._interrupt_after = ""
            signal.raise_signal(signal.SIGINT)

    def flush(self) -> None:
        """Nothing is held back."""

    def of(self, event: str) -> list[dict]:
        return [row for row in self.rows if row["event"] == event]


def command(*arguments: object, interrupt_after: str = "") -> tuple[int, Events]:
    """Run a command here; gives its exit code and events."""
    parsed = build_parser().parse_args([str(argument) for argument in arguments])
    events = Events(interrupt_after)
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    try:
        return parsed.run(parsed, JsonConsole(events)), events
    finally:
        signal.signal(signal.SIGINT, before[0])
        signal.signal(signal.SIGTERM, before[1])


@dataclass(frozen=True)
class Run:
    """A run that was interrupted in its first epoch and gone on with."""

    experiment: Path
    folder: Path
    options: tuple[str, ...]
    first: tuple[int, Events]
    second: tuple[int, Events]


@pytest.fixture(scope="module")
def run(tmp_path_factory, phantom_cases) -> Run:
    folder = tmp_path_factory.mktemp("train")
    experiment = write_experiment(folder, compare=["base", "gated"])
    options = ("--data", str(phantom_cases), "--run", str(folder / "run"), "--device", "cpu")
    first = command("train", experiment, *options, interrupt_after="epoch")
    return Run(experiment, folder / "run", options, first, command("train", experiment, *options))


@posix_only
def test_ctrl_c_stops_after_the_step_and_the_same_command_goes_on(run):
    code, events = run.first
    assert code == exit_codes.CANCELLED
    assert [row["job"] for row in events.of("stopped")] == ["base"]
    assert [row["state"] for row in events.of("jobs")[0]["jobs"]] == ["stopped", "stopped"]
    assert not events.of("report")

    code, events = run.second
    assert code == exit_codes.OK
    started = {row["job"]: row for row in events.of("started")}
    assert started["base"]["goes_on"] and not started["gated"]["goes_on"]
    assert (started["base"]["training"], started["base"]["validation"]) == (["one", "two"], ["three"])
    rows = [json.loads(line) for line in (run.folder / "base" / "metrics.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows if "loss" in row] == [1, 2]


def test_a_faulty_case_can_be_left_out_and_a_changed_one_is_refused(run, phantom_cases, tmp_path):
    data, folder = tmp_path / "data", tmp_path / "run"
    shutil.copytree(phantom_cases, data)
    shutil.copytree(data / "three", data / "five")
    experiment = write_experiment(tmp_path, split={"validation": ["three"], "test": ["four"]})
    way = ("train", experiment, "--run", folder, "--data", data, "--device", "cpu", "--no-report")
    with pytest.raises(InputError, match="are the same image"):
        command(*way)
    shutil.rmtree(data / "five")
    # Stopped as soon as the first job begins: the data was found usable.
    assert command(*way, interrupt_after="started")[0] == exit_codes.CANCELLED
    for name in ("ct.nii.gz", "spleen.nii.gz"):
        shutil.copyfile(data / "one" / name, data / "two" / name)
    with pytest.raises(InputError, match="files of the case two are not those that"):
        command(*way)
    with pytest.raises(Cancelled, match="before the training began"):
        command(*way, interrupt_after="notice")


def test_events_tell_a_panel_all_it_shows(run):
    _, events = run.second
    assert events.rows[0]["event"] == "notice"
    assert events.of("run")[0] == {
        "event": "run", "run": str(run.folder), "experiment": "tiny", "jobs": ["base", "gated"]
    }  # fmt: skip
    told = [(row["event"], row["job"]) for row in events.rows if row["event"] in ("started", "finished")]
    assert told == [("started", "base"), ("finished", "base"), ("started", "gated"), ("finished", "gated")]
    epochs = [row for row in events.of("epoch") if row["job"] == "gated"]
    assert [row["epoch"] for row in epochs] == [1, 2] and all(row["loss"] > 0 for row in epochs)
    assert all(0 <= row["validation_dice"] <= 1 for row in events.of("validated"))
    assert {row["stage"] for row in events.of("progress")} == {"check", "training"}
    scored = json.loads((run.folder / "gated" / "test" / "four.json").read_text(encoding="utf-8"))
    assert events.of("finished")[1]["mean_dice"] == pytest.approx(scored["dice"])
    assert [row["state"] for row in events.of("jobs")[0]["jobs"]] == ["finished", "finished"]
    assert Path(events.of("report")[0]["path"]).is_file()


def test_a_run_keeps_its_data_its_split_and_its_masks(run):
    folder = RunFolder(run.folder)
    assert folder.splits()[0].test == ("four",)
    assert set(json.loads((run.folder / "data.json").read_text())["cases"]) == {"one", "two", "three", "four"}
    assert "Cases: 4, patients: 4" in (run.folder / "data-report.txt").read_text()
    assert (run.folder / "gated" / "test" / "four.nii.gz").is_file()
    assert not list(run.folder.rglob("*.tmp")) and not list(run.folder.glob("*/job.lock"))


def test_a_finished_run_is_left_alone(run):
    before = {path: path.stat().st_mtime_ns for path in run.folder.glob("*/*.pt")}
    code, events = command("train", run.experiment, *run.options, "--no-report")
    assert code == 0 and [row["state"] for row in events.of("skipped")] == ["finished before"] * 2
    assert {path: path.stat().st_mtime_ns for path in run.folder.glob("*/*.pt")} == before
    code, events = command("train", run.experiment, *run.options, "--list-jobs")
    assert [row["state"] for row in events.of("jobs")[0]["jobs"]] == ["finished", "finished"]


def test_a_job_becomes_a_model_that_is_listed(run, tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("AGUNETR_MODELS", str(tmp_path / "models"))
    assert main(["export", str(run.folder), "--job", "2", "--name", "tiny-gated", "--device", "cpu"]) == 0
    assert str(tmp_path / "models" / "tiny-gated") in capfd.readouterr().out
    assert main(["models", "list", "--json"]) == 0
    models = {model["name"]: model for model in json.loads(capfd.readouterr().out)["models"]}
    scored = json.loads((run.folder / "gated" / "test" / "four.json").read_text(encoding="utf-8"))
    assert models["tiny-gated"]["mean_dice"] == pytest.approx(scored["dice"], abs=1e-3)
    assert [source["name"] for source in models["tiny-gated"]["training_data"]] == ["one", "two"]
    assert main(["export", str(run.folder), "--job", "gated", "--name", "tiny-gated"]) == 5
    assert main(["export", str(run.folder), "--job", "base", "--name", "compact-base"]) == 5
    assert main(["export", str(run.folder)]) == 2
    assert main(["export", str(run.folder), "--job", "base", "--role", "localiser"]) == 2
    errors = capfd.readouterr().err
    assert errors.count("agunetr: error: ") == 4 and "Traceback" not in errors


def test_a_report_can_be_made_again_of_another_case_and_elsewhere(run, tmp_path, monkeypatch, capfd):
    asked = []

    def make_report(*arguments, **options):
        options.pop("say")("told to people")
        asked.append((arguments, options))
        return tmp_path / "again" / "index.html"

    monkeypatch.setattr("agunetr_train.report.page.make_report", make_report)
    assert main(["report", str(run.folder), "--output", str(tmp_path / "again"), "--case", "four", "--slice", "3"]) == 0
    assert asked == [((RunFolder(run.folder), tmp_path / "again"), {"case": "four", "slice": 3})]
    told = capfd.readouterr().out
    assert str(tmp_path / "again" / "index.html") in told and "told to people" in told


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["train", "no-such-experiment"], 3, "There is no experiment 'no-such-experiment'"),
        (["train", "{experiment}", "--job", "7"], 3, "has no job '7'"),
        (["train", "{experiment}", "--stage", "third"], 3, "has no stage 'third'"),
        (["train", "{experiment}", "--at-once", "0"], 2, "--at-once is 0"),
        (["train", "{experiment}", "--threads", "-1"], 2, "--threads is -1"),
        (["train", "{experiment}", "--run", "{new}", "--job", "gated"], 3, "continues base, which is not finished"),
        (["train", "{experiment}", "--run", "{new}"], 3, "brings no data"),
        (["train", "{experiment}", "--run", "{new}", "--data", "{folder}/none"], 3, "There is no folder"),
        (["train", "{experiment}", "--run", "{new}", "--device", "tpu"], 6, "no device called 'tpu'"),
        (["train", "smoke", "--run", "{run}"], 3, "another experiment or of other settings"),
        (["train", "{experiment}", "--run", "{folder}", "--data", "{data}"], 3, "is no run and not empty"),
        (["report", "{new}"], 3, "is no run"),
        (["export", "{new}"], 3, "is no run"),
        (["experiments", "show", "no-such-experiment"], 3, "There is no experiment"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(run, phantom_cases, tmp_path, arguments, code, words, capfd):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.txt").touch()
    places = {
        "experiment": run.experiment, "run": run.folder, "data": phantom_cases,
        "new": tmp_path / "new", "folder": tmp_path / "folder",
    }  # fmt: skip
    assert main([argument.format(**places) for argument in arguments]) == code
    errors = capfd.readouterr().err
    assert errors.startswith("agunetr: error: ") and words in errors and len(errors.splitlines()) <= 2
    assert not (tmp_path / "new").exists(), "what was refused leaves nothing behind"


def test_the_list_names_every_shipped_experiment(capfd):
    assert main(["experiments"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(shipped_experiments())
    assert main(["experiments", "list", "--json"]) == 0
    listed = json.loads(capfd.readouterr().out)["experiments"]
    assert {row["name"]: row["jobs"] for row in listed}["study-v2"] == 2


def test_what_is_shown_is_an_experiment_file(run, capfd):
    assert main(["experiments", "show", str(run.experiment)]) == 0
    shown = experiment_from(json.loads(capfd.readouterr().out), "shown")
    assert shown == RunFolder(run.folder).experiment()


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_examples_that_the_parser_takes(name, capsys):
    with pytest.raises(SystemExit):
        main([name, "--help"])
    text = capsys.readouterr().out
    assert f"agunetr {name}" in text.split("examples:")[1]
    assert all(f"{code:<5} {meaning}" in text for code, meaning in exit_codes.MEANINGS.items())
    examples = [line.split("agunetr ", 1)[1].rstrip("'") for line in text.splitlines() if "agunetr " + name in line]
    for example in examples[1:]:
        if not example.startswith("agunetr"):
            build_parser().parse_args(example.replace("$SLURM_ARRAY_TASK_ID", "3").split())


def test_help_loads_nothing_heavy():
    heavy = ("torch", "monai", "ignite", "pydantic", "numpy", "matplotlib", "SimpleITK")
    code = (
        "import sys; from agunetr.cli import build_parser; text = build_parser().format_help(); "
        f"sys.exit('train' not in text or any(name in sys.modules for name in {heavy}))"
    )
    subprocess.run([sys.executable, "-c", code], env=child_environment(), check=True)


@pytest.mark.parametrize("package", ["ignite", "pydantic", "jinja2"])
def test_a_missing_package_is_named_with_the_command_that_installs_it(package, run, monkeypatch, capfd):
    for name in [name for name in sys.modules if name.split(".")[0] in (package, "agunetr_train")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)  # what Python itself takes for "cannot be imported"
    assert main(["report" if package == "jinja2" else "train", str(run.folder), "--json"]) == exit_codes.DEPENDENCIES
    event = json.loads(capfd.readouterr().out.splitlines()[-1])
    assert event["kind"] == "dependencies" and package in event["message"] and "pip install" in event["remedy"]


def test_the_packages_named_are_those_of_the_project(project_root):
    project = tomllib.loads((project_root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extra = [requirement.split(">=")[0].lower() for requirement in project["optional-dependencies"]["train"]]
    assert sorted(name.lower() for name in PACKAGES.values()) == sorted(extra)


def test_without_the_package_of_training_the_engine_has_its_own_commands(tmp_path):
    shutil.copytree(Path(build_parser.__code__.co_filename).parent, tmp_path / "agunetr")
    code = "from agunetr.cli import command_modules; print(*command_modules())"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert done.stdout.split() == [name for name in command_modules() if name not in COMMANDS], done.stderr

"""The benchmark's full-size weights: trained once, gone on with after an interruption, kept outside the project."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from test_benchmark import write_case
from tiny_models import save_tiny

from agunetr_train.experiments.reading import load_experiment

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

from speed import full_size_training as training  # noqa: E402
from speed.rows import NotMeasured  # noqa: E402
from speed.workbench import Workbench  # noqa: E402


@pytest.fixture
def data(tmp_path) -> Path:
    folder = tmp_path / "cases"
    for name, whole in (("a", True), ("b", False), ("c", True), ("d", True), ("e", True)):
        write_case(folder, name, whole_spleen=whole, contrast=name == "c")
    return folder


@pytest.fixture
def commands(monkeypatch) -> list[list[str]]:
    """What would have been run; the training leaves a checkpoint, the export a model."""
    ran: list[list[str]] = []

    def run(command, env, check):
        ran.append(command)
        if "train" in command:
            checkpoint = Path(command[command.index("--run") + 1]) / "full" / "checkpoint_step=1.pt"
            checkpoint.parent.mkdir(parents=True, exist_ok=True)
            checkpoint.touch()
        else:
            save_tiny(Path(command[command.index("--output") + 1]), training.NAME, "unetr")
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(training.subprocess, "run", run)
    return ran


def test_the_experiment_is_one_that_the_trainer_takes(tmp_path):
    file = tmp_path / "filled.json"
    file.write_text(json.dumps(training.filled_experiment(["a", "c"])), encoding="utf-8")
    experiment = load_experiment(file)
    assert experiment.split.training == ("a", "c") and not experiment.split.validation and not experiment.split.test
    config = experiment.network_config(experiment.stage(training.STAGE))
    assert (config.window, config.hidden_size, config.layers) == ((96, 96, 96), 768, 12)


def test_weights_are_trained_once_on_the_timed_ct_first_and_then_found(data, tmp_path, commands):
    bench = Workbench(tmp_path, data=data, cache=tmp_path / "cache", say=lambda _text: None)
    assert bench.ct.file.parent.name == "c"
    assert bench.training_cases == ["c", "a", "d"]
    model = bench.full_size
    assert model.finds_the_organ and "trained on c, a, d" in model.what
    assert [command[3] for command in commands] == ["train", "export"]
    folder = training.training_folder(bench.cache, data, ["c", "a", "d"])
    assert not (folder / "run").exists(), "checkpoints of gigabytes are not kept"
    kept = json.loads((folder / "bench-full-size.json").read_text(encoding="utf-8"))
    assert kept["split"] == {"training": ["c", "a", "d"]}

    again = Workbench(tmp_path, data=data, cache=tmp_path / "cache", may_train=False)
    assert again.full_size.bundle.checksum == model.bundle.checksum and len(commands) == 2
    (data / "c" / "ct.nii.gz").write_bytes(b"another scan")
    assert training.training_folder(bench.cache, data, ["c", "a", "d"]) != folder


def test_a_training_that_stops_keeps_what_it_has(data, tmp_path, commands, monkeypatch):
    def stopped(command, env, check):
        commands.append(command)
        return subprocess.CompletedProcess(command, 130)

    trains = training.subprocess.run
    monkeypatch.setattr(training.subprocess, "run", stopped)
    cases = ["c", "a"]
    kept = training.training_folder(tmp_path / "cache", data, cases) / "run" / "full"
    kept.mkdir(parents=True)
    (kept / "checkpoint_step=3.pt").touch()
    with pytest.raises(NotMeasured, match="code 130"):
        training.train(tmp_path / "cache", data, cases, lambda _text: None)
    assert (kept / "checkpoint_step=3.pt").is_file() and training.trained(tmp_path / "cache", data, cases) is None

    monkeypatch.setattr(training.subprocess, "run", trains)
    training.train(tmp_path / "cache", data, cases, lambda _text: None)
    runs = {command[command.index("--run") + 1] for command in commands if "train" in command}
    assert len(runs) == 1, "the second training goes on in the folder of the first"
    assert training.trained(tmp_path / "cache", data, cases).name == training.NAME


def test_a_damaged_model_is_trained_again(data, tmp_path, commands):
    cases = ["c", "a"]
    model = training.train(tmp_path / "cache", data, cases, lambda _text: None)
    weights = model.folder / "models" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x7f")
    assert training.trained(tmp_path / "cache", data, cases) is None
    training.train(tmp_path / "cache", data, cases, lambda _text: None)
    assert training.trained(tmp_path / "cache", data, cases) is not None


def test_without_labelled_cts_nothing_is_trained(tmp_path, commands):
    bench = Workbench(tmp_path, smoke=True, cache=tmp_path / "cache")
    assert bench.training_cases == [] and not bench.full_size.finds_the_organ
    assert commands == []

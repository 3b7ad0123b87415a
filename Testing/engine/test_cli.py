"""The command line: help, usage, models and everything else that is not segmentation."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest
from worker_process import child_environment

from agunetr import __version__
from agunetr.cli import COMMANDS, build_parser, main
from agunetr.commands import exit_codes
from agunetr.commands import models as models_command
from agunetr.commands.models import size_text
from agunetr.errors import (
    AgunetrError,
    BusyError,
    Cancelled,
    DeviceError,
    InputError,
    MemoryExhausted,
    ModelError,
    OutputError,
)


@pytest.fixture
def library(tiny_models, tmp_path, monkeypatch):
    """A user folder of models that a test may change; no embedded models."""
    from agunetr.models import library as module

    folder = tmp_path / "library"
    shutil.copytree(tiny_models, folder)
    monkeypatch.setenv("AGUNETR_MODELS", str(folder))
    monkeypatch.setattr(module, "embedded_folder", lambda: tmp_path / "nothing embedded")
    return folder


def events(capfd):
    """The events on standard output; anything else there fails."""
    return [json.loads(line) for line in capfd.readouterr().out.splitlines()]


@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS)], ids=" ".join)
def test_help_has_examples_and_exit_codes(command, capsys):
    with pytest.raises(SystemExit) as exit_info:
        main([*command, "--help"])
    assert exit_info.value.code == 0
    text = capsys.readouterr().out
    assert f"agunetr {' '.join(command)}".strip() in text.split("examples:")[1]
    for code, meaning in exit_codes.MEANINGS.items():
        assert f"{code:<5} {meaning}" in text


@pytest.mark.parametrize("action", ["list", "show", "import", "remove"])
def test_help_of_the_models_actions(action, capsys):
    with pytest.raises(SystemExit):
        main(["models", action, "--help"])
    assert f"agunetr models {action}" in capsys.readouterr().out


def test_every_example_of_the_help_is_accepted_by_the_parser():
    import importlib

    parser = build_parser()
    count = 0
    for name in COMMANDS:
        for line in importlib.import_module(f"agunetr.commands.{name}").EXAMPLES.splitlines():
            if line.strip().startswith("agunetr "):
                parser.parse_args(line.split()[1:])
                count += 1
    assert count >= len(COMMANDS)


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from agunetr.cli import build_parser; build_parser().format_help(); "
        "sys.exit(any(name in sys.modules for name in ('torch', 'monai', 'numpy', 'SimpleITK', 'tqdm')))"
    )
    subprocess.run([sys.executable, "-c", code], env=child_environment(), check=True)


def test_python_dash_m():
    done = subprocess.run(
        [sys.executable, "-m", "agunetr", "--version"],
        env=child_environment(),
        check=True,
        capture_output=True,
        encoding="utf-8",
    )
    assert done.stdout.strip() == f"agunetr {__version__}"


@pytest.mark.parametrize(
    "arguments", [[], ["fly"], ["segment"], ["segment", "ct.nii.gz"], ["models", "paint"], ["compare", "a"]]
)
def test_wrong_usage_ends_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as exit_info:
        main(arguments)
    assert exit_info.value.code == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputError("x."), 3), (ModelError("x."), 4), (OutputError("x."), 5), (DeviceError("x."), 6),
        (MemoryExhausted("x."), 6), (MemoryError(), 6), (Cancelled(), 130), (KeyboardInterrupt(), 130),
        (BusyError("x."), 1), (AgunetrError("x."), 1), (RuntimeError("x."), 1), (exit_codes.UsageError("x."), 2),
    ],
)  # fmt: skip
def test_exit_codes_as_documented(error, code):
    assert exit_codes.exit_code(error) == code
    assert code in exit_codes.MEANINGS


def test_models_list(library, capfd):
    assert main(["models", "list"]) == 0
    text = capfd.readouterr().out
    assert "tiny-base" in text and "agunetr-v2" in text and "imported" in text
    assert main(["models", "list", "--json"]) == 0
    (event,) = events(capfd)
    assert [model["name"] for model in event["models"]] == ["tiny-base", "tiny-fine", "tiny-gated"]
    assert main(["models", "--json", "list"]) == 0
    assert events(capfd) == [event]


def test_models_list_names_the_broken_ones(library, capfd):
    (library / "tiny-base" / "models" / "model.safetensors").write_bytes(b"damaged")
    assert main(["models", "list"]) == 0
    text = capfd.readouterr().out
    assert "cannot be used" in text and "tiny-gated" in text
    assert main(["models", "list", "--json"]) == 0
    (event,) = events(capfd)
    assert len(event["broken"]) == 1 and len(event["models"]) == 2


def test_models_list_when_there_is_none(tmp_path, library, monkeypatch, capfd):
    monkeypatch.setenv("AGUNETR_MODELS", str(tmp_path / "none"))
    assert main(["models", "list"]) == 0
    assert "agunetr models import" in capfd.readouterr().out


def test_models_show(library, capfd):
    assert main(["models", "show", "tiny-gated"]) == 0
    text = capfd.readouterr().out
    for part in (
        "agunetr-v2",
        "enc1, enc2",
        "32 x 32 x 32",
        "6 x 6 x 6 mm",
        "-175 to 250 HU",
        "Apache-2.0",
        str(library),
    ):
        assert part in text
    assert main(["models", "show", "tiny-gatde"]) == 4
    assert "tiny-gated" in capfd.readouterr().err


def test_models_remove_and_import(library, tiny_models, capfd):
    assert main(["models", "remove", "tiny-base"]) == 0
    assert not (library / "tiny-base").exists()
    assert main(["models", "remove", "tiny-base"]) == 4
    assert main(["models", "import", str(tiny_models / "tiny-base")]) == 0
    assert (library / "tiny-base").is_dir()
    capfd.readouterr()
    assert main(["models", "import", str(library / "nothing.zip"), "--json"]) == 4
    (event,) = events(capfd)
    assert (event["event"], event["kind"]) == ("error", "model")


def test_a_fault_is_reported_as_one(library, monkeypatch, capfd):
    def fail(*_):
        print("a library prints")
        raise RuntimeError("a fault")

    monkeypatch.setattr(models_command, "_list", fail)
    assert main(["models", "list", "--json"]) == 1
    captured = capfd.readouterr()
    assert json.loads(captured.out)["kind"] == "unexpected"
    assert "a library prints" in captured.err and "Traceback" in captured.err
    assert main(["models", "list"]) == 1
    assert "agunetr: error: A fault in the program: RuntimeError: a fault" in capfd.readouterr().err


def test_a_reader_that_has_seen_enough(library):
    done = subprocess.run(
        f'"{sys.executable}" -m agunetr phantom --help | head -n 1; exit ${{PIPESTATUS[0]}}',
        shell=True, executable=shutil.which("bash"), env=child_environment(), capture_output=True, encoding="utf-8",
    )  # fmt: skip
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("size", "text"), [(12, "12 B"), (1500, "1.5 kB"), (20_000_000, "20.0 MB"), (3_500_000_000, "3.5 GB")]
)
def test_sizes_for_people(size, text):
    assert size_text(size) == text


def test_phantom(tmp_path, capfd):
    folder = tmp_path / "Phantom äß"
    arguments = [
        "phantom",
        "--seed",
        "3",
        "--size",
        "40",
        "36",
        "24",
        "--spacing",
        "8",
        "8",
        "9",
        "--output",
        str(folder),
    ]
    assert main([*arguments, "--json"]) == 0
    (event,) = events(capfd)
    assert sorted(path.name for path in folder.iterdir()) == ["ct.nii.gz", "labels.nii.gz", "spleen.nii.gz"]
    assert event["size"] == [40, 36, 24] and event["spleen_ml"] > 20
    assert main(arguments) == 5
    assert "--overwrite" in capfd.readouterr().err or True
    assert main([*arguments, "--overwrite"]) == 0
    assert "spleen" in capfd.readouterr().out


@pytest.mark.parametrize(
    "wrong", [["--spacing", "0", "1", "1"], ["--seed", "-1"], ["--contrast", "blue"], ["--size", "1", "2", "3"]]
)
def test_phantom_that_cannot_be_made(tmp_path, wrong, capfd):
    assert main(["phantom", "--output", str(tmp_path / "p"), *wrong]) == 2
    assert "agunetr: error: This phantom cannot be made" in capfd.readouterr().err
    assert not (tmp_path / "p").exists()

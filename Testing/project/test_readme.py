"""The README's commands work as they stand there, one after the other, in an empty folder."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
RUNNABLE = [line for language, block in BLOCKS if language == "bash" for line in block.splitlines()]
# What the other blocks hold, and what checks it instead.
ELSEWHERE = {
    "make demo": "tested below, with the phantom in place of the reader's CT",
    "pip install": "make's own set-up installs this way, and the package's build is tested in test_packaging.py",
    "agunetr train": "Testing/engine/test_train_command.py, with small networks",
    "agunetr export": "Testing/engine/test_train_command.py too",
    "torchrun": "Testing/engine/test_trainer_processes.py, with two processes on a CPU",
    "PythonSlicer -m pip download": "needs a network; what it names is compared below with what Setup installs",
}


def run(command: list[str], folder: Path, **variables: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **variables},
        capture_output=True,
        encoding="utf-8",
        timeout=400,
        check=False,
    )


@pytest.fixture(scope="module")
def after_the_commands(tmp_path_factory) -> tuple[Path, dict[str, str]]:
    """Run every runnable command in order; gives the folder and what each printed."""
    folder = tmp_path_factory.mktemp("reader")
    printed = {}
    for line in RUNNABLE:
        program, *arguments = shlex.split(line)
        assert program == "agunetr", f"{line!r}: only agunetr commands can stand in a bash block"
        done = run([sys.executable, "-m", "agunetr", *arguments], folder, AGUNETR_MODELS=str(folder / "models"))
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        printed[line] = done.stdout
    return folder, printed


def test_every_command_of_the_readme_runs(after_the_commands):
    folder, printed = after_the_commands
    assert len(printed) >= 6
    found = {file.name for file in (folder / "result").iterdir()}
    promised = re.findall(r"`(compact-[\w-]+\.nii\.gz|result\.json)`", README)
    assert set(promised) <= found
    assert (folder / "scores.csv").is_file()
    assert any("compact-base" in text and "compact-gated" in text for text in printed.values())


def test_make_demo_writes_what_it_promises(after_the_commands, tmp_path):
    folder, _ = after_the_commands
    done = run(
        [sys.executable, str(ROOT / "Testing/demo/demo.py"), "--ct", "phantom/ct.nii.gz", "--output", str(tmp_path)],
        folder,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    written = {file.name for file in (tmp_path / "ct").iterdir()}
    assert {"overview.png", "scene.mrb", "compact-base.seg.nrrd", "compact-gated.seg.nrrd", "result.json"} <= written


def test_every_other_command_is_checked_somewhere():
    for language, block in BLOCKS:
        if language == "":
            for line in block.splitlines():
                assert any(line.startswith(start) for start in ELSEWHERE), f"nothing checks {line!r}"


def test_the_wheels_to_carry_over_are_what_setup_installs():
    command = next(line for line in README.splitlines() if line.startswith("PythonSlicer -m pip download"))
    requirements = ROOT / "AGUNETRSegment/Resources/AGUNETRSegment-requirements.txt"
    lines = requirements.read_text(encoding="utf-8").splitlines()
    installed = [line.split(";")[0].strip() for line in lines if line and not line.startswith("#")]
    assert shlex.split(command)[7:] == ["torch>=2.8", *installed]


def score_rows() -> list[str]:
    """The rows of the README's table of scores, as the models' metadata state them."""
    scores = {}
    for name in ("compact-base", "compact-gated"):
        metadata = ROOT / "AGUNETRSegment/Resources/Models" / name / "configs/metadata.json"
        scores[name] = json.loads(metadata.read_text(encoding="utf-8"))["agunetr"]["scores"]
    base, gated = scores["compact-base"], scores["compact-gated"]
    rows = []
    for first, second in zip(base["cases"], gated["cases"], strict=True):
        facts = ["contrast" if first["contrast"] else "no contrast", "whole" if first["whole_spleen"] else "cut"]
        facts += [first["label_grade"], first["part"]]
        rows.append(f"| {first['case']} | {' | '.join(facts)} | {first['dice']:.3f} | {second['dice']:.3f} |")
    for title, key in (
        ("mean, contrast and whole spleen", "mean_dice_contrast_whole_spleen"),
        ("mean, all", "mean_dice"),
    ):
        rows.append(f"| {title} | | | | | {base[key]:.3f} | {gated[key]:.3f} |")
    return rows


def test_the_scores_are_those_of_the_models():
    missing = [row for row in score_rows() if row not in README]
    assert not missing, "the README's table lacks:\n" + "\n".join(missing)


def test_every_file_that_the_readme_points_to_exists():
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    missing = [link for link in links if not (ROOT / link).exists()]
    assert not missing

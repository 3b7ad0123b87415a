"""Full-size weights that find the spleen: trained once on labelled CTs, and kept in the user's cache.

They are for timing alone. The network is trained on the very CT that is timed, on purpose: a whole Segment with
localisation can only be held against the dense one where the network finds the organ and little else.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from agunetr.cache_folder import cache_folder
from agunetr.errors import ModelError
from agunetr.models.bundle import ModelBundle, load_bundle
from speed.rows import NotMeasured
from speed.subjects import ROOT, Say, child_environment

EXPERIMENT = ROOT / "Testing" / "benchmarks" / "bench-full-size.json"
STAGE = "full"
NAME = "bench-full-size"
MOST_CASES = 3


def bench_cache() -> Path:
    """Where the weights are kept, in the user's cache folder."""
    return cache_folder() / "bench"


def filled_experiment(cases: Sequence[str]) -> dict[str, Any]:
    """The experiment with the cases that it trains on."""
    return json.loads(EXPERIMENT.read_text(encoding="utf-8")) | {"split": {"training": list(cases)}}


def training_folder(cache: Path, data: Path, cases: Sequence[str]) -> Path:
    """The folder of the weights of this experiment on these very CTs; another experiment or other CTs have another."""
    experiment = filled_experiment(cases)
    made_by = [list(cases), experiment["spacing_mm"], experiment["network"], experiment["stages"]]
    digest = hashlib.sha256(json.dumps(made_by, sort_keys=True).encode())
    for case in cases:
        for name in ("ct.nii.gz", "spleen.nii.gz"):
            state = (data / case / name).stat()
            digest.update(f"{case}/{name} {state.st_size}\n".encode())
    return cache / digest.hexdigest()[:16]


def trained(cache: Path, data: Path, cases: Sequence[str]) -> ModelBundle | None:
    """The weights, where they are there already."""
    folder = training_folder(cache, data, cases) / "models" / NAME
    if not folder.is_dir():
        return None
    try:
        return load_bundle(folder)
    except ModelError:
        return None


def train(cache: Path, data: Path, cases: Sequence[str], say: Say) -> ModelBundle:
    """Train the weights, or go on where an earlier training stopped; hours on a small CPU.

    Raises:
        NotMeasured: the training ended without a model; what it did so far is kept, and the next call goes on.
    """
    folder = training_folder(cache, data, cases)
    models, run = folder / "models", folder / "run"
    models.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(models / NAME, ignore_errors=True)  # only ever a damaged one: a good one is not trained again
    experiment = folder / EXPERIMENT.name
    experiment.write_text(json.dumps(filled_experiment(cases), indent=1) + "\n", encoding="utf-8")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    say(f"Training full-size weights on {', '.join(cases)} ({device}); this happens once and can be interrupted.")
    common = [sys.executable, "-m", "agunetr"]
    options = ["--data", str(data), "--run", str(run), "--device", device, "--no-score", "--no-report"]
    steps = [
        [*common, "train", str(experiment), *options],
        # Whatever the terms of the CTs are: these weights stay in the user's cache.
        [*common, "export", str(run), "--job", STAGE, "--name", NAME, "--output", str(models), "--research-only"],
    ]
    for command in steps:
        code = subprocess.run(command, env=child_environment(), check=False).returncode
        if code:
            raise NotMeasured(
                f"The training of the full-size weights ended with the code {code}; 'make bench' goes on from there."
            )
    shutil.rmtree(run, ignore_errors=True)  # gigabytes of checkpoints that nobody needs any more
    return load_bundle(models / NAME)

"""Two processes that train together end with the weights of one that takes the same patches."""

from __future__ import annotations

import multiprocessing
import os
import socket
import sys
from pathlib import Path

import pytest
import torch
from tiny_training import TinyRun

from agunetr_train.training.checkpoints import read_checkpoint
from agunetr_train.training.metrics_file import read_rows

STAGE = dict(
    variant="agunetr-v1",
    epochs=3,
    steps_per_epoch=1,
    validate_every=3,
    patches_per_step=4,
    accumulation_steps=2,
    gates_frozen_epochs=1,
    deep_supervision=True,
    ema_momentum=0.5,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the processes are forked, to import nothing again")


def _train_together(rank: int, port: int, folder: Path, data: Path, cache: Path) -> None:
    os.environ |= {
        "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
    }  # fmt: skip
    run = TinyRun(folder, data, cache, **STAGE)
    done: list[int] = []
    # The second process alone is asked to stop, and both do; then both go on from the first one's checkpoint.
    first = run.train(stop=lambda: rank == 1 and len(done) == 2, on_step=lambda step, total: done.append(step))
    assert first.stopped and done == [1, 2]
    assert run.train().finished


def test_two_processes_train_as_one(tmp_path, phantom_cases, prepared_cases):
    alone = TinyRun(tmp_path, phantom_cases, prepared_cases, **STAGE)
    assert alone.train().finished
    (tmp_path / "two").mkdir()
    together = TinyRun(tmp_path / "two", phantom_cases, prepared_cases, **STAGE)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    start = multiprocessing.get_context("fork").Process
    processes = [
        start(target=_train_together, args=(rank, port, tmp_path / "two", phantom_cases, prepared_cases))
        for rank in range(2)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(300)
    assert [process.exitcode for process in processes] == [0, 0]

    rows, wanted = (read_rows(run.path / "metrics.jsonl") for run in (together, alone))
    assert [row["epoch"] for row in rows] == [row["epoch"] for row in wanted] == [1, 2, 3, 3]
    assert [row["loss"] for row in rows[:3]] == pytest.approx([row["loss"] for row in wanted[:3]], rel=1e-4)
    assert rows[3]["validation_dice_by_case"] == pytest.approx(wanted[3]["validation_dice_by_case"], rel=1e-2)
    found, expected = (read_checkpoint(run.folder.last_checkpoint(run.job)) for run in (together, alone))
    for part in ("network", "ema", "heads"):
        difference = torch.cat([(found[part][name] - value).abs().ravel() for name, value in expected[part].items()])
        # Adam moves a weight whose gradient is nothing but rounding as far as any other: by the learning rate.
        assert float(difference.mean()) < 1e-5 and float(difference.max()) < 4e-4, part
    kept = sorted(path.name for path in together.path.glob("checkpoint_*"))
    assert kept == ["checkpoint_step=2.pt", "checkpoint_step=3.pt"]

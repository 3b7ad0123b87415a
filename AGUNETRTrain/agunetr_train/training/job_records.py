"""``job.json``, what a job is and what it took, and ``finished.json``, how it ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from agunetr.networks.unetr import GatedUNETR
from agunetr_train.experiments.jobs import Job
from agunetr_train.run_folder import write_record
from agunetr_train.training.distributed import Processes
from agunetr_train.training.metrics_file import MetricsFile, time_shares


def write_job(
    folder: Path,
    job: Job,
    network: GatedUNETR,
    device: torch.device,
    processes: Processes,
    precision: tuple[torch.dtype | None, str],
    notes: list[str],
    peak_memory_bytes: int | None,
) -> None:
    """Write ``job.json``; times are those of the epochs so far.

    Args:
        folder: of the job.
        job: what is trained.
        network: its network.
        device: of this process.
        processes: those that train together.
        precision: what :func:`agunetr_train.training.precision.choose_precision` gave.
        notes: how it is computed.
        peak_memory_bytes: of the device, or of the process where it trains on a CPU; None at the start.
    """
    dtype, reason = precision
    write_record(
        folder / "job.json",
        {
            "name": job.name,
            "number": job.number,
            "stage": job.stage.name,
            "variant": job.stage.variant,
            "fold": job.fold,
            "seed": job.seed,
            "parameters": _count(network),
            "gate_parameters": _count(network.gates),
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else str(device),
            "processes": processes.count,
            "threads": torch.get_num_threads(),
            "precision": str(dtype or torch.float32).removeprefix("torch."),
            "precision_reason": reason,
            "notes": notes,
            "peak_memory_bytes": peak_memory_bytes,
            **time_shares(folder / "metrics.jsonl"),
        },
    )


def write_finished(folder: Path, epochs: int, steps: int, metrics: MetricsFile, stopped_early: bool) -> dict[str, Any]:
    """Write ``finished.json``; a job counts as finished from then on."""
    facts = {
        "epochs": epochs,
        "steps": steps,
        "best_epoch": metrics.best_epoch,
        "best_validation_dice": metrics.best_dice,
        "stopped_early": stopped_early,
        "seconds": round(metrics.total_seconds, 1),
    }
    write_record(folder / "finished.json", facts)
    return facts


def _count(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())

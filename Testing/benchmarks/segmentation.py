"""How long a segmentation takes on this machine, stage by stage, and how much memory it needs.

Segments a phantom of an abdomen, or a CT that is given, with every model of the library: once with everything to load,
once warm. Then it times one window of each full-size network with random weights: what a large model would cost.

Usage:  segmentation.py [--ct FILE] [--device auto] [--json FILE] [--no-full-size]
Exit:   0 measured, 1 there is no model to measure
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

import torch

from agunetr.inference.backends import TorchBackend, choose_device, choose_precision
from agunetr.inference.reading import read_volume
from agunetr.inference.segmenter import Segmentation, Segmenter, SegmentOptions
from agunetr.inference.volume import Volume
from agunetr.models.library import ModelLibrary
from agunetr.networks.variants import build_network, network_config
from agunetr.phantom import make_phantom

FULL_SIZE = ("unetr", "agunetr-v1", "agunetr-v2")


def peak_memory_mib() -> float | None:
    """The most memory that this process has held until now, in MiB; None where the system does not tell."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def measure_models(volume: Volume, device: str) -> list[dict[str, Any]]:
    """One row a model and round; the first round of a model includes loading it."""
    segmenter = Segmenter(SegmentOptions(device=device))
    rows = []
    for bundle in ModelLibrary().list():
        for round_name in ("first", "warm"):
            started = time.perf_counter()
            result: Segmentation = segmenter.segment(volume, bundle)
            rows.append(
                {
                    "model": bundle.name,
                    "round": round_name,
                    "seconds": time.perf_counter() - started,
                    "stages": result.seconds,
                    "windows": result.windows,
                    "device": result.device,
                    "precision": result.precision,
                    "peak_memory_mib": peak_memory_mib(),
                }
            )
            print_row(rows[-1])
    return rows


def measure_full_size(device_name: str) -> list[dict[str, Any]]:
    """Seconds a window of each full-size network, the better of two."""
    device, _reason = choose_device(device_name)
    precision, _reason = choose_precision("auto", device)
    rows = []
    for variant in FULL_SIZE:
        config = network_config(variant, size="full")
        backend = TorchBackend(build_network(config).eval(), device, precision)
        window = torch.rand(1, 1, *config.window)
        seconds = []
        for _round in range(2):
            started = time.perf_counter()
            logits, _maps = backend.predict(window, gates=())
            float(logits.sum())  # waits for a GPU
            seconds.append(time.perf_counter() - started)
        rows.append({"network": variant, "window": list(config.window), "seconds_a_window": min(seconds)})
        where = f"({device}, {precision})"
        print(f"{variant:12s} full size, random weights: {min(seconds):7.2f} s a window {where}", flush=True)
    return rows


def print_row(row: dict[str, Any]) -> None:
    """One line of the table."""
    stages = "  ".join(f"{name} {seconds:.2f}" for name, seconds in row["stages"].items())
    memory = f"{row['peak_memory_mib']:.0f} MiB at most" if row["peak_memory_mib"] else ""
    print(
        f"{row['model']:20s} {row['round']:5s} {row['seconds']:7.2f} s  {row['windows']:3d} windows  "
        f"{row['device']}, {row['precision']}  {memory}  [{stages}]",
        flush=True,
    )


def main(arguments: list[str] | None = None) -> int:
    """Measures and prints; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ct", type=Path, help="a CT file or DICOM folder; default: a phantom")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    parser.add_argument("--no-full-size", action="store_true", help="leave out the full-size networks")
    options = parser.parse_args(arguments)

    volume = read_volume(options.ct)[0] if options.ct else make_phantom(seed=1).ct
    size = " x ".join(map(str, volume.size))
    spacing = " x ".join(f"{step:.2f}" for step in volume.spacing_mm)
    machine = f"{os.cpu_count()} CPU cores, {platform.platform()}"
    print(f"{options.ct or 'phantom, seed 1'}: {size} voxels of {spacing} mm; {machine}")

    rows = measure_models(volume, options.device)
    full_size = [] if options.no_full_size else measure_full_size(options.device)
    if options.json:
        figures = {"torch": torch.__version__, "models": rows, "full_size": full_size}
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    if not rows:
        print("There is no model to measure: train one, or import one with 'agunetr models import'.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

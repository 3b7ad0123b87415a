"""What only whole processes show: a second click in the same worker, and many CTs in one call."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import SimpleITK as sitk

from speed.filling import empty_row
from speed.rows import NotMeasured, Row
from speed.segment_rows import CLICK_SIZE, CLICK_SPACING_MM
from speed.subjects import child_environment, wait_for_end
from speed.workbench import Workbench

INFERENCE = ("prepare", "localise", "windows", "restore")
"""The stages of a Segment that compute the mask; the rest of the worker's time is what a second click pays on top."""
MANY = 20
MOST_REPETITIONS = 3


class WorkerAnswers:
    """A worker as Slicer starts it; segments on request and waits for the answer."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "agunetr.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
            env=child_environment(),
        )

    def __enter__(self) -> WorkerAnswers:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        wait_for_end(self._process)

    def segment(self, job: int, ct: Path, models: list[str], output: Path, options: dict[str, Any]) -> dict[str, Any]:
        """The result of one job.

        Raises:
            NotMeasured: the worker answered with an error, or left.
        """
        request = {"command": "segment", "job": job, "volume": str(ct), "models": models, "output": str(output)}
        self._process.stdin.write(json.dumps(request | {"options": options}) + "\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            event = json.loads(line)
            if event["event"] == "result":
                return event["result"]
            if event["event"] == "error":
                raise NotMeasured(f"The worker answered: {event['message']}")
        raise NotMeasured(f"The worker left with the code {self._process.wait()}.")


def measure_second_click(bench: Workbench, names: list[str]) -> list[Row]:
    """The row ``second-click``: a worker's first job loads; each later one is a second click.

    The CT lies as Slicer hands it over, an uncompressed NRRD. The reference is the job's own inference: the stages
    that compute the mask. What is left is reading, measuring, writing and talking.
    """
    row = empty_row(names[0])
    model = bench.compact[-1]
    ct = bench.ct if bench.smoke else bench.sized(CLICK_SIZE, CLICK_SPACING_MM, ".nii.gz")
    scan = bench.work / "click.nrrd"
    sitk.WriteImage(sitk.ReadImage(str(ct.file)), str(scan), useCompression=False)
    folders = [str(model.bundle.folder)]
    results: list[dict[str, Any]] = []
    with WorkerAnswers() as worker:
        began = time.perf_counter()
        worker.segment(0, scan, folders, bench.work / "click-0", {"device": "cpu"})
        first_s = time.perf_counter() - began
        for number in range(1, bench.repetitions + 1):
            started = time.perf_counter()
            result = worker.segment(number, scan, folders, bench.work / f"click-{number}", {"device": "cpu"})
            row.repetitions["ours"].append(time.perf_counter() - started)
            stages = result["seconds"]
            row.repetitions["reference"].append(sum(stages.get(stage, 0.0) for stage in INFERENCE))
            results.append(result)
            bench.say(f"  {number}/{bench.repetitions} second click: {row.repetitions['ours'][-1]:.3f} s")
    row.details = {
        "input": ct.what,
        "weights": model.what,
        "first_click_s": round(first_s, 3),
        "overhead_s": round(row.ours - row.reference, 4),
        "load_s": max(result["seconds"].get("load", 0.0) for result in results),
        "stages": results[-1]["seconds"],
        "precision": results[-1]["precision"],
        "engine": results[-1]["models"][0].get("engine", "torch"),
    }
    return [row]


def measure_throughput(bench: Workbench, names: list[str]) -> list[Row]:
    """The row ``throughput``: copies of one CT in one call of the command line, and in a call each."""
    row = empty_row(names[0])
    model = bench.compact[0]
    count = 2 if bench.smoke else MANY
    scans = bench.work / "many"
    scans.mkdir(exist_ok=True)
    for number in range(count):
        copy = scans / f"ct{number:02d}.nii.gz"
        if not copy.is_file():
            copy.write_bytes(bench.ct.file.read_bytes())
    files = sorted(map(str, scans.glob("*.nii.gz")))
    repetitions = min(bench.repetitions, MOST_REPETITIONS)
    for number in range(1, repetitions + 1):
        together, apart = bench.work / f"together-{number}", bench.work / f"apart-{number}"
        apart.mkdir()
        row.repetitions["ours"].append(_segment(model.bundle.folder, files, together))
        row.repetitions["reference"].append(
            sum(_segment(model.bundle.folder, [file], apart / Path(file).name.split(".")[0]) for file in files)
        )
        bench.say(
            f"  {number}/{repetitions} {count} CTs: {row.repetitions['ours'][-1]:.2f} s in one call, "
            f"{row.repetitions['reference'][-1]:.2f} s in single calls"
        )
        row.agreement["equal_masks"] = float(_same_masks(together, apart, model.bundle.name))
    row.details = {"input": f"{count} copies of {bench.ct.what}", "weights": model.what, "cts": count}
    row.details["cts_a_minute"] = round(60 * count / row.ours, 2)
    return [row]


def _segment(model: Path, files: list[str], output: Path) -> float:
    """Seconds of one call of the command line, its start included."""
    command = [sys.executable, "-m", "agunetr", "segment", *files, "--quiet", "--device", "cpu"]
    command += ["--model", str(model), "--output", str(output)]
    started = time.perf_counter()
    done = subprocess.run(command, env=child_environment(), capture_output=True, encoding="utf-8", check=False)
    if done.returncode:
        raise NotMeasured(f"'agunetr segment' ended with the code {done.returncode}: {done.stderr.strip()[-300:]}")
    return time.perf_counter() - started


def _same_masks(together: Path, apart: Path, model: str) -> bool:
    """Whether both ways gave the same voxels for every CT."""
    cases = sorted(path.name for path in apart.iterdir())
    return all(
        (
            sitk.GetArrayFromImage(sitk.ReadImage(str(together / case / f"{model}.nii.gz")))
            == sitk.GetArrayFromImage(sitk.ReadImage(str(apart / case / f"{model}.nii.gz")))
        ).all()
        for case in cases
    )

"""What ``agunetr doctor`` tries in child processes: libraries that may crash, hang or print when they are started."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

PROBE_SECONDS = 120

TORCH_PROBE = """
import json, sys
import torch
from agunetr.inference.backends import choose_device, choose_precision
device, why = choose_device("auto")
precision, why_precision = choose_precision("auto", device)
report = {
    "torch": torch.__version__, "threads": torch.get_num_threads(), "device": str(device), "device_reason": why,
    "precision": precision, "precision_reason": why_precision, "cpu": torch.backends.cpu.get_cpu_capability(),
    "cuda_build": torch.version.cuda or torch.version.hip, "gpus": [],
}
if torch.cuda.is_available():
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        gpu = {"name": properties.name, "memory": properties.total_memory, "fault": None}
        try:
            volume = torch.rand(1, 1, 16, 16, 16, device=f"cuda:{index}")
            torch.nn.functional.conv3d(volume, torch.rand(2, 1, 3, 3, 3, device=volume.device)).sum().item()
        except Exception as error:
            gpu["fault"] = str(error).splitlines()[0]
        report["gpus"].append(gpu)
sys.stdout.write("\\n" + json.dumps(report))
"""

OPENVINO_PROBE = """
import json, sys
import numpy
import openvino
from openvino import opset13
image = opset13.parameter([1, 1, 4, 4, 4])
answer = opset13.multiply(image, opset13.constant(numpy.float32(2)))
core = openvino.Core()
compiled = core.compile_model(openvino.Model([answer], [image], "probe"), "CPU")
assert float(compiled([numpy.ones((1, 1, 4, 4, 4), numpy.float32)])[0].sum()) == 128.0, "computes wrongly"
report = {"capabilities": list(core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"))}
sys.stdout.write("\\n" + json.dumps(report))
"""


def report_of(probe: str) -> tuple[dict[str, Any] | None, str]:
    """What one of the programs above reports, or None and what became of it."""
    package_folder = str(Path(__file__).resolve().parents[1])
    path = os.pathsep.join(filter(None, [package_folder, os.environ.get("PYTHONPATH", "")]))
    try:
        done = subprocess.run(
            [sys.executable, "-c", probe],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PROBE_SECONDS,
            env={**os.environ, "PYTHONPATH": path},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return None, f"cannot be tried: {type(error).__name__}"
    if done.returncode != 0:
        last = done.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
        return None, f"does not start (exit code {done.returncode}): {last[-1]}"
    return json.loads(done.stdout.decode().splitlines()[-1]), ""

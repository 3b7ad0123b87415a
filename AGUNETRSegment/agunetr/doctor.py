"""What works on this machine, and what would help: the checks behind ``agunetr doctor``.

PyTorch is tried in a child process: a build that crashes on import, or a GPU driver that hangs, becomes a finding and
not the end of the check.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from agunetr import __version__
from agunetr.doctor_probes import OPENVINO_PROBE, TORCH_PROBE, report_of
from agunetr.doctor_torch import torch_fault

GOOD, HINT, BROKEN = "good", "hint", "broken"

MEMORY_NEEDED = 4e9
MEMORY_COMFORTABLE = 8e9
DISK_NEEDED = 1e9
PACKAGES = ("torch", "monai", "einops", "SimpleITK", "numpy", "scipy", "safetensors")
IN_SLICER = "in Slicer, open Setup in the module AGUNETR Segment"


@dataclass(frozen=True)
class Finding:
    """One thing that was checked.

    Attributes:
        name: what was checked.
        state: ``"good"``; ``"hint"``: works, but something would help; ``"broken"``: segmentation fails because of it.
        found: what was found, one line.
        advice: what would help; empty for good ones.
    """

    name: str
    state: str
    found: str
    advice: str = ""

    def to_dict(self) -> dict[str, str]:
        """The JSON form."""
        return asdict(self)


def examine() -> list[Finding]:
    """Runs every check; none of them raises."""
    checks: tuple[Callable[[], list[Finding]], ...] = (
        check_system, check_packages, check_torch, check_openvino, check_memory, check_disk, check_models
    )  # fmt: skip
    findings: list[Finding] = []
    for check in checks:
        try:
            findings += check()
        except Exception as error:  # a check that fails is a finding like any other
            name = check.__name__.removeprefix("check_")
            findings.append(Finding(name, HINT, f"could not be checked: {type(error).__name__}: {error}", "Report it."))
    return findings


def versions() -> dict[str, str | None]:
    """The versions of the libraries that matter here by their own words, None where one is not installed."""
    found: dict[str, str | None] = {}
    for name in (*PACKAGES, "openvino"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found


def check_system() -> list[Finding]:
    """Versions of AGUNETR, Python and the system."""
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    return [Finding("AGUNETR", GOOD, f"{__version__}, Python {platform.python_version()}, {system}")]


def check_packages() -> list[Finding]:
    """Whether the libraries that segmentation needs are installed."""
    found = {name: version for name, version in versions().items() if name in PACKAGES}
    missing = [name for name, version in found.items() if version is None]
    if not missing:
        return [Finding("libraries", GOOD, ", ".join(f"{name} {version}" for name, version in found.items()))]
    advice = f"Install them: {Path(sys.executable).name} -m pip install {' '.join(missing)}; {IN_SLICER}."
    return [Finding("libraries", BROKEN, f"missing: {', '.join(missing)}", advice)]


def check_torch() -> list[Finding]:
    """PyTorch in a child process: does it start, which device and precision would be taken, do the GPUs compute."""
    report, problem = report_of(TORCH_PROBE)
    if report is None:
        found, advice = torch_fault(problem)
        return [Finding("PyTorch", BROKEN, found, f"{advice}; {IN_SLICER}.")]
    cores = _usable_cores()
    findings = [Finding("PyTorch", GOOD, f"{report['torch']} starts, {report['threads']} threads on {cores} cores")]
    if report["threads"] < cores:
        advice = "Remove OMP_NUM_THREADS from the environment to use all cores."
        findings[0] = Finding("PyTorch", HINT, findings[0].found, advice)
    findings += [_gpu_finding(number, gpu) for number, gpu in enumerate(report["gpus"])]
    if not report["gpus"] and not report["device"].startswith("mps"):
        findings.append(_no_gpu_finding(report["cuda_build"]))
    findings.append(Finding("device", GOOD, f"{report['device']}: {report['device_reason']}"))
    findings.append(Finding("precision", GOOD, f"{report['precision']}: {report['precision_reason']}"))
    state = GOOD if report["cpu"] not in ("DEFAULT", "NO AVX") else HINT
    advice = "" if state == GOOD else "A CPU with AVX2 or newer is several times faster."
    findings.append(Finding("CPU", state, f"{_cpu_name()}, PyTorch uses {report['cpu']}", advice))
    return findings


def _gpu_finding(number: int, gpu: dict[str, Any]) -> Finding:
    found = f"{gpu['name']}, {gpu['memory'] / 1e9:.0f} GB"
    if gpu["fault"]:
        advice = "Install a PyTorch build that fits this GPU and its driver, or use --device cpu."
        return Finding(f"GPU {number}", HINT, f"{found}: cannot compute: {gpu['fault']}", advice)
    return Finding(f"GPU {number}", GOOD, f"{found}, a convolution ran on it")


def _no_gpu_finding(cuda_build: str | None) -> Finding:
    if shutil.which("nvidia-smi") is None:
        advice = "A GPU makes full-size models much faster; compact ones do without."
        return Finding("GPU", HINT, "none found", advice)
    if cuda_build is None:
        return Finding("GPU", HINT, "an NVIDIA driver, but a CPU build of PyTorch", "Install a CUDA build of PyTorch.")
    return Finding("GPU", HINT, "PyTorch finds no GPU", "Update the NVIDIA driver, then restart.")


def check_openvino() -> list[Finding]:
    """Whether the fast CPU engine is installed, and in a child process whether it computes."""
    try:
        version = importlib.metadata.version("openvino")
    except importlib.metadata.PackageNotFoundError:
        advice = f"{Path(sys.executable).name} -m pip install openvino makes CPUs faster."
        return [Finding("OpenVINO", HINT, "not installed, so PyTorch runs the networks on CPUs", advice)]
    report, problem = report_of(OPENVINO_PROBE)
    if report is None:
        advice = "Install OpenVINO again, or choose --engine torch; --engine auto does so by itself where it can."
        return [Finding("OpenVINO", HINT, f"{version} is installed but {problem}", advice)]
    arithmetic = "float32 and bfloat16" if "BF16" in report["capabilities"] else "float32"
    return [Finding("OpenVINO", GOOD, f"{version} computes in {arithmetic} and runs the networks on CPUs")]


def check_memory() -> list[Finding]:
    """Free main memory."""
    total, available = memory_bytes()
    found = f"{available / 1e9:.1f} of {total / 1e9:.1f} GB available"
    if available < MEMORY_NEEDED:
        return [Finding("memory", HINT, found, "Close other programs; large CTs need about 4 GB.")]
    if total < MEMORY_COMFORTABLE:
        return [Finding("memory", HINT, found, "Full-size models and large CTs want 8 GB.")]
    return [Finding("memory", GOOD, found)]


def check_disk() -> list[Finding]:
    """Free space for temporary files and for models."""
    from agunetr.models.library import default_user_folder

    findings = []
    for name, folder in (("temporary files", Path(tempfile.gettempdir())), ("models", default_user_folder())):
        existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
        free = shutil.disk_usage(existing).free
        found = f"{free / 1e9:.1f} GB free for {folder}"
        if not os.access(existing, os.W_OK):
            findings.append(Finding(f"disk, {name}", HINT, f"{existing} is not writable", "Name another folder."))
        elif free < DISK_NEEDED:
            findings.append(Finding(f"disk, {name}", HINT, found, "Free some space."))
        else:
            findings.append(Finding(f"disk, {name}", GOOD, found))
    return findings


def check_models() -> list[Finding]:
    """Every installed model, each file's checksum verified."""
    from agunetr.models.library import ModelLibrary

    library = ModelLibrary()
    findings = [
        Finding(f"model {model.name}", GOOD, f"{model.variant}, {model.size_bytes / 1e6:.1f} MB, verified")
        for model in library.list()
    ]
    if not findings:
        findings.append(Finding("models", BROKEN, "none installed", "Import one: agunetr models import PATH"))
    for folder, reason in library.broken():
        advice = f"Remove it: agunetr models remove {folder.name}"
        findings.append(Finding(f"model {folder.name}", HINT, reason, advice))
    return findings


def memory_bytes() -> tuple[float, float]:
    """Total and available main memory in bytes, a container's limit included on Linux.

    Raises:
        OSError: the system does not say.
    """
    if os.name == "nt":
        return _windows_memory()
    with contextlib.suppress(OSError, ValueError, KeyError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        values = {line.split(":")[0]: 1024.0 * int(line.split()[1]) for line in lines}
        total, available = values["MemTotal"], values["MemAvailable"]
        with contextlib.suppress(OSError, ValueError):  # control group v2; the file says "max" where unlimited
            limit = float(int(Path("/sys/fs/cgroup/memory.max").read_text()))
            used = float(Path("/sys/fs/cgroup/memory.current").read_text())
            total, available = min(total, limit), min(available, max(0.0, limit - used))
        return total, available
    total = float(os.sysconf("SC_PAGE_SIZE")) * os.sysconf("SC_PHYS_PAGES")
    return total, total  # macOS compresses and caches: what is free at the moment says little


def _windows_memory() -> tuple[float, float]:
    import ctypes

    class Status(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ulong), ("load", ctypes.c_ulong)] + [
            (name, ctypes.c_ulonglong)
            for name in ("total", "available", "page", "page_free", "virtual", "virtual_free", "extended")
        ]

    status = Status(length=ctypes.sizeof(Status))
    if not ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):
        raise OSError("GlobalMemoryStatusEx failed")
    return float(status.total), float(status.available)


def _usable_cores() -> int:
    """Cores that this process may use; PyTorch takes one thread a physical core."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with contextlib.suppress(OSError, ValueError, IndexError):
        lines = Path("/proc/cpuinfo").read_text().split("\n\n")
        physical = {
            (line_value(block, "physical id"), line_value(block, "core id")) for block in lines if block.strip()
        }
        return min(affinity, len(physical)) if ("", "") not in physical else affinity
    return max(1, affinity // 2) if platform.machine() in ("x86_64", "AMD64") else affinity


def line_value(block: str, key: str) -> str:
    """The value of ``key`` in lines of the form ``key : value``; empty where there is none."""
    return next((line.split(":", 1)[1].strip() for line in block.splitlines() if line.split(":")[0].strip() == key), "")


def _cpu_name() -> str:
    with contextlib.suppress(OSError):
        return line_value(Path("/proc/cpuinfo").read_text(), "model name") or platform.machine()
    return platform.processor() or platform.machine()

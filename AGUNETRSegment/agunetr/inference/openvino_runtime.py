"""OpenVINO on this machine: whether it works, what its CPU can do, how it is set. Imports it only when asked."""

from __future__ import annotations

import functools
import importlib.util
from typing import TYPE_CHECKING, Any

from agunetr.errors import DeviceError

if TYPE_CHECKING:
    import openvino

INSTALL = "Install it: pip install agunetr[fast]"
NOT_INSTALLED = "it is not installed"


class EngineFault(DeviceError):
    """An engine is there but cannot run this network."""


@functools.cache
def openvino_fault() -> str:
    """Why OpenVINO cannot be used here, as the second half of a sentence; empty where it can."""
    if importlib.util.find_spec("openvino") is None:
        return NOT_INSTALLED
    try:
        if "CPU" not in core().available_devices:
            return "it finds no CPU that it can use"
    except Exception as error:  # a broken installation fails in its own way: missing libraries, wrong architecture
        return f"it does not start here ({first_reason(error)})"
    return ""


@functools.cache
def core() -> openvino.Core:
    """OpenVINO itself, one a process."""
    import openvino

    return openvino.Core()


def openvino_version(parts: int | None = None) -> str:
    """Version and build, or only its first ``parts`` numbers, for example ``2026.4``."""
    import openvino

    version = openvino.get_version()
    return version if parts is None else ".".join(version.split("-")[0].split(".")[:parts])


def cpu_name() -> str:
    """The CPU as OpenVINO names it."""
    return str(core().get_property("CPU", "FULL_DEVICE_NAME"))


def cpu_capabilities() -> tuple[str, ...]:
    """What OpenVINO computes on this CPU, for example ``("FP32", "INT8", "BF16")``."""
    return tuple(sorted(core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")))


def settings(precision: str, threads: int) -> dict[str, Any]:
    """How a network is compiled and run: for the shortest time of one window.

    Args:
        precision: ``"exact"`` or ``"fast"``; without a hint OpenVINO would take bfloat16 wherever the CPU has it.
        threads: of one inference.

    Raises:
        EngineFault: fast, on a CPU on which OpenVINO has no bfloat16.
    """
    if precision == "fast" and "BF16" not in cpu_capabilities():
        raise EngineFault(
            "OpenVINO does not compute in bfloat16 on this CPU.", "Choose the precision exact, or the engine torch."
        )
    return {
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "fast" else "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": threads,
        # Threads bound to cores are faster by little when alone, and far slower when two processes are bound to the
        # same ones.
        "ENABLE_CPU_PINNING": False,
    }


def first_reason(error: BaseException) -> str:
    """The line of an error that says something: OpenVINO's begin with the places in its source."""
    lines = [line.strip() for line in str(error).splitlines()]
    telling = [line for line in lines if line and not line.startswith("Exception from")]
    return (telling[0] if telling else type(error).__name__).rstrip(".:")

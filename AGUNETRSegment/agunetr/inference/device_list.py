"""Where networks can run on this machine, for a list that a user chooses from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch

from agunetr.doctor import memory_bytes
from agunetr.errors import DeviceError
from agunetr.inference.devices import choose_device, device_title


@dataclass(frozen=True)
class FoundDevice:
    """One device.

    Attributes:
        name: what the option ``device`` takes.
        title: what a user reads.
        free_bytes: memory that can still be taken, None where the system does not say.
        total_bytes: all of its memory, None where the system does not say.
        fault: why it cannot run the networks; empty where it can.
    """

    name: str
    title: str
    free_bytes: int | None = None
    total_bytes: int | None = None
    fault: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return asdict(self)


def found_devices() -> list[FoundDevice]:
    """Every GPU that PyTorch finds, each tried with a small convolution, then the CPU."""
    return [*_gpus(), _cpu()]


def _gpus() -> Iterator[FoundDevice]:
    names = [f"cuda:{number}" for number in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    if torch.backends.mps.is_available():
        names.append("mps")
    for name in names:
        title = _title(name)
        try:
            choose_device(name)
        except DeviceError as error:
            yield FoundDevice(name, title, fault=error.message)
            continue
        free, total = torch.cuda.mem_get_info(name) if name != "mps" else (None, None)
        yield FoundDevice(name, title, free, total)


def _cpu() -> FoundDevice:
    try:
        total, free = (int(value) for value in memory_bytes())
    except (OSError, ValueError):
        total = free = None
    return FoundDevice("cpu", _title("cpu"), free, total)


def _title(name: str) -> str:
    """The device without the article that a sentence would need."""
    title = device_title(torch.device(name)).removeprefix("The ").removeprefix("GPU ")
    return f"{title} ({name})" if name.startswith("cuda") else title

"""Several processes train one network together: ``torchrun`` starts them, and here they find each other.

Started without it, there is one process and nothing is set up.
"""

from __future__ import annotations

import atexit
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import ignite.distributed as idist
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from agunetr.errors import DeviceError
from agunetr.inference.devices import choose_device

PATIENCE = timedelta(hours=4)
"""How long a process waits for the others: the first one may prepare all cases, or fetch them, meanwhile."""


@dataclass(frozen=True)
class Processes:
    """Where this process stands among those that train together.

    Attributes:
        rank: from 0; the process of rank 0 writes all files.
        count: of processes on all machines.
        on_this_machine: of processes on this machine.
    """

    rank: int = 0
    count: int = 1
    on_this_machine: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def wait(self) -> None:
        """Until every process is here."""
        if self.count > 1:
            idist.barrier()

    @contextmanager
    def first_goes_ahead(self) -> Iterator[None]:
        """The first process does what is inside; then the others do it, and find files made."""
        if not self.is_first:
            self.wait()
        yield
        if self.is_first:
            self.wait()

    def told_by_first(self, text: str) -> str:
        """What the first process says, to every one."""
        return idist.broadcast(text, src=0) if self.count > 1 else text

    def gather(self, values: Sequence[float], device: torch.device) -> Tensor:
        """The values of all processes: (processes, values) float64 on ``device``, or on the CPU where there is one."""
        if self.count == 1:
            return torch.tensor([values], dtype=torch.float64)
        return idist.all_gather(torch.tensor([values], dtype=torch.float64, device=device))


def join_processes(device: torch.device) -> Processes:
    """Find the other processes that ``torchrun`` started; does nothing the second time.

    Args:
        device: of this process; GPUs talk through NCCL, CPUs through Gloo.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        return Processes()
    if not torch.distributed.is_initialized():
        idist.initialize("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
        atexit.register(_leave)
    return Processes(idist.get_rank(), idist.get_world_size(), idist.get_nproc_per_node())


def training_device(wanted: torch.device | str) -> tuple[torch.device, str]:
    """The device of this process, and why that one.

    Args:
        wanted: see :func:`agunetr.inference.devices.choose_device`; without a number, each process that ``torchrun``
            started on a machine takes a GPU of its own.

    Raises:
        DeviceError: there is no such device, or there are more processes than GPUs.
    """
    device, reason = choose_device(str(wanted))
    if device.type != "cuda" or device.index is not None or "LOCAL_RANK" not in os.environ:
        return device, reason
    number, gpus = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
    if number >= gpus:
        raise DeviceError(
            f"torchrun started more processes than this machine has GPUs ({gpus}).", f"Start {gpus} a machine."
        )
    return torch.device("cuda", number), reason


def wrapped(module: nn.Module, processes: Processes, device: torch.device) -> nn.Module:
    """``module`` itself, or the form of it that adds up the gradients of all processes."""
    if processes.count == 1:
        return module
    for name, weight in module.named_parameters():
        # Today's MONAI carries weights for cross-attention, which UNETR has not; who waits for their gradients waits
        # for ever. Without a gradient AdamW leaves them as they are, also in a single process.
        if "cross_attn" in name:
            weight.requires_grad_(False)
    # Gradients of 1x1x1 convolutions can be laid out in two ways, which torch says once and which costs nothing here.
    warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")
    return DistributedDataParallel(module, device_ids=[device] if device.type == "cuda" else None)


def _leave() -> None:
    if torch.distributed.is_initialized():
        idist.finalize()

"""Which of the cases this process does, where ``torchrun`` or a cluster's scheduler started several.

``torchrun`` tells its processes their places in the variables RANK, WORLD_SIZE and LOCAL_RANK. Case *i* (from 0)
belongs to the process of rank *i* modulo WORLD_SIZE: nothing has to be agreed on while they run.

Where it starts several processes on a machine and OMP_NUM_THREADS is not set, torchrun sets it to 1: a network on the
CPU would then use one core of many. :func:`give_threads_back` undoes that.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from datetime import timedelta

from agunetr.worker_requests import RequestError

TORCHRUN = "TORCHELASTIC_RUN_ID"
"""Set by torchrun and by nothing else."""
THREADS = "OMP_NUM_THREADS"
CONNECT_SECONDS = 60.0
ASK_SECONDS = 0.2
_COUNTER = "agunetr-segment-finished"


@dataclass(frozen=True)
class Share:
    """This process's place among those that share the cases.

    Attributes:
        rank: from 0 to ``processes`` - 1.
        processes: how many share the cases, on all machines together.
        local_rank: the place among the processes of this machine, from 0.
    """

    rank: int = 0
    processes: int = 1
    local_rank: int = 0

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Share:
        """From RANK, WORLD_SIZE and LOCAL_RANK; everything where neither of the first two is set.

        Raises:
            RequestError: one of them is missing or no number, or the rank is not below the number of processes.
        """
        if not environment.get("RANK") and not environment.get("WORLD_SIZE"):
            return cls()
        values = {}
        for name, default in (("RANK", ""), ("WORLD_SIZE", ""), ("LOCAL_RANK", "0")):
            text = environment.get(name) or default
            if not (text.isascii() and text.isdigit()):
                raise RequestError(
                    f"The environment variable {name} is {text!r}, not a whole number.",
                    "Start the processes with torchrun, or unset RANK and WORLD_SIZE to work alone.",
                )
            values[name] = int(text)
        if values["RANK"] >= values["WORLD_SIZE"]:
            raise RequestError(
                f"RANK is {values['RANK']}, but WORLD_SIZE is {values['WORLD_SIZE']}.",
                "Ranks are counted from 0; start the processes with torchrun.",
            )
        return cls(values["RANK"], values["WORLD_SIZE"], values["LOCAL_RANK"])

    def holds(self, index: int) -> bool:
        """Whether the case at this place of the list, from 0, is this process's."""
        return index % self.processes == self.rank

    def device(self, wanted: str) -> str:
        """``"cuda:N"``, a GPU for each process of a machine, where no certain one is wanted; else ``wanted``.

        Processes share GPUs where there are more of them.
        """
        if self.processes == 1 or wanted not in ("auto", "cuda"):
            return wanted
        import torch

        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        return f"cuda:{self.local_rank % count}" if count else wanted


def give_threads_back(environment: MutableMapping[str, str], cores: int | None = None) -> str:
    """Share the CPU's cores among torchrun's processes on this machine, where it left each of them one.

    To be called before torch is imported, which reads the variable once; a torch that is there already is told.

    Args:
        environment: of the process; OMP_NUM_THREADS is changed in it.
        cores: how many there are; asked of the system where None.

    Returns:
        A sentence on what was changed; empty where nothing was, as where OMP_NUM_THREADS is another number than 1.
    """
    processes = environment.get("LOCAL_WORLD_SIZE", "")
    if TORCHRUN not in environment or environment.get(THREADS) != "1" or not processes.isdecimal():
        return ""
    threads = (cores or _cores()) // max(1, int(processes))
    if threads < 2:
        return ""
    environment[THREADS] = str(threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
    return f"torchrun leaves each process one thread ({THREADS}); now each of the {processes} here uses {threads}."


def _cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def wait_for_the_others(share: Share, environment: Mapping[str, str], stop: Callable[[], bool] = lambda: False) -> None:
    """Wait until every process has called this; ``torchrun`` ends all as soon as one returns a code other than 0.

    So a process with a failed case must not return before the others are done. Does nothing without torchrun, where
    nobody ends the others.

    Args:
        stop: asked while waiting; the wait ends where it says so.

    Raises:
        RuntimeError: torchrun's store cannot be reached.
    """
    if share.processes == 1 or TORCHRUN not in environment:
        return
    from torch.distributed.rendezvous import rendezvous

    store, _, _ = next(iter(rendezvous("env://", timeout=timedelta(seconds=CONNECT_SECONDS))))
    finished = store.add(_COUNTER, 1)
    while finished < share.processes and not stop():
        time.sleep(ASK_SECONDS)
        try:
            finished = store.add(_COUNTER, 0)
        except RuntimeError:  # where rank 0 keeps the store, it leaves with it: when all are done
            return

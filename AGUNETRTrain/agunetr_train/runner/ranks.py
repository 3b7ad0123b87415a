"""What the processes of one ``torchrun`` have to agree on before and between trainings.

Rank 0 looks at the run's folder and decides; the others are told. That goes through the store by which torchrun's
processes find each other anyway, so it works before any process group is made and whatever the device is. Alone, a
process agrees with itself.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from agunetr.errors import AgunetrError, Cancelled
from agunetr.many_scans.share import CONNECT_SECONDS, Share

ASK_SECONDS = 0.2
_PREFIX = "agunetr-train"


class Ranks:
    """The processes that train together.

    Args:
        share: this process's place among them.
        stop: whether this process was asked to stop; asked while it waits for the others.
    """

    def __init__(self, share: Share, stop: Callable[[], bool] = lambda: False) -> None:
        self.share = share
        self._stop = stop
        self._store: Any = None
        self._decisions = 0
        self._meetings = 0
        if self.several:
            from torch.distributed.rendezvous import rendezvous

            self._store, _, _ = next(iter(rendezvous("env://", timeout=timedelta(seconds=CONNECT_SECONDS))))

    @property
    def several(self) -> bool:
        """Whether there is more than one."""
        return self.share.processes > 1

    @property
    def first(self) -> bool:
        """Whether this is rank 0, which writes the run's folder and speaks."""
        return self.share.rank == 0

    def decide(self, decision: Callable[[], Any]) -> Any:
        """What rank 0's ``decision`` gives, a JSON value; the others wait for it and do not call theirs.

        Raises:
            AgunetrError: rank 0's decision was refused; the others end quietly.
            Cancelled: the wait was stopped.
        """
        if not self.several:
            return decision()
        self._decisions += 1
        key = f"{_PREFIX}/decision/{self._decisions}"
        if not self.first:
            self._wait(lambda: self._store.check([key]))
            told = json.loads(self._store.get(key))
            if "refused" in told:
                raise Cancelled("The process of rank 0 could not go on and says why.")
            return told["value"]
        try:
            value = decision()
        except BaseException as error:
            self._store.set(key, json.dumps({"refused": type(error).__name__}))
            raise
        self._store.set(key, json.dumps({"value": value}))
        return value

    def meet(self) -> None:
        """Wait until every process is here.

        Raises:
            Cancelled: the wait was stopped.
        """
        if not self.several:
            return
        self._meetings += 1
        key = f"{_PREFIX}/meeting/{self._meetings}"
        self._store.add(key, 1)
        self._wait(lambda: self._store.add(key, 0) >= self.share.processes)

    def _wait(self, ready: Callable[[], bool]) -> None:
        try:
            while not ready():
                if self._stop():
                    raise Cancelled("Stopped while waiting for the other processes; the same command goes on.")
                time.sleep(ASK_SECONDS)
        except RuntimeError as error:  # torch names no class for a store that is gone
            raise AgunetrError(
                f"The other processes cannot be reached any more ({error}).", "The same command goes on."
            ) from error

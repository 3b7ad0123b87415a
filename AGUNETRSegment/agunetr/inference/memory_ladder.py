"""What is given up, one step after the other, where a device has too little memory.

    1. the networks of other models, which only wait there for their next use
    2. half as many windows at once, down to one
    3. the sums in the machine's memory instead of the device's
    4. the CPU instead of the device, if the user allows it

The first three go on where the memory ran out: what was summed up stays. The fourth begins anew, so that one engine in
one precision answers for the whole mask. Nothing is given up in silence: each step leaves a notice and a line in the
log, and where no step is left the error says what else can be done.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import torch

from agunetr.errors import MemoryExhausted, Notice

NOTICE = "memory-ladder"

_log = logging.getLogger(__name__)


class MemoryLadder:
    """The steps of one inference.

    Args:
        device: what computes the windows.
        batch: windows computed at once, to begin with.
        stitch_on: where the sums lie, to begin with.
        tell: told each step.
        make_room: frees what is not needed now, and says whether there was any; None where nothing can be freed.

    Attributes:
        batch: windows to compute at once now.
        stitch_on: where the sums belong now.
    """

    def __init__(
        self,
        device: torch.device,
        batch: int,
        stitch_on: torch.device,
        tell: Callable[[Notice], None] | None = None,
        make_room: Callable[[], bool] | None = None,
    ) -> None:
        self._device, self._told, self._make_room = device, tell, make_room
        self.batch = batch
        self.stitch_on = stitch_on

    def step_down(self, error: MemoryExhausted, tried: int = 0) -> None:
        """Take the next step.

        Args:
            error: what happened.
            tried: how many windows were computed at once when it happened; 0 where no window was being computed.

        Raises:
            MemoryExhausted: no step is left.
        """
        if self._make_room is not None and self._make_room():
            self._tell(error, "the networks of other models were taken off it")
        elif tried > 1:
            self.batch = tried // 2
            now = "one window was" if self.batch == 1 else f"{self.batch} windows were"
            self._tell(error, f"{now} computed at a time instead of {tried}")
        elif self.stitch_on.type != "cpu":
            self.stitch_on = torch.device("cpu")
            self._tell(error, "the windows' answers were put together in the machine's own memory, which is slower")
        elif self._device.type == "cpu":
            raise error
        else:
            raise MemoryExhausted(
                f"{error.message.rstrip('.')}, even with one window at a time.",
                "Allow the CPU to take over (--allow-cpu), close other programs that use the GPU, choose a compact "
                "model, or crop the scan to the abdomen.",
            )

    def _tell(self, error: MemoryExhausted, step: str) -> None:
        notice = step_notice(error, step)
        if self._told is not None:
            self._told(notice)


def step_notice(error: MemoryExhausted, step: str) -> Notice:
    """The notice of a step, which the log gets at once; ``step`` goes on from "..., so "."""
    notice = Notice(NOTICE, f"{error.message.rstrip('.')}, so {step}.")
    _log.warning(notice.message)
    return notice

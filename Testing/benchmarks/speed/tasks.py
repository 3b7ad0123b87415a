"""What a task is, and the tasks by name.

A task is made once (it loads networks and warms them up) and then run several times. Only :meth:`Task.run` is timed;
:meth:`Task.facts` says afterwards what came out, as plain JSON values, and writes masks where it was told to.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, Protocol

import numpy as np

TASKS = {
    "peak": "speed.peak:PeakTask",
    "window-ours": "speed.window_tasks:OurWindow",
    "window-monai": "speed.window_tasks:MonaiWindow",
    "pre-post-ours": "speed.pre_post_tasks:OurPrePost",
    "pre-post-monai": "speed.pre_post_tasks:MonaiPrePost",
    "stitching-ours": "speed.stitching_tasks:OurStitching",
    "stitching-monai": "speed.stitching_tasks:MonaiStitching",
    "segment-ours": "speed.segment_tasks:OurSegment",
    "segment-monai": "speed.segment_tasks:MonaiSegment",
    "trial-window": "speed.trial_tasks:WindowTrial",
    "trial-accumulator": "speed.trial_tasks:AccumulatorTrial",
    "train-step-ours": "speed.train_tasks:OurStep",
    "train-step-monai": "speed.train_tasks:MonaiStep",
    "train-draw": "speed.train_tasks:OurDraw",
    "job-ours": "speed.segment_tasks:OurJob",
}


class Task(Protocol):
    """Something to run again and again."""

    def run(self) -> Any:
        """What is timed."""
        ...

    def facts(self, value: Any) -> dict[str, Any]:
        """What :meth:`run` returned, as JSON values."""
        ...


def make_task(name: str, arguments: dict[str, Any]) -> Task:
    """A task by its name; imports what that task needs and nothing else.

    Raises:
        KeyError: there is no task of that name.
        agunetr.errors.AgunetrError: it cannot run here.
        speed.rows.NotMeasured: a feature is missing.
    """
    module, _, attribute = TASKS[name].partition(":")
    return getattr(importlib.import_module(module), attribute)(**arguments)


def keep_mask(mask: np.ndarray, file: str | None) -> None:
    """Write a mask for the comparison afterwards, one bit a voxel."""
    if file is not None:
        np.savez(file, bits=np.packbits(mask.astype(bool)), shape=mask.shape)


def kept_mask(file: str | Path) -> np.ndarray:
    """A mask that :func:`keep_mask` wrote; bool."""
    with np.load(file) as kept:
        shape = tuple(int(edge) for edge in kept["shape"])
        return np.unpackbits(kept["bits"], count=int(np.prod(shape))).reshape(shape).astype(bool)

"""How to segment: every choice that a user has, checked where it is made."""

from __future__ import annotations

import math
from dataclasses import dataclass

from agunetr.inference.backends import PRECISIONS
from agunetr.inference.engines import ENGINES
from agunetr.inference.search import RegionMm, checked_region


@dataclass(frozen=True)
class SegmentOptions:
    """How to segment.

    Attributes:
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        engine: ``torch``, ``openvino`` (CPUs only, an optional package), or ``auto``: OpenVINO on a CPU where it works.
        precision: ``exact`` (float32), ``fast`` (bfloat16), or ``auto``: fast where the hardware has it.
        overlap: share of a window that neighbours have in common, 0 <= overlap < 1.
        window_batch: windows predicted at once; None for as many as the free memory of a GPU allows, 1 on a CPU.
        attention: gates whose maps are wanted, ``("all",)`` for every gate of the model, empty for none.
        largest_component: keep the largest piece of the mask alone.
        fill_holes: fill what the mask encloses.
        body_crop: leave out the air around the patient.
        localise: find the organ first and run only the windows near it, where that pays and can be trusted.
        region_mm: (least, greatest) RAS mm along right, anterior and superior: run only the windows that touch this
            box, instead of localising.
        threshold: a voxel is spleen where the probability is greater, 0 < threshold < 1.
        allow_cpu: go on on the CPU where a GPU has too little memory even for one window.

    Raises:
        ValueError: an option is out of range; the message names it.
    """

    device: str = "auto"
    engine: str = "auto"
    precision: str = "auto"
    overlap: float = 0.5
    window_batch: int | None = None
    attention: tuple[str, ...] = ()
    largest_component: bool = True
    fill_holes: bool = True
    body_crop: bool = True
    localise: bool = True
    region_mm: RegionMm | None = None
    threshold: float = 0.5
    allow_cpu: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.device, str) or not self.device:
            raise ValueError(f"device must be a name such as 'auto' or 'cpu', not {self.device!r}.")
        if self.engine not in ENGINES:
            raise ValueError(f"engine must be one of {', '.join(ENGINES)}, not {self.engine!r}.")
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, not {self.precision!r}.")
        if not _is_number(self.overlap) or not 0 <= self.overlap < 1:
            raise ValueError(f"overlap must be a number of at least 0 and less than 1, not {self.overlap!r}.")
        if self.window_batch is not None and (type(self.window_batch) is not int or self.window_batch < 1):
            raise ValueError(f"window_batch must be a whole number of at least 1, not {self.window_batch!r}.")
        if not isinstance(self.attention, list | tuple) or not all(isinstance(gate, str) for gate in self.attention):
            raise ValueError(f"attention must be a list of gate names or ('all',), not {self.attention!r}.")
        object.__setattr__(self, "attention", tuple(self.attention))
        for name in ("largest_component", "fill_holes", "body_crop", "localise", "allow_cpu"):
            if type(getattr(self, name)) is not bool:
                raise ValueError(f"{name} must be true or false, not {getattr(self, name)!r}.")
        if self.region_mm is not None:
            object.__setattr__(self, "region_mm", checked_region(self.region_mm))
        if not _is_number(self.threshold) or not 0 < self.threshold < 1:
            raise ValueError(f"threshold must be a number between 0 and 1, not {self.threshold!r}.")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)

"""From a CT to a mask on the same grid, with one model: the way of a volume through the engine.

CT -> the model's grid and intensities -> windows -> blended logits and gate maps -> back onto the CT's grid -> mask.
"""

from __future__ import annotations

import functools
import math
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch

from agunetr.errors import Cancelled, Notice
from agunetr.inference.attention import wanted_gates
from agunetr.inference.backends import (
    PRECISIONS,
    Backend,
    TorchBackend,
    choose_device,
    choose_precision,
    memory_guard,
)
from agunetr.inference.findings import mask_notices
from agunetr.inference.grids import image_tensor, mask_on_input, tensor_volume
from agunetr.inference.inferer import CancelQuery, Progress, WindowInferer
from agunetr.inference.resampling import prepare
from agunetr.inference.volume import Volume

if TYPE_CHECKING:
    from agunetr.models.bundle import ModelBundle

WARM_NETWORKS = 4
"""Networks kept loaded; the one unused for longest goes first."""


@dataclass(frozen=True)
class SegmentOptions:
    """How to segment.

    Attributes:
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        precision: ``exact`` (float32), ``fast`` (bfloat16), or ``auto``: fast where the hardware has it.
        overlap: share of a window that neighbours have in common, 0 <= overlap < 1.
        window_batch: windows predicted at once.
        attention: gates whose maps are wanted, ``("all",)`` for every gate of the model, empty for none.
        largest_component: keep the largest piece of the mask alone.
        fill_holes: fill what the mask encloses.
        body_crop: leave out the air around the patient.
        threshold: a voxel is spleen where the probability is greater, 0 < threshold < 1.

    Raises:
        ValueError: an option is out of range; the message names it.
    """

    device: str = "auto"
    precision: str = "auto"
    overlap: float = 0.5
    window_batch: int = 1
    attention: tuple[str, ...] = ()
    largest_component: bool = True
    fill_holes: bool = True
    body_crop: bool = True
    threshold: float = 0.5

    def __post_init__(self) -> None:
        if not isinstance(self.device, str) or not self.device:
            raise ValueError(f"device must be a name such as 'auto' or 'cpu', not {self.device!r}.")
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, not {self.precision!r}.")
        if not _is_number(self.overlap) or not 0 <= self.overlap < 1:
            raise ValueError(f"overlap must be a number of at least 0 and less than 1, not {self.overlap!r}.")
        if type(self.window_batch) is not int or self.window_batch < 1:
            raise ValueError(f"window_batch must be a whole number of at least 1, not {self.window_batch!r}.")
        if not isinstance(self.attention, list | tuple) or not all(isinstance(gate, str) for gate in self.attention):
            raise ValueError(f"attention must be a list of gate names or ('all',), not {self.attention!r}.")
        object.__setattr__(self, "attention", tuple(self.attention))
        for name in ("largest_component", "fill_holes", "body_crop"):
            if type(getattr(self, name)) is not bool:
                raise ValueError(f"{name} must be true or false, not {getattr(self, name)!r}.")
        if not _is_number(self.threshold) or not 0 < self.threshold < 1:
            raise ValueError(f"threshold must be a number between 0 and 1, not {self.threshold!r}.")


@dataclass(frozen=True)
class Segmentation:
    """One model's answer for one scan.

    Attributes:
        mask: (z, y, x) uint8 on the scan's own grid, 1 = spleen.
        attention: for each gate asked for a float32 volume in [0, 1] on the model's grid.
        notices: what the user should know about the result.
        seconds: time of each stage.
        windows: how many windows the network saw.
        device, device_reason: where it ran, and why there.
        precision, precision_reason: ``exact`` or ``fast``, and why.
        model, checksum: which weights did it.
    """

    mask: np.ndarray
    attention: dict[str, Volume]
    notices: list[Notice]
    seconds: dict[str, float]
    windows: int
    device: str
    device_reason: str
    precision: str
    precision_reason: str
    model: str
    checksum: str


@dataclass(frozen=True)
class _Engine:
    """Where networks run, and why: what :class:`Segmentation` says of it."""

    device: torch.device
    device_reason: str
    precision: str
    precision_reason: str


@dataclass
class _Stages:
    """Announces each stage, asks for a cancel before it, and takes its time."""

    progress: Progress | None
    cancelled: CancelQuery | None
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str, announce: bool = True) -> Iterator[None]:
        if self.cancelled is not None and self.cancelled():
            raise Cancelled()
        announced = self.progress if announce else None
        if announced is not None:
            announced(name, 0, 1)
        started = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started
        if announced is not None:
            announced(name, 1, 1)


class Segmenter:
    """Segments scans and keeps networks loaded between them.

    Not for several threads at once.

    Args:
        options: used where :meth:`segment` is given none.
    """

    def __init__(self, options: SegmentOptions | None = None) -> None:
        self.options = options or SegmentOptions()
        self._engines: dict[tuple[str, str], _Engine] = {}
        self._warm: OrderedDict[tuple[object, ...], Backend] = OrderedDict()
        self._last_prepared: tuple[Volume, tuple[object, ...], Volume] | None = None

    def segment(
        self,
        volume: Volume,
        bundle: ModelBundle,
        progress: Progress | None = None,
        cancelled: CancelQuery | None = None,
        options: SegmentOptions | None = None,
    ) -> Segmentation:
        """One model's mask, and gate maps if asked for.

        Args:
            volume: a CT in HU that passed :func:`agunetr.inference.checks.check_volume`.
            bundle: the model.
            progress: told (stage, done, total); the stages are "prepare", "load", "windows" and "restore".
            cancelled: asked before every stage and before every batch of windows.
            options: instead of the segmenter's own.

        Raises:
            DeviceError: the device or precision asked for is not there.
            MemoryExhausted: the machine or the GPU has too little memory.
            ModelError: the weights cannot be used, or give values that are not finite.
            Cancelled: ``cancelled`` said so.
        """
        options = options or self.options
        engine = self._engine(options)
        gates, missing = wanted_gates(options.attention, bundle.gate_names)
        stages = _Stages(progress, cancelled)
        with memory_guard(torch.device("cpu")):
            with stages.stage("prepare"):
                prepared = self._prepare(volume, bundle, options)
            with stages.stage("load"):
                backend = self._backend(bundle, engine)
            inferer = WindowInferer(bundle.window, options.overlap, options.window_batch)
            with stages.stage("windows", announce=False):
                predict = functools.partial(backend.predict, gates=gates)
                blended = inferer.infer(predict, image_tensor(prepared), gates, progress, cancelled)
            with stages.stage("restore"):
                mask = mask_on_input(
                    blended.logit_difference,
                    prepared,
                    volume,
                    options.threshold,
                    options.largest_component,
                    options.fill_holes,
                )
                maps = {gate: tensor_volume(values, prepared) for gate, values in blended.gate_maps.items()}
        return Segmentation(
            mask=mask,
            attention=maps,
            notices=[*_missing_gates(bundle, missing), *mask_notices(mask, volume)],
            seconds=stages.seconds,
            windows=blended.windows,
            device=str(engine.device),
            device_reason=engine.device_reason,
            precision=engine.precision,
            precision_reason=engine.precision_reason,
            model=bundle.name,
            checksum=bundle.checksum,
        )

    def forget_scan(self) -> None:
        """Free the last prepared scan; networks stay loaded."""
        self._last_prepared = None

    def _engine(self, options: SegmentOptions) -> _Engine:
        key = (options.device, options.precision)
        if key not in self._engines:
            device, device_reason = choose_device(options.device)
            self._engines[key] = _Engine(device, device_reason, *choose_precision(options.precision, device))
        return self._engines[key]

    def _prepare(self, volume: Volume, bundle: ModelBundle, options: SegmentOptions) -> Volume:
        """Models of one family see the same thing: the second one finds it ready."""
        key = (tuple(bundle.spacing_mm), tuple(bundle.intensity_range), options.body_crop)
        last = self._last_prepared
        if last is None or last[0] is not volume or last[1] != key:
            self._last_prepared = None
            prepared = prepare(volume, bundle.spacing_mm, bundle.intensity_range, body_crop=options.body_crop)
            self._last_prepared = last = (volume, key, prepared)
        return last[2]

    def _backend(self, bundle: ModelBundle, engine: _Engine) -> Backend:
        # The weights do not tell everything: the number of heads, for one, leaves no trace in them.
        key = (bundle.checksum, bundle.network_config, str(engine.device), engine.precision)
        if key not in self._warm:
            while len(self._warm) >= WARM_NETWORKS:
                self._warm.popitem(last=False)
            self._warm[key] = TorchBackend(bundle.network(), engine.device, engine.precision)
        self._warm.move_to_end(key)
        return self._warm[key]


def _missing_gates(bundle: ModelBundle, missing: tuple[str, ...]) -> list[Notice]:
    if not missing:
        return []
    has = f"it has {', '.join(bundle.gate_names)}" if bundle.gate_names else "it has no gates"
    return [Notice("no-such-gate", f"{bundle.title} has no gate {', '.join(missing)}, so no such map was made; {has}.")]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)

"""From a CT to a mask on the same grid, with one model: the way of a volume through the engine.

CT -> the model's grid and intensities -> windows -> blended logits and gate maps -> back onto the CT's grid -> mask.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from agunetr.errors import MemoryExhausted, Notice
from agunetr.inference.attention import wanted_gates
from agunetr.inference.backends import memory_guard
from agunetr.inference.body import Box, body_box
from agunetr.inference.device_memory import without_frames
from agunetr.inference.engines import EngineChoice
from agunetr.inference.findings import mask_notices
from agunetr.inference.grids import image_tensor, tensor_volume
from agunetr.inference.inferer import BlendedOutput, CancelQuery, Progress, WindowInferer
from agunetr.inference.memory_ladder import step_notice
from agunetr.inference.organ_search import OVERLAP, OrganSearch, look_again, region_notices
from agunetr.inference.resampling import crop, prepare, prepared_grid
from agunetr.inference.restoring import mask_on_input
from agunetr.inference.search import Search
from agunetr.inference.searched_part import SearchedPart
from agunetr.inference.segment_options import SegmentOptions
from agunetr.inference.stages import Stages
from agunetr.inference.volume import Volume
from agunetr.inference.warm_networks import WarmNetworks
from agunetr.inference.windows import Shape

if TYPE_CHECKING:
    from agunetr.models.bundle import ModelBundle


@dataclass(frozen=True)
class Segmentation:
    """One model's answer for one scan.

    Attributes:
        mask: (z, y, x) uint8 on the scan's own grid, 1 = spleen.
        attention: for each gate asked for a float32 volume in [0, 1] on the model's grid, or on its part
            that was searched.
        notices: what the user should know about the result.
        seconds: time of each stage.
        windows: how many windows the network saw.
        windows_of_dense: how many the whole scan has.
        search, search_reason: ``dense``, ``localised`` or ``region``: where the windows lay, and why there.
        window_batch: how many of them at once.
        device, device_reason: where it ran, and why there.
        engine, engine_reason: ``torch`` or ``openvino``, and why.
        precision, precision_reason: ``exact`` or ``fast``, and why.
        model, checksum: which weights did it.
    """

    mask: np.ndarray
    attention: dict[str, Volume]
    notices: list[Notice]
    seconds: dict[str, float]
    windows: int
    windows_of_dense: int
    search: str
    search_reason: str
    window_batch: int
    device: str
    device_reason: str
    engine: str
    engine_reason: str
    precision: str
    precision_reason: str
    model: str
    checksum: str


class Segmenter:
    """Segments scans and keeps networks loaded between them.

    Not for several threads at once.

    Args:
        options: used where :meth:`segment` is given none.
        organ_search: where to look in a scan; without one, whole scans are searched.
    """

    def __init__(self, options: SegmentOptions | None = None, organ_search: OrganSearch | None = None) -> None:
        self.options = options or SegmentOptions()
        self._organ_search = organ_search or OrganSearch()
        self._warm = WarmNetworks()
        self._last_prepared: tuple[Volume, tuple[object, ...], Volume] | None = None
        self._last_body: tuple[Volume, float, Box] | None = None

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
            progress: told (stage, done, total); the stages are "localise" (where the organ is looked for first),
                "prepare", "load", "windows" and "restore".
            cancelled: asked before every stage and before every batch of windows.
            options: instead of the segmenter's own.

        Raises:
            InputError: the region asked for lies outside the scan.
            DeviceError: the device, engine or precision asked for is not there.
            MemoryExhausted: the machine has too little memory, or the GPU even for one window.
            ModelError: the weights cannot be used, or give values that are not finite.
            Cancelled: ``cancelled`` said so.
        """
        options = options or self.options
        engine = self._warm.engine(options)
        gates, missing = wanted_gates(options.attention, bundle.gate_names)
        stages = Stages(progress, cancelled)
        notices: list[Notice] = []
        with memory_guard(torch.device("cpu")):
            run = functools.partial(self._search_scan, volume, bundle, options, gates, stages, notices.append)
            try:
                answer, exhausted = run(engine), None
            except MemoryExhausted as error:
                if not options.allow_cpu or engine.device.type == "cpu":
                    raise
                exhausted = without_frames(error)
            if exhausted is not None:
                engine = self._cpu_instead(engine, options, exhausted, notices)
                answer = run(engine)
            search, part, grid, batch = answer
            with stages.stage("restore"):
                seen = crop(grid, part.box)
                clean_up = (options.threshold, options.largest_component, options.fill_holes)
                mask = mask_on_input(part.logits, seen, volume, *clean_up)
                # Each is let go as soon as it is copied: they are as large as the scan.
                maps = {gate: tensor_volume(part.gate_maps.pop(gate), seen) for gate in gates}
                notices += region_notices(search, part, grid, options)
        loaded = self._warm.loaded(bundle, engine)
        return Segmentation(
            mask=mask,
            attention=maps,
            notices=[*_missing_gates(bundle, missing), *loaded.notices, *notices, *mask_notices(mask, volume)],
            seconds=stages.seconds,
            windows=len(search.corners),
            windows_of_dense=search.windows_of_dense,
            search=search.kind,
            search_reason=search.reason,
            window_batch=batch,
            device=str(engine.device),
            device_reason=engine.device_reason,
            engine=loaded.engine,
            engine_reason=loaded.reason,
            precision=engine.precision,
            precision_reason=engine.precision_reason,
            model=bundle.name,
            checksum=bundle.checksum,
        )

    def forget_scan(self) -> None:
        """Free the last prepared scan; networks stay loaded."""
        self._last_prepared = None
        self._last_body = None
        self._organ_search.forget_scan()

    def _search_scan(
        self,
        volume: Volume,
        bundle: ModelBundle,
        options: SegmentOptions,
        gates: Sequence[str],
        stages: Stages,
        tell: Callable[[Notice], None],
        engine: EngineChoice,
    ) -> tuple[Search, SearchedPart, Volume, int]:
        """Which windows were run, what they say, on which grid, and how many were computed at once."""
        with stages.stage("prepare", announce=False):
            grid = prepared_grid(volume, bundle.spacing_mm, self._body(volume, bundle, options))
        look = functools.partial(self._localise, volume, options, stages, tell, engine)
        wanted = self._organ_search.plan(volume, bundle, grid, options, engine.precision, look)
        answer: SearchedPart | None = None
        while wanted is not None:
            search = wanted
            with stages.stage("prepare"):
                prepared = self._prepare(volume, bundle, crop(grid, search.box))
            blended = self._run_windows(prepared, bundle, options, gates, stages, tell, search.corners_in_box, engine)
            part = SearchedPart.of(search, blended)
            answer = part if answer is None else answer.joined(part, search)
            wanted = look_again(search, answer, grid, options)
        return search, answer, grid, blended.batch

    def _localise(
        self,
        volume: Volume,
        options: SegmentOptions,
        stages: Stages,
        tell: Callable[[Notice], None],
        engine: EngineChoice,
        localiser: ModelBundle,
    ) -> tuple[torch.Tensor, Volume]:
        """The localiser's logit difference for the whole scan, and the grid that it is on."""
        told = stages.progress and (lambda _, done, total: stages.progress("localise", done, total))
        with stages.stage("localise", announce=False):
            grid = prepared_grid(volume, localiser.spacing_mm, self._body(volume, localiser, options))
            seen = prepare(volume, localiser.spacing_mm, localiser.intensity_range, grid=grid)
            backend = self._warm.backend(localiser, engine)
            for notice in self._warm.loaded(localiser, engine).notices:
                tell(notice)
            inferer = WindowInferer(localiser.window, OVERLAP, options.window_batch, device=engine.device)
            make_room = functools.partial(self._warm.make_room, localiser, engine)
            blended = inferer.infer(
                backend.predict, image_tensor(seen), (), told, stages.cancelled, tell=tell, make_room=make_room
            )
        return blended.logit_difference, seen

    def _run_windows(
        self,
        prepared: Volume,
        bundle: ModelBundle,
        options: SegmentOptions,
        gates: Sequence[str],
        stages: Stages,
        tell: Callable[[Notice], None],
        corners: Sequence[Shape],
        engine: EngineChoice,
    ) -> BlendedOutput:
        with stages.stage("load"):
            backend = self._warm.backend(bundle, engine, gates)
        inferer = WindowInferer(bundle.window, options.overlap, options.window_batch, device=engine.device)
        with stages.stage("windows", announce=False):
            predict = functools.partial(backend.predict, gates=gates)
            make_room = functools.partial(self._warm.make_room, bundle, engine)
            to_user = (stages.progress, stages.cancelled, corners, tell, make_room)
            return inferer.infer(predict, image_tensor(prepared), gates, *to_user)

    def _cpu_instead(
        self, engine: EngineChoice, options: SegmentOptions, exhausted: MemoryExhausted, notices: list[Notice]
    ) -> EngineChoice:
        """The last step of the memory ladder; the networks on the device that failed are forgotten."""
        self._warm.forget(engine.device)
        notices.append(step_notice(exhausted, "the CPU took over, as allowed, and began anew"))
        # Fast was asked for on a GPU. A CPU without bfloat16 would emulate it and take many times as long as exact.
        precision = "auto" if options.precision == "fast" else options.precision
        on_cpu = self._warm.engine(dataclasses.replace(options, device="cpu", precision=precision))
        return dataclasses.replace(on_cpu, device_reason=notices[-1].message)

    def _body(self, volume: Volume, bundle: ModelBundle, options: SegmentOptions) -> Box | None:
        """What of the scan is not air around the patient; found once for all models with the same lowest intensity."""
        if not options.body_crop:
            return None
        low = bundle.intensity_range[0]
        if self._last_body is None or self._last_body[0] is not volume or self._last_body[1] != low:
            self._last_body = (volume, low, body_box(volume, low))
        return self._last_body[2]

    def _prepare(self, volume: Volume, bundle: ModelBundle, grid: Volume) -> Volume:
        """Models of one family see the same thing: the second one finds it ready."""
        key = (tuple(bundle.intensity_range), grid.size, grid.ijk_to_ras.tobytes())
        last = self._last_prepared
        if last is None or last[0] is not volume or last[1] != key:
            self._last_prepared = None
            prepared = prepare(volume, bundle.spacing_mm, bundle.intensity_range, grid=grid)
            self._last_prepared = last = (volume, key, prepared)
        return last[2]


def _missing_gates(bundle: ModelBundle, missing: tuple[str, ...]) -> list[Notice]:
    # Nobody expects maps of a network without gates; where no model of a job has a gate, the job is refused before.
    if not missing or not bundle.gate_names:
        return []
    has = ", ".join(bundle.gate_names)
    return [Notice(
        "no-such-gate", f"{bundle.title} has no gate {', '.join(missing)}, so no such map was made; it has {has}.")]

"""Decides where in a scan a model's windows are run, and after the run whether that was enough.

The localiser is a small network on a coarse grid. Its answer belongs to the scan: all models that segment the scan
share it. It is only asked where that pays, and only believed where :func:`agunetr.inference.localisation.localise`
finds no cause for doubt *and* the model agrees afterwards: its own mask must be about as large as what the localiser
saw. Otherwise the whole scan is searched, and the reason says so.

The localiser only says where to begin. After each look the model's own mask tells which windows see it and were not
run; they are run next, until none is missing. The answer is then that of the whole lattice wherever the organ is, but
for windows that hardly count there (:data:`agunetr.inference.window_choice.LEAST_SHARE`), even if the localiser missed
a part of it. No window is run twice, also where in the end the whole scan is searched.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from agunetr.errors import AgunetrError, Cancelled, MemoryExhausted, ModelError, Notice
from agunetr.inference.device_memory import without_frames
from agunetr.inference.localisation import Doubt, Found, localise
from agunetr.inference.search import (
    DENSE,
    LOCALISED,
    REGION,
    Search,
    dense_search,
    search_in_region,
    search_near,
    windows_near,
)
from agunetr.inference.searched_part import SearchedPart
from agunetr.inference.volume import Volume
from agunetr.inference.window_choice import Cells
from agunetr.inference.windows import Shape
from agunetr.models.localiser import installed_localiser

if TYPE_CHECKING:
    from agunetr.inference.segment_options import SegmentOptions
    from agunetr.models.bundle import ModelBundle

_log = logging.getLogger(__name__)

OVERLAP = 0.5
"""Of the localiser's windows."""

PAYS_FROM = 4.0
"""The whole scan has to cost this many times what the localiser costs before it is asked."""

NEARLY_ALL = 0.75
"""Where more than this share of the windows is near the organ, all of them are run."""

AGREEING_SIZE = (0.5, 2.0)
"""How small and how large the model's mask may be, as a share of what the localiser saw, for the two to agree."""

MOST_LOOKS = 4
"""An organ that was followed this often and still goes on is not where the localiser saw it."""

NO_LOCALISER = "There is no localiser, so the whole scan was searched."

Look = Callable[["ModelBundle"], tuple[torch.Tensor, Volume]]
"""Runs a localiser on the whole scan: logit difference (R, A, S) and the grid it is on."""


class OrganSearch:
    """Plans the search of one scan after the other.

    Args:
        localiser: the localiser's bundle, or None.
        absence: where there is none, a sentence that says why the whole scan is searched.
    """

    def __init__(self, localiser: ModelBundle | None = None, absence: str = NO_LOCALISER) -> None:
        self.localiser = localiser
        self.absence = absence
        self._last: tuple[Volume, tuple[object, ...], Found | Doubt, Volume | None] | None = None

    @classmethod
    def installed(cls) -> OrganSearch:
        """With the localiser that came with AGUNETR, where it can be used."""
        try:
            return cls(installed_localiser())
        except ModelError as error:  # every result tells; the models work without
            return cls(absence=f"The localiser cannot be used, so the whole scan was searched: {error.message}")

    def plan(
        self, volume: Volume, bundle: ModelBundle, grid: Volume, options: SegmentOptions, key: object, look: Look
    ) -> Search:
        """Which windows to run.

        Args:
            volume: the scan.
            bundle: the model.
            grid: the model's grid for the whole scan; only its geometry is used.
            options: how to segment.
            key: what a localiser's answer depends on besides the scan (device, precision); another key asks again.
            look: runs the localiser.

        Raises:
            InputError: the region given lies outside the scan.
        """
        dense = dense_search(grid, bundle.window, options.overlap, "The whole scan was asked for.")
        if options.region_mm is not None:
            return search_in_region(options.region_mm, grid, dense)
        if not options.localise:
            return dense
        if self.localiser is None:
            return replace(dense, reason=self.absence)
        if self.localiser.checksum == bundle.checksum:
            return replace(dense, reason="This model is the localiser itself, so it searched the whole scan.")
        if not self._pays(bundle, dense, grid):
            few = _counted(dense.windows_of_dense)
            return replace(dense, reason=f"The whole scan takes {few} only, so the spleen was not looked for first.")
        found, coarse = self._find(volume, (key, options.body_crop), look)
        if isinstance(found, Doubt):
            return replace(dense, reason=f"The whole scan was searched, because {found.reason}.")
        near = search_near(found, coarse, grid, dense)
        if not near.corners:
            reason = "The whole scan was searched, because no window counts where the localiser saw the spleen."
            return replace(dense, reason=reason)
        if len(near.corners) > NEARLY_ALL * dense.windows_of_dense:
            all_of_them = _counted(dense.windows_of_dense)
            return replace(dense, reason=f"Nearly all {all_of_them} of the scan are near the spleen, so all were run.")
        return near

    def forget_scan(self) -> None:
        """Free the last scan and what was found in it."""
        self._last = None

    def _pays(self, bundle: ModelBundle, dense: Search, grid: Volume) -> bool:
        extent_mm = [size * spacing for size, spacing in zip(grid.size, grid.spacing_mm, strict=True)]
        coarse = [max(1, round(mm / step)) for mm, step in zip(extent_mm, self.localiser.spacing_mm, strict=True)]
        asked = dense_search(Volume(np.broadcast_to(np.uint8(0), coarse[::-1])), self.localiser.window, OVERLAP, "")
        cost = asked.windows_of_dense * _work(self.localiser)
        return dense.windows_of_dense * _work(bundle) >= PAYS_FROM * cost

    def _find(self, volume: Volume, key: tuple[object, ...], look: Look) -> tuple[Found | Doubt, Volume | None]:
        last = self._last
        if last is None or last[0] is not volume or last[1] != key:
            self._last = None
            self._last = last = (volume, key, *self._ask(look))
        return last[2], last[3]

    def _ask(self, look: Look) -> tuple[Found | Doubt, Volume | None]:
        """What the localiser sees; its failure is a doubt, for the models do not need it."""
        try:
            logits, coarse = look(self.localiser)
            return localise(logits.sigmoid().cpu().numpy(), coarse.spacing_mm), coarse
        except Cancelled:
            raise
        except MemoryExhausted as error:
            failure = without_frames(error).message
        except AgunetrError as error:
            failure = error.message
        except Exception as error:  # whatever a damaged installation raises
            _log.exception("The localiser failed.")
            failure = str(error).strip().split("\n")[0] or type(error).__name__
        return Doubt(f"the localiser failed ({failure.rstrip('.')})"), None


def look_again(search: Search, part: SearchedPart, grid: Volume, options: SegmentOptions) -> Search | None:
    """What else to run, where a localised search turned out to be too narrow; None where it was enough.

    Args:
        search: what was run.
        part: the answer of all its windows.
        grid: the model's grid for the whole scan; only its geometry is used.
        options: how to segment.
    """
    if search.kind != LOCALISED:
        return None
    cells, voxels = part.marked(_logit(options.threshold), options.largest_component)
    volume_ml = voxels * grid.voxel_ml
    least, most = (share * search.expected_ml for share in AGREEING_SIZE)
    if not least <= volume_ml <= most:
        saw = f"the localiser saw about {search.expected_ml:.0f} ml of spleen there and the model {volume_ml:.0f} ml"
        return _dense_after(search, grid, f"The whole scan was searched, because {saw}.")
    missing = _unseen(cells, grid, search)
    if not missing:
        return None
    if search.looks == MOST_LOOKS or len(search.corners) + len(missing) > NEARLY_ALL * search.windows_of_dense:
        reason = "The whole scan was searched, because the spleen goes on far beyond what the localiser found."
        return _dense_after(search, grid, reason)
    reason = search.reason.split(";")[0].rstrip(".")
    return search.followed_by(missing, reason=f"{reason}; some were added where the spleen goes on.")


def region_notices(search: Search, part: SearchedPart, grid: Volume, options: SegmentOptions) -> list[Notice]:
    """``cut-by-region`` where the mask of a search in a region goes on to where windows that count were not run."""
    if search.kind != REGION:
        return []
    cells, _ = part.marked(_logit(options.threshold), options.largest_component)
    if not _unseen(cells, grid, search):
        return []
    return [Notice("cut-by-region", "The spleen seems to go on beyond the region given: make the region larger.")]


def _unseen(cells: Cells, grid: Volume, search: Search) -> list[Shape]:
    seen = set(search.corners)
    return [corner for corner in windows_near(cells, grid, search) if corner not in seen]


def _dense_after(search: Search, grid: Volume, reason: str) -> Search:
    everything = dense_search(grid, search.window, search.overlap, reason)
    return search.followed_by(everything.corners, kind=DENSE, reason=reason)


def _logit(probability: float) -> float:
    return math.log(probability / (1 - probability))


def _work(bundle: ModelBundle) -> float:
    """How long a window takes, up to a factor: convolutions at the finest level are most of it."""
    return float(math.prod(bundle.window)) * bundle.network_config.feature_size**2


def _counted(windows: int) -> str:
    return "1 window" if windows == 1 else f"{windows} windows"

"""How long a run will take: from the number of windows, and from what earlier runs took on this computer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import slicer
import slicer.util

SETTINGS = "AGUNETRSegment/secondsPerWindow"
WORTH_TELLING_SECONDS = 60.0
# A window of a compact model took 0.25 s on two cores of a server; larger networks by their size.
GUESSED_SECONDS = 0.25
GUESSED_FOR_BYTES = 5e6
GROWTH = 0.7


@dataclass(frozen=True)
class Estimate:
    """Seconds of a run; *measured*: every model ran on this computer before."""

    seconds: float
    measured: bool


class TimeEstimates:
    """Estimates runs and learns from those that finished; the application's settings remember."""

    def estimate(self, volumeNode, models: Sequence[Mapping], options) -> Estimate | None:
        """How long the models will take for a volume, None where nothing can be said.

        :param models: the worker's entries of the models.
        :param options: the pack RunOptions.
        """
        image = volumeNode.GetImageData()
        if image is None:
            return None
        extentMm = np.array(image.GetDimensions()) * np.array(volumeNode.GetSpacing())
        seconds, measured = 0.0, True
        for model in models:
            try:
                windows = windowCount(extentMm, model, options.overlapPercent / 100)
                bytesOfModel = float(model.get("size_bytes") or GUESSED_FOR_BYTES)
            except (KeyError, TypeError, ValueError):
                return None
            known = self._known(model, options)
            if known is None:
                measured = False
                known = GUESSED_SECONDS * (bytesOfModel / GUESSED_FOR_BYTES) ** GROWTH
            seconds += known * windows
        return Estimate(seconds, measured)

    def learn(self, result: Mapping, models: Sequence[Mapping]) -> None:
        """Remember what a finished run took.

        :param result: the parsed ``result.json``.
        :param models: the worker's entries of the installed models.
        """
        known = {model["name"]: model for model in models}
        settings = slicer.app.userSettings()  # kept open: one that is made for the purpose writes its file at its end
        for entry in result.get("models", []):
            windows, seconds = entry.get("windows_of_dense") or 0, sum((entry.get("seconds") or {}).values())
            model = known.get(entry.get("name"))
            if model is None or windows < 1 or not seconds > 0:
                continue
            localised = entry.get("search") != "dense"
            for device in {result.get("device", "auto"), "auto"}:
                settings.setValue(_key(model, device, localised), float(seconds) / windows)

    def _known(self, model: Mapping, options) -> float | None:
        value = slicer.util.settingsValue(_key(model, options.device, options.localise), 0.0, converter=float)
        return value if value > 0 else None


def windowCount(extentMm: np.ndarray, model: Mapping, overlap: float) -> int:
    """How many windows cover a scan of that extent (mm) at the model's spacing."""
    size = np.asarray(extentMm, float) / np.asarray(model["spacing_mm"], float)
    window = np.asarray(model["window"], float)
    step = np.maximum(1.0, window * (1 - overlap))
    counts = np.ceil(np.maximum(0.0, size - window) / step) + 1
    return int(math.prod(counts.tolist()))


def _key(model: Mapping, device: str, localised: bool) -> str:
    search = "localised" if localised else "dense"
    return f"{SETTINGS}/{str(model.get('checksum', model['name']))[:16]}/{device.replace(':', '')}/{search}"

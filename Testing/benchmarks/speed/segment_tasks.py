"""A whole Segment: from a CT file to the mask on its grid."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from agunetr.inference.reading import read_volume
from agunetr.inference.segmenter import Segmentation, Segmenter
from agunetr.models.bundle import load_bundle
from speed.features import options_for
from speed.tasks import keep_mask


class OurSegment:
    """Our segmenter, its network loaded and warmed up by one small scan.

    Args:
        ct: the file.
        bundle: folder of the model.
        options: of :class:`agunetr.inference.segmenter.SegmentOptions`.
        warm_up_ct: a small CT that loads and compiles everything; none where the first run may do so itself.
        mask_file: where the mask goes.
    """

    def __init__(
        self,
        ct: str,
        bundle: str,
        options: dict[str, Any],
        warm_up_ct: str | None = None,
        mask_file: str | None = None,
    ) -> None:
        self._ct, self._mask_file = ct, mask_file
        self._segmenter = Segmenter(options_for(**options))
        self._bundle = load_bundle(bundle)
        if warm_up_ct is not None:
            self._segment(warm_up_ct)

    def run(self) -> Segmentation:
        """Reads and segments; nothing of an earlier run is reused but the loaded networks."""
        return self._segment(self._ct)

    def _segment(self, ct: str) -> Segmentation:
        volume, _notices = read_volume(ct)
        result = self._segmenter.segment(volume, self._bundle)
        self._segmenter.forget_scan()
        return result

    def facts(self, value: Segmentation) -> dict[str, Any]:
        """Which way it took, and how long each stage was."""
        keep_mask(value.mask, self._mask_file)
        return segmentation_facts(value)


class MonaiSegment:
    """MONAI's whole pipeline with the same weights; see :mod:`speed.reference`."""

    def __init__(self, ct: str, bundle: str, mask_file: str | None = None) -> None:
        from speed.reference import MonaiPipeline

        self._ct, self._mask_file = ct, mask_file
        self._pipeline = MonaiPipeline(load_bundle(bundle))

    def run(self) -> np.ndarray:
        """The mask (z, y, x)."""
        return self._pipeline.segment(self._ct)

    def facts(self, value: np.ndarray) -> dict[str, Any]:
        """How many voxels are foreground."""
        keep_mask(value, self._mask_file)
        return {"foreground": int(value.sum())}


class OurJob:
    """What the command line and the worker run: one CT, one or more models, to files.

    Args:
        ct: the file.
        bundles: folders of the models.
        options: of the segmenter.
    """

    def __init__(self, ct: str, bundles: list[str], options: dict[str, Any]) -> None:
        self._ct = ct
        self._bundles = [load_bundle(folder) for folder in bundles]
        self._options = options_for(**options)
        self._segmenter = Segmenter(self._options)
        self.run()

    def run(self) -> dict[str, Any]:
        """What ``result.json`` holds."""
        from agunetr.inference.job import run_job

        folder = Path(tempfile.mkdtemp(prefix="agunetr-bench-"))
        try:
            volume, notices = read_volume(self._ct)
            return run_job(volume, notices, self._bundles, self._options, folder / "result", self._segmenter)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def facts(self, value: dict[str, Any]) -> dict[str, Any]:
        """The stages' seconds and how the models agree."""
        return {
            "stages": value["seconds"],
            "windows": [model["windows"] for model in value["models"]],
            "precision": value["precision"],
            "models": [model["name"] for model in value["models"]],
            "agreement": value["agreement"],
        }


def segmentation_facts(value: Segmentation) -> dict[str, Any]:
    """What a reader needs to know about one Segment; features that this version has not are left out."""
    facts = {
        "foreground": int(value.mask.sum()),
        "windows": value.windows,
        "device": value.device,
        "precision": value.precision,
        "precision_reason": value.precision_reason,
        "stages": {stage: round(seconds, 4) for stage, seconds in value.seconds.items()},
        "notices": [notice.kind for notice in value.notices],
    }
    for name in ("engine", "engine_reason", "search", "search_reason", "windows_of_dense"):
        if hasattr(value, name):
            facts[name] = getattr(value, name)
    return facts

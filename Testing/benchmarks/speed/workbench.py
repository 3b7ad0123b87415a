"""What the rows of one run share: its settings, its CTs and its models, each made when first asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from agunetr.inference.reading import read_mask, read_volume
from agunetr.inference.resampling import prepare
from speed import cts, full_size_training, weights
from speed.cts import BenchCT
from speed.rows import NotMeasured
from speed.subjects import Measured, Say, take_turns
from speed.weights import Weights

SEED = 7
FULL_SIZE_SPACING_MM = (1.0, 1.0, 1.0)


@dataclass
class Workbench:
    """One run of the benchmark.

    Attributes:
        work: folder for files that the run makes; gone afterwards.
        repetitions: of each timed row.
        smoke: tiny networks on a small scan, for the agreement alone.
        apart: whether each subject gets a process of its own; only then memory is measured.
        data: folder of labelled CTs, or None.
        ct_file: a CT to take in place of one of ``data``.
        cache: where trained weights are kept.
        may_train: whether full-size weights may be trained now.
        say: told what is going on, a line each.
    """

    work: Path
    repetitions: int = 5
    smoke: bool = False
    apart: bool = True
    data: Path | None = None
    ct_file: Path | None = None
    cache: Path = field(default_factory=full_size_training.bench_cache)
    may_train: bool = True
    say: Say = print

    def take_turns(
        self, subjects: Mapping[str, tuple[str, Mapping[str, Any]]], most: int | None = None
    ) -> dict[str, Measured]:
        """See :func:`speed.subjects.take_turns`; at most ``most`` repetitions where given."""
        repetitions = min(self.repetitions, most or self.repetitions)
        return take_turns(subjects, repetitions, self.apart, self.say)

    def mask_file(self, name: str) -> str:
        """A file for a mask that will be compared."""
        return str(self.work / f"{name}.npz")

    @cached_property
    def ct(self) -> BenchCT:
        """The CT of the whole-Segment rows."""
        if self.smoke:
            return cts.filled_ct(self.work / "filled.nii.gz", SEED)
        if self.ct_file is not None:
            return cts.given_ct(self.ct_file, self.work)
        if self.data is not None:
            return cts.choose_case(self.data)
        return cts.phantom_ct(self.work)

    @cached_property
    def long_source(self) -> BenchCT:
        """The CT that CTs of many slices are made from."""
        if self.smoke or self.ct_file is not None or self.data is None:
            return self.ct
        return cts.longest_case(self.data)

    def sized(self, size: tuple[int, int, int], spacing_mm: tuple[float, float, float], ending: str) -> BenchCT:
        """A CT of a size along (i, j, k); the smoke form makes it 16 times smaller along each axis."""
        if self.smoke:
            size = tuple(max(8, edge // 16) for edge in size)  # type: ignore[assignment]
        name = "x".join(map(str, size)) + "-" + "x".join(f"{step:g}" for step in spacing_mm)
        return cts.sized_ct(self.long_source, size, spacing_mm, self.work / f"sized-{name}{ending}")

    @cached_property
    def warm_up_ct(self) -> BenchCT:
        """A small scan that makes a segmenter load and compile everything, at next to no cost."""
        return self.sized((160, 160, 160), (0.6, 0.6, 0.6), "-warm.nii.gz")

    @cached_property
    def window(self) -> np.ndarray:
        """(R, A, S) float32: one window of the CT as the full-size network sees it, around the organ where known."""
        edges = weights.TINY["window"] if self.smoke else (96, 96, 96)
        spacing = (3.0,) * 3 if self.smoke else FULL_SIZE_SPACING_MM
        volume, _notices = read_volume(self.ct.file)
        prepared = prepare(volume, spacing, weights.INTENSITY_RANGE)
        middle = np.asarray(prepared.size) / 2
        if self.ct.label is not None:
            label = read_mask(self.ct.label)
            centre = label.ras_of(np.argwhere(label.array > 0).mean(axis=0)[::-1])
            middle = np.linalg.inv(prepared.ijk_to_ras)[:3] @ np.array([*centre, 1.0])
        image = np.ascontiguousarray(prepared.array.transpose(2, 1, 0))
        pads = [max(0, edge - size) for edge, size in zip(edges, image.shape, strict=True)]
        image = np.pad(image, [(pad // 2, pad - pad // 2) for pad in pads])
        middle = middle + np.asarray([pad // 2 for pad in pads])
        first = [
            int(np.clip(round(centre - edge / 2), 0, size - edge))
            for centre, edge, size in zip(middle, edges, image.shape, strict=True)
        ]
        return np.ascontiguousarray(image[tuple(slice(f, f + e) for f, e in zip(first, edges, strict=True))])

    @cached_property
    def window_file(self) -> Path:
        """:attr:`window` as a file."""
        file = self.work / "window.npy"
        np.save(file, self.window)
        return file

    @property
    def training_cases(self) -> list[str]:
        """What full-size weights are trained on: the benchmark's CT first, then others with a whole spleen."""
        if self.data is None or self.ct.label is None:
            return []
        cases = cts.labelled_cases(self.data)
        own = [name for name, (ct, _facts) in cases.items() if ct.file == self.ct.file]
        others = [name for name, (_ct, facts) in cases.items() if facts.get("whole_spleen") and name not in own]
        others.sort(key=lambda name: not cases[name][1].get("contrast"))  # the more alike, the shorter the training
        return (own + others)[: full_size_training.MOST_CASES]

    @cached_property
    def full_size(self) -> Weights:
        """The full-size model: trained where there is something to train on, random weights elsewhere."""
        if self.smoke:
            return weights.tiny(self.work, "unetr", self.window)
        cases = self.training_cases
        if cases:
            found = full_size_training.trained(self.cache, self.data, cases)
            if found is None and self.may_train:
                try:
                    found = full_size_training.train(self.cache, self.data, cases, self.say)
                except NotMeasured as problem:
                    self.say(f"{problem} Random weights take their place.")
            if found is not None:
                return Weights(found, f"trained on {', '.join(cases)} for the benchmark", True)
        return weights.random_full_size(self.work, self.window)

    @cached_property
    def compact(self) -> list[Weights]:
        """The base and the gated embedded model."""
        if self.smoke:
            return [weights.tiny(self.work, variant, self.window) for variant in ("unetr", "agunetr-v2")]
        return weights.embedded()

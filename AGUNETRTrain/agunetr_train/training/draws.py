"""Which patch comes next: every patch is a *draw*, numbered 0, 1, 2, ..., and all of it follows from its number.

Case, spacing, place and augmentation of draw k follow from (seed, k) alone. A training can therefore go on after any
step, loading processes and several training processes change nothing, and two variants of the same seed see the same
patches.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from monai.transforms import Compose
from torch.utils.data import Dataset, Sampler

from agunetr.errors import InputError
from agunetr_train.experiments.definition import Stage
from agunetr_train.training.distributed import Processes

ORDER_OF_CASES = 1
"""Keeps the numbers that order an epoch's cases apart from those of its draws."""


@dataclass(frozen=True)
class DrawPlan:
    """Where every draw comes from.

    Attributes:
        seed: of the job.
        cases, spacings: how many there are.
        patches_per_step, steps_per_epoch: of all processes together.
        every_case_once: an epoch takes every case once, in an order of its own; else cases are drawn at random.
    """

    seed: int
    cases: int
    spacings: int
    patches_per_step: int
    steps_per_epoch: int
    every_case_once: bool

    @classmethod
    def of(cls, stage: Stage, seed: int, cases: int, spacings: int) -> DrawPlan:
        """The plan of a stage; an epoch of every case once is rounded up to whole steps."""
        steps = stage.steps_per_epoch or math.ceil(cases / stage.patches_per_step)
        return cls(seed, cases, spacings, stage.patches_per_step, steps, stage.steps_per_epoch is None)

    def source(self, draw: int) -> tuple[int, int, int]:
        """The case's index, the spacing's index and the seed of the patch of a draw."""
        generator = np.random.default_rng((self.seed, draw))
        case, spacing = int(generator.integers(self.cases)), int(generator.integers(self.spacings))
        patch = int(generator.integers(2**32))
        if self.every_case_once:
            epoch, place = divmod(draw, self.steps_per_epoch * self.patches_per_step)
            order = np.random.default_rng((self.seed, epoch, ORDER_OF_CASES)).permutation(self.cases)
            case = int(order[place % self.cases])
        return case, spacing, patch


class PatchDraws(Dataset):
    """Draw k as its k-th item: ``image``, ``label``, the ``case``'s name and the number of the ``draw``.

    Args:
        load: from the indices of a case and a spacing to what the transforms take.
        names: of the cases.
        transforms: random; they give a list of one patch.
        plan: where draws come from.
    """

    def __init__(
        self,
        load: Callable[[int, int], Mapping[str, torch.Tensor]],
        names: Sequence[str],
        transforms: Compose,
        plan: DrawPlan,
    ) -> None:
        self.load = load
        self.names = tuple(names)
        self.transforms = transforms
        self.plan = plan

    def __getitem__(self, draw: int) -> dict[str, Any]:
        case, spacing, seed = self.plan.source(draw)
        torch.manual_seed(seed)
        self.transforms.set_random_state(seed=seed)
        patch = self.transforms(dict(self.load(case, spacing)))[0]
        return {
            "image": torch.as_tensor(patch["image"]).contiguous(),
            "label": torch.as_tensor(patch["label"]).contiguous(),
            "case": self.names[case],
            "draw": draw,
        }


class StepSampler(Sampler[list[int]]):
    """The draws of this process, a list a step, from one step to the last.

    Args:
        first, last: steps, ``first`` <= step < ``last``, counted from 0.
        patches_per_step: of all processes together.
        processes: this process takes its share of every step's.

    Raises:
        InputError: the patches of a step cannot be divided among the processes.
    """

    def __init__(self, first: int, last: int, patches_per_step: int, processes: Processes) -> None:
        super().__init__()
        if patches_per_step % processes.count:
            raise InputError(
                f"patches_per_step is {patches_per_step}, which {processes.count} processes cannot share evenly.",
                "Change patches_per_step or the number of processes.",
            )
        self.first, self.last = first, last
        self.patches_per_step = patches_per_step
        self.share = patches_per_step // processes.count
        self.rank = processes.rank

    def __len__(self) -> int:
        return self.last - self.first

    def __iter__(self) -> Iterator[list[int]]:
        for step in range(self.first, self.last):
            begin = step * self.patches_per_step + self.rank * self.share
            yield list(range(begin, begin + self.share))

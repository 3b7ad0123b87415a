"""The prepared files of a job's cases, made where they are missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from agunetr.errors import Cancelled
from agunetr_train.data.cases import Case
from agunetr_train.data.preparation import cached_case
from agunetr_train.experiments.definition import Experiment
from agunetr_train.training.distributed import Processes


def prepared_files(
    experiment: Experiment,
    cases: Sequence[Case],
    spacings: Sequence[float],
    cache: Path,
    processes: Processes,
    stop: Callable[[], bool],
) -> list[list[Path]]:
    """The files of every case at every spacing (mm); the first process makes them and the others find them made.

    Raises:
        InputError: a case cannot be used.
        OutputError: the cache cannot be written to.
        Cancelled: ``stop`` said so; what was made is kept.
    """
    seen, labels = experiment.intensity_range, experiment.labels
    with processes.first_goes_ahead():
        return [
            [cached_case(case, spacing, seen, labels, cache) for spacing in spacings]
            for case in until_stopped(cases, processes, stop)
        ]


def until_stopped(cases: Sequence[Case], processes: Processes, stop: Callable[[], bool]) -> Iterator[Case]:
    """One case after the other; one of several processes does not stop alone, for the others would wait for it.

    Raises:
        Cancelled: ``stop`` said so.
    """
    for case in cases:
        if processes.count == 1 and stop():
            raise Cancelled("Stopped while cases were prepared; the same command goes on.")
        yield case

"""What comes before the first step of a run: its folder, the cases, their split, and the checks of the data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agunetr_train.data.cases import Case, pick_cases
from agunetr_train.data.checks import check_cases
from agunetr_train.data.source import find_experiment_cases
from agunetr_train.experiments.definition import Experiment
from agunetr_train.experiments.jobs import Job
from agunetr_train.experiments.splits import Split, make_splits
from agunetr_train.run_folder import RunFolder, write_text
from agunetr_train.runner.ranks import Ranks


@dataclass(frozen=True)
class PreparedRun:
    """A run whose data was found and checked.

    Attributes:
        experiment: what is trained.
        folder: of the run.
        cases: all labelled cases, by name.
        splits: one entry a fold.
        cache: folder of prepared cases.
    """

    experiment: Experiment
    folder: RunFolder
    cases: dict[str, Case]
    splits: list[Split]
    cache: Path

    def part(self, job: Job, part: str) -> list[Case]:
        """The cases of ``job``'s ``training``, ``validation`` or ``test``."""
        return pick_cases(self.cases, getattr(self.splits[job.fold], part))


def prepare_run(
    experiment: Experiment,
    folder: RunFolder,
    data: Path | None,
    cache: Path | None,
    ranks: Ranks,
    say: Callable[[str], None],
    progress: Callable[[str, int, int], None] | None = None,
) -> PreparedRun:
    """Open the run's folder, find, split and check the cases; what an earlier call did is not done again.

    Args:
        experiment: what is trained.
        folder: of the run; made if missing.
        data: folder of the labelled cases, or None where the experiment says where they come from.
        cache: folder of downloaded, drawn and prepared cases; None is ``prepared`` in the run's folder.
        ranks: with several processes, rank 0 does the work and the others read what it left.
        say: told what takes a while.
        progress: called with ("download" or "check", done, total); it may raise Cancelled.

    Raises:
        Cancelled: ``progress`` said so.
        InputError: the folder is another run's, the data lacks a case, or a check failed.
        OutputError: the folder cannot be written.
    """
    cache = cache or folder.root / "prepared"

    def find() -> dict[str, Case]:
        return find_experiment_cases(experiment, data, cache, say, progress)

    if data is not None or experiment.data.source == "folder":
        find()  # a folder that was misspelt leaves no run behind; what is fetched or drawn goes into the run
    ranks.decide(lambda: folder.open(experiment))

    def split_and_check() -> None:
        cases = find()
        splits = make_splits(experiment.split, {case.name: case.patient for case in cases.values()})
        if (folder.root / "splits.json").is_file():
            folder.write_splits(splits)  # says so at once where they are others
        report = check_cases(cases, splits, experiment.intensity_range, cache, progress)
        # The text is there to be read also where training is refused.
        write_text(folder.root / "data-report.txt", report.text())
        report.refuse()
        # Only now: whoever leaves a faulty case out has other splits, and goes on in the same folder.
        folder.write_data(report.to_dict())
        folder.write_splits(splits)

    ranks.decide(split_and_check)
    return PreparedRun(experiment, folder, find(), folder.splits(), cache)

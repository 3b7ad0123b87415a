"""The report of a run: one self-contained page, its figures as PNG, its tables as CSV.

::

    index.html              everything, without any other file
    cases.csv               every measure of every case and training
    summary.csv             mean, standard deviation and median of each stage
    comparisons.csv         differences with intervals and tests
    curves-loss.png         the study's figure 2
    curves-dice.png         the study's figure 3
    panels-<case>.png       the study's figure 1
    differences.png         the difference of each case
    gates.png               what the gates did over the epochs
    attention-<case>-<gate>.png
    report.json             the list of these files

All appear at once when they are all there, and an earlier report's files go; other files in the folder stay.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from agunetr import __version__
from agunetr.errors import OutputError
from agunetr.inference.result_folder import ResultFolder
from agunetr.inference.writing import write_json
from agunetr_train.report import page_tables, run_tables
from agunetr_train.report.collect import RunResults, collect
from agunetr_train.report.conclusion import conclude
from agunetr_train.report.figures import Figures, draw_figures
from agunetr_train.report.score_measures import DICE
from agunetr_train.report.statistics import Comparison, compare_all
from agunetr_train.report.tables import write_cases, write_comparisons, write_summary
from agunetr_train.run_folder import RunFolder

PAGE, RECORD = "index.html", "report.json"
TEMPLATE = "page.html.jinja"


def make_report(
    run: RunFolder,
    output: Path | None = None,
    case: str | None = None,
    slice: int | None = None,
    say: Callable[[str], None] = print,
) -> Path:
    """Write the report of a run, finished or not.

    Args:
        run: its folder.
        output: folder of the report; None takes ``RUN/report``. An earlier report there is replaced.
        case: that figure 1 and the attention maps show; None takes the one with the median difference of Dice.
        slice: its axial slice, from 0; None takes the one with the largest area of spleen.
        say: told in sentences what cannot be shown, and why.

    Returns:
        The page's file.

    Raises:
        InputError: the folder is no run, or there is no such case or slice.
        OutputError: the report cannot be written, or would replace files that are no report.
    """
    results = collect(run)
    folder = Path(output) if output is not None else run.report
    earlier = _earlier_files(folder)
    try:
        _write(results, compare_all(results), folder, earlier, case, slice, say)
    except OSError as error:
        raise OutputError(
            f"The report cannot be written to {folder} ({error.strerror or error}).",
            "Choose a folder on a disk that is writable and has room.",
        ) from error
    return folder / PAGE


def _write(
    results: RunResults,
    comparisons: Sequence[Comparison],
    folder: Path,
    earlier: Sequence[str],
    case: str | None,
    number: int | None,
    say: Callable[[str], None],
) -> None:
    # Files are moved in the order of their names' list, the page last: where it is, all it was made from is.
    with ResultFolder(folder, (PAGE,), overwrite=True) as new:
        write_cases(results, new.path / "cases.csv")
        write_summary(results, new.path / "summary.csv")
        write_comparisons(comparisons, new.path / "comparisons.csv")
        figures = draw_figures(results, comparisons, new.path, case, number, say)
        for reason in figures.missing.values():
            say(reason)
        (new.path / PAGE).write_text(_page(results, comparisons, figures, new.path), encoding="utf-8", newline="\n")
        files = sorted(path.name for path in new.path.iterdir())
        write_json({"program": "agunetr report", "files": [*files, RECORD]}, new.path / RECORD)
        new.names = (RECORD, *(name for name in files if name != PAGE), PAGE)
        new.publish(outdated=[name for name in earlier if name not in new.names])


def _earlier_files(folder: Path) -> list[str]:
    """The files of the report that a folder holds.

    Raises:
        OutputError: it holds a page or tables of the report's names that no report wrote.
    """
    record = folder / RECORD
    try:
        files = json.loads(record.read_text(encoding="utf-8"))["files"]
    except FileNotFoundError:
        if (folder / PAGE).exists():
            raise OutputError(
                f"{folder} holds an {PAGE} that is no report of AGUNETR.", "Choose another folder for the report."
            ) from None
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OutputError(
            f"{record} is damaged, so that nobody can say which files the earlier report wrote.",
            "Remove the earlier report, or choose another folder.",
        ) from error
    return [str(name) for name in files if Path(str(name)).name == name]


def _page(results: RunResults, comparisons: Sequence[Comparison], figures: Figures, folder: Path) -> str:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    shown = [
        {"group": one.group, "title": one.title, "caption": one.caption, "data": _data_uri(folder / one.file)}
        for one in figures.drawn
    ]
    return environment.get_template(TEMPLATE).render(
        version=__version__,
        made=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        experiment=results.experiment,
        facts=_facts(results),
        conclusion=conclude(results, comparisons),
        notes=results.notes,
        figures=shown,
        missing=figures.missing,
        groups={one.group for one in figures.drawn} | set(figures.missing),
        case_table=page_tables.case_table(results, DICE),
        other_case_tables=page_tables.other_case_tables(results),
        summary_table=page_tables.summary_table(results),
        comparison_table=page_tables.comparison_table(comparisons),
        training_table=page_tables.training_table(comparisons),
        job_table=run_tables.job_table(results),
        model_table=run_tables.model_table(results),
        data_table=run_tables.data_table(results),
        split_table=run_tables.split_table(results),
        settings_table=run_tables.settings_table(results),
        environment_table=run_tables.environment_table(results),
        experiment_text=run_tables.experiment_text(results),
    )


def _facts(results: RunResults) -> list[tuple[str, str]]:
    """The few numbers on top of the page."""
    finished = sum(job.state == "finished" for job in results.jobs)
    scored = {case for job in results.jobs for case in job.scores}
    tested = {case for job in results.jobs for case in job.tested}
    return [
        ("trainings finished", f"{finished} of {len(results.jobs)}"),
        ("test cases scored" if all(job.part == "test" for job in results.jobs) else "validation cases scored",
         f"{len(scored)} of {len(tested)}"),
        ("stages compared", str(len(results.compared))),
        ("folds", str(max(results.experiment.split.folds, 1))),
        ("seeds", str(len(results.experiment.seeds))),
    ]  # fmt: skip


def _data_uri(path: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"

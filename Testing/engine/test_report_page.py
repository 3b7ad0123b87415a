"""The report as files: what is written, that it replaces itself whole, and that nothing else is lost."""

from __future__ import annotations

import csv
import json
import re
from html.parser import HTMLParser

import matplotlib.image
import numpy as np
import pytest
from made_runs import change_score, made_run, write_scan

from agunetr.errors import InputError, OutputError
from agunetr.inference.volume import Volume
from agunetr_train.report import figures, page, statistics
from agunetr_train.report.axial_slices import AxialSlice, largest_slice, slice_count
from agunetr_train.report.collect import collect
from agunetr_train.report.figures import Figures
from agunetr_train.report.page import make_report
from agunetr_train.report.panels import choose_case
from agunetr_train.run_folder import RunFolder

TABLES = {"cases.csv", "summary.csv", "comparisons.csv"}
CHARTS = ("draw_loss_curves", "draw_dice_curves", "draw_gate_statistics", "draw_differences")
CURVES = {"curves-loss.png", "curves-dice.png", "gates.png", "differences.png"}


class Page(HTMLParser):
    """What a reader of the page meets: its words, and every address it names."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self._hidden = False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self._hidden = tag == "style"
        self.addresses += [value for name, value in attributes if name in ("src", "href", "srcset", "data")]

    def handle_data(self, data):
        if not self._hidden:
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


@pytest.fixture(scope="module", autouse=True)
def fewer_resamples():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statistics, "RESAMPLES", 999)
        yield


@pytest.fixture
def no_figures(monkeypatch):
    """For tests of the folder alone: drawing takes seconds."""
    monkeypatch.setattr(page, "draw_figures", lambda *arguments: Figures())


@pytest.fixture(scope="module")
def reported(tmp_path_factory) -> RunFolder:
    """A finished run with a report; not to be changed."""
    folder = tmp_path_factory.mktemp("reported")
    run = made_run(folder / "run", scans=folder / "scans")
    case = collect(run).jobs[0].tested[0]
    change_score(run, "base", case, hausdorff95_mm=None)
    make_report(run, say=lambda text: None)
    return run


@pytest.fixture(scope="module")
def shown(reported) -> Page:
    return Page((reported.report / "index.html").read_text(encoding="utf-8"))


def test_everything_is_written_and_listed(reported):
    case = choose_case(collect(reported))
    expected = {"index.html", "report.json", f"panels-{case}.png", *TABLES, *CURVES}
    assert {path.name for path in reported.report.iterdir()} == expected
    assert set(json.loads((reported.report / "report.json").read_text(encoding="utf-8"))["files"]) == expected
    assert not list(reported.root.glob(".agunetr-unfinished*"))


def test_the_page_needs_no_other_file_and_no_script(shown):
    assert all(address.startswith(("data:image/png;base64,", "#")) for address in shown.addresses)
    assert shown.tags.count("img") == 5 and "script" not in shown.tags and "link" not in shown.tags


def test_every_link_of_the_page_leads_somewhere(reported):
    text = (reported.report / "index.html").read_text(encoding="utf-8")
    for target in re.findall(r'href="#([^"]+)"', text):
        assert f'id="{target}"' in text


@pytest.mark.parametrize(
    "words",
    [
        "What the numbers say gated against base: the mean Dice differs by", "What they do not say", "Wilcoxon p",
        "undefined", "CC0-1.0", "ensemble (grade B)", "1,215,900", "12,900", "12.6 min", "made up",
        "Settings that differ between stages come first", "learning_rate", "torch", "agunetr-v2", "trainings finished",
        "The attention maps of gated are left out.",
    ],
)  # fmt: skip
def test_the_page_tells(shown, words):
    assert words in shown.text


def test_tables_have_a_line_for_everything(reported):
    rows = {name: list(csv.DictReader((reported.report / name).open(encoding="utf-8"))) for name in TABLES}
    assert [len(rows[name]) for name in ("cases.csv", "summary.csv", "comparisons.csv")] == [12, 12, 4]
    undefined = [row for row in rows["cases.csv"] if row["hausdorff95_mm"] == ""]
    assert len(undefined) == 1 and undefined[0]["stage"] == "base", "undefined is empty, never 0"
    gated = next(row for row in rows["cases.csv"] if row["stage"] == "gated")
    base = next(row for row in rows["cases.csv"] if (row["stage"], row["case"]) == ("base", gated["case"]))
    assert float(gated["dice_minus_reference_stage"]) == pytest.approx(
        float(gated["dice"]) - float(base["dice"]), abs=1e-5
    )


def test_pictures_hold_more_than_one_colour(reported):
    for path in reported.report.glob("*.png"):
        pixels = matplotlib.image.imread(path)[..., :3]
        assert pixels.shape[1] > 800 and pixels.std() > 0.05, path.name
        assert len(np.unique(pixels[::5, ::5, 0])) > 20, path.name


def test_a_new_report_replaces_the_old_and_nothing_else(tmp_path, no_figures):
    run = made_run(tmp_path / "run")
    make_report(run)
    (run.report / "my notes.txt").write_text("mine", encoding="utf-8")
    record = run.report / "report.json"
    record.write_text(record.read_text(encoding="utf-8").replace('"cases.csv"', '"cases.csv", "panels-old.png"'))
    (run.report / "panels-old.png").write_bytes(b"of the earlier report")
    first = (run.report / "cases.csv").read_bytes()
    change_score(run, "base", collect(run).jobs[0].tested[0], dice=0.123)
    make_report(run)
    assert (run.report / "my notes.txt").read_text(encoding="utf-8") == "mine"
    assert not (run.report / "panels-old.png").exists()
    assert (run.report / "cases.csv").read_bytes() != first


def test_a_report_that_fails_leaves_the_old_one(tmp_path, no_figures, monkeypatch):
    run = made_run(tmp_path / "run")
    make_report(run)
    before = {path.name: path.read_bytes() for path in run.report.iterdir()}

    def full_disk(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(page, "write_comparisons", full_disk)
    with pytest.raises(OutputError, match="No space left"):
        make_report(run)
    assert {path.name: path.read_bytes() for path in run.report.iterdir()} == before


def test_somebody_elses_page_is_not_replaced(tmp_path, no_figures):
    run = made_run(tmp_path / "run")
    other = tmp_path / "site"
    other.mkdir()
    (other / "index.html").write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError, match="no report"):
        make_report(run, other)
    assert (other / "index.html").read_text(encoding="utf-8") == "mine"
    other = tmp_path / "site2"
    assert make_report(run, other) == other / "index.html"
    assert not run.report.exists()


@pytest.mark.parametrize("name", ["<b>bold", "a & b"])
def test_texts_of_the_experiment_are_no_markup(tmp_path, no_figures, name):
    text = make_report(made_run(tmp_path / "run", description=name)).read_text(encoding="utf-8")
    assert "<b>" not in text and Page(text).text.count(name) >= 1


def test_a_run_that_was_just_begun_has_a_report(tmp_path):
    run = made_run(tmp_path / "run", epochs_done=lambda job: 0)
    (run.root / "splits.json").unlink()
    (run.root / "data.json").unlink()
    said: list[str] = []
    text = Page(make_report(run, say=said.append).read_text(encoding="utf-8")).text
    assert "no case is scored" in text and "The data is not checked yet" in text
    assert said == ["There is no mask of a test case yet."]
    assert {path.suffix for path in run.report.iterdir()} == {".csv", ".html", ".json"}


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(InputError, match="is no run"):
        make_report(RunFolder(tmp_path))


def test_a_scan_that_is_gone_leaves_out_its_figure_only(tmp_path, monkeypatch):
    for drawing in CHARTS:
        monkeypatch.setattr(figures, drawing, lambda *arguments: True)
    run = made_run(tmp_path / "run", scans=tmp_path / "scans")
    (tmp_path / "scans" / "ct.nii.gz").unlink()
    drawn = figures.draw_figures(collect(run), [], tmp_path, None, None, print)
    assert "is left out" in drawn.missing["masks"] and "ct.nii.gz" in drawn.missing["masks"]
    assert {one.group for one in drawn.drawn} == {"cases", "training", "gates"}
    with pytest.raises(InputError, match="ct.nii.gz"):
        make_report(run, case=collect(run).jobs[0].tested[0])


@pytest.mark.parametrize(
    ("case", "number", "message"),
    [("nobody", None, "no mask of the case 'nobody'.*Choose one of: case_"), (None, 99, "no axial slice 99.*0 to 19")],
)
def test_a_case_or_slice_that_is_not_there_is_refused(reported, tmp_path, case, number, message, monkeypatch):
    for drawing in CHARTS:
        monkeypatch.setattr(figures, drawing, lambda *arguments: False)
    with pytest.raises(InputError, match=message):
        make_report(reported, tmp_path / "report", case=case, slice=number)
    assert not (tmp_path / "report").exists()


def test_the_shown_case_has_the_median_difference(reported):
    results = collect(reported)
    scores = {job.job.stage.name: job.scores for job in results.jobs}
    base, gated = scores["base"], scores["gated"]
    differences = sorted((gated[case]["dice"] - base[case]["dice"], case) for case in base)
    assert choose_case(results) == differences[2][1], "the lower one of the two in the middle of six"


@pytest.mark.parametrize("flips", [(1, 1, 1), (-1, 1, -1), (1, -1, -1)])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_slices_are_shown_as_radiologists_look_at_them(flips, order):
    """One voxel at the patient's right, front and top, whatever the file's axes: on the left and top of the picture."""
    size, spacing = np.array([7, 5, 4]), np.array([2.0, 3.0, 4.0])
    corner = np.where(np.array(flips) > 0, size - 1, 0)
    matrix = np.eye(4)
    array = np.zeros([size[axis] for axis in reversed(order)], np.float32)
    for column, axis in enumerate(order):
        matrix[:3, column] = 0
        matrix[axis, column] = flips[axis] * spacing[axis]
    array[tuple(corner[axis] for axis in reversed(order))] = 1
    volume = Volume(array, matrix)
    number = largest_slice(volume)
    assert number == corner[2] and slice_count(volume) == 4
    shown = AxialSlice(volume, number)
    plane = shown.plane(array)
    assert plane.shape == (5, 7) and plane[0, 0] == 1 and plane.sum() == 1
    assert shown.extent_mm == (0.0, 14.0, 15.0, 0.0)


def test_attention_maps_are_drawn_where_there_are_any(tmp_path, monkeypatch):
    run = made_run(tmp_path / "run", scans=tmp_path / "scans")
    spleen = write_scan(tmp_path / "scans")
    maps = {"enc1": spleen.with_array(spleen.array.astype(np.float32)), "enc2": spleen.with_array(spleen.array * 0.5)}
    monkeypatch.setattr(figures, "gate_maps_of", lambda run, job, case, say: maps if job.stage.name == "gated" else {})
    for drawing in CHARTS:
        monkeypatch.setattr(figures, drawing, lambda *arguments: False)
    text = make_report(run).read_text(encoding="utf-8")
    names = sorted(path.name for path in run.report.glob("attention-*.png"))
    assert [name.rpartition("-")[2] for name in names] == ["enc1.png", "enc2.png"]
    assert Page(text).text.count("Attention of the gate at enc1") == 1

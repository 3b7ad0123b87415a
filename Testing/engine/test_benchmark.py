"""The benchmark's own arithmetic: what holds, what is kept between runs, whose turn it is, and what a table says."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import bench  # noqa: E402
from speed import cts, features, report, results, subjects, tasks  # noqa: E402
from speed.definitions import DEFINITIONS, groups_of  # noqa: E402
from speed.groups import GROUPS, measure_group  # noqa: E402
from speed.growth_rows import growth  # noqa: E402
from speed.rows import Limit, NotMeasured, Row  # noqa: E402

from agunetr.errors import DeviceError  # noqa: E402
from agunetr.inference.reading import read_volume  # noqa: E402
from agunetr.inference.volume import Volume  # noqa: E402
from agunetr.inference.writing import write_volume  # noqa: E402


def row(**changes) -> Row:
    """Five repetitions, three times as fast as the reference."""
    made = Row("window-exact-torch", "a window", (Limit("ratio", at_least=1.5), Limit("mask_difference", at_most=1e-4)))
    made.repetitions = {"ours": [1.0, 1.1, 9.0, 0.9, 1.0], "reference": [3.0, 3.3, 3.0, 2.0, 30.0]}
    made.agreement = {"mask_difference": 2e-5}
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def test_the_ratio_is_that_of_the_medians_and_one_slow_repetition_changes_nothing():
    assert row().ratio == pytest.approx(3.0)
    assert row(ratio_of="ours / reference").ratio == pytest.approx(1 / 3)
    assert row().holds is True and row().missed == []


@pytest.mark.parametrize(
    ("changes", "missed"),
    [
        ({"agreement": {"mask_difference": 3e-4}}, ["mask_difference <= 0.0001"]),
        ({"agreement": {}}, ["mask_difference <= 0.0001"]),
        ({"target": (Limit("ratio", at_least=3.5),)}, ["ratio >= 3.5"]),
        ({"target": (Limit("peak_memory_mb", at_most=3000),), "peak_memory_mb": 3100.0}, ["peak_memory_mb <= 3000"]),
        ({"target": (Limit("overhead_s", at_most=0.3),), "details": {"overhead_s": 0.5}}, ["overhead_s <= 0.3"]),
    ],
)
def test_a_limit_that_is_not_kept_or_was_not_measured_is_named(changes, missed):
    made = row(**changes)
    assert made.missed == missed and made.holds is False


def test_nothing_is_said_about_a_target_on_too_few_repetitions_or_without_a_measurement():
    few = row(repetitions={"ours": [1.0] * 4, "reference": [3.0] * 4})
    assert few.too_few and few.holds is None
    absent = row(not_measured="no such engine")
    assert absent.holds is None and absent.missed == []
    # Memory needs no median.
    memory = row(
        target=(Limit("peak_memory_mb", at_most=3000),),
        peak_memory_mb=2000.0,
        repetitions={"ours": [60.0], "reference": []},
    )
    assert memory.holds is True and memory.ratio is None
    with pytest.raises(ValueError, match="either"):
        Limit("ratio")


def test_a_row_survives_its_json_form():
    made = row(details={"input": "a phantom"}, peak_fraction=0.7)
    again = Row.from_dict(json.loads(json.dumps(made.to_dict())))
    assert again.to_dict() == made.to_dict()
    assert {
        "name",
        "what",
        "target",
        "ours",
        "reference",
        "ratio",
        "agreement",
        "peak_memory_mb",
        "peak_fraction",
    } <= set(made.to_dict())


def test_every_row_has_a_group_that_measures_it():
    assert set(groups_of(list(DEFINITIONS))) == set(GROUPS)
    assert groups_of(["stitching", "window-fast-torch"]) == {
        "window": ["window-fast-torch"],
        "stitching": ["stitching"],
    }
    with pytest.raises(ValueError, match="'speed'"):
        groups_of(["speed"])


HEADING = {"machine": {"cpu": "A", "cores": 2, "memory_gb": 16.0, "system": "Linux"}, "versions": {"torch": "2"}}


def test_rows_of_an_earlier_run_stay_on_the_same_machine_alone(tmp_path):
    file = tmp_path / "new" / "bench.json"
    old = [row(name="pre-post"), row(name="stitching", repetitions={"ours": [9.0], "reference": [9.0]})]
    results.write_results(file, HEADING, old)
    heading, read = results.read_results(file)
    assert [found.name for found in read] == ["pre-post", "stitching"] and heading == HEADING
    kept, dropped = results.joined(HEADING, heading, read, [row(name="stitching"), row(name="window-exact-torch")])
    assert [found.name for found in kept] == ["window-exact-torch", "pre-post", "stitching"] and not dropped
    assert kept[2].ratio == pytest.approx(3.0), "the new measurement replaces the old one"
    other = {"machine": HEADING["machine"] | {"cpu": "B"}, "versions": {}}
    kept, dropped = results.joined(other, heading, read, [row(name="stitching")])
    assert [found.name for found in kept] == ["stitching"] and "another machine" in dropped
    assert results.read_results(tmp_path / "none.json") == ({}, [])
    file.write_text('{"format": 1, "machine": {}, "versions": {}, "rows": [{"name": "x"}]}', encoding="utf-8")
    assert results.read_results(file) == ({}, [])


def test_results_name_no_folder_of_the_machine():
    folder = "/".join(["", "home", "someone", "data"])
    shared = results.without_folders({"why": f"{folder}/ct.nii.gz cannot be read.", "n": [f"{folder}/x", 1.5, None]})
    assert shared == {"why": "ct.nii.gz cannot be read.", "n": ["x", 1.5, None]}
    assert results.without_folders("0.8/1.5 mm, Dice and/or ratio") == "0.8/1.5 mm, Dice and/or ratio"


class Recorder:
    """A task that writes down when it ran, and can fail."""

    ran: list[str] = []

    def __init__(self, name: str, fails_at: str = "") -> None:
        self._name, self._fails_at = name, fails_at
        if fails_at == "start":
            raise NotMeasured("it has no such engine")

    def run(self) -> str:
        Recorder.ran.append(self._name)
        if self._fails_at == "run":
            raise DeviceError("The engine stopped.", "Take another.")
        return self._name.upper()

    def facts(self, value: str) -> dict[str, str]:
        return {"said": value}


@pytest.fixture
def recorder(monkeypatch):
    monkeypatch.setitem(tasks.TASKS, "recorder", f"{__name__}:Recorder")
    monkeypatch.setattr(Recorder, "ran", [])
    return lambda name, fails_at="": ("recorder", {"name": name, "fails_at": fails_at})


def test_subjects_take_turns_and_one_that_fails_does_not_stop_the_others(recorder):
    told = []
    measured = subjects.take_turns(
        {"a": recorder("a"), "no": recorder("no", "start"), "late": recorder("late", "run"), "b": recorder("b")},
        repetitions=3,
        apart=False,
        say=told.append,
    )
    assert Recorder.ran == ["a", "late", "b", "a", "b", "a", "b"]
    assert len(measured["a"].seconds) == len(measured["b"].seconds) == 3
    assert measured["b"].last == {"said": "B"}
    assert measured["no"].failure == "it has no such engine" and measured["late"].failure.startswith(
        "The engine stopped"
    )
    assert not measured["late"].seconds and any("late" in line for line in told)
    with pytest.raises(NotMeasured, match="no such engine"):
        measured["no"].demand()


def test_a_group_that_fails_leaves_rows_that_say_why(monkeypatch, capsys):
    def missing(_bench, _names):
        raise NotMeasured("There is no localiser.")

    def broken(_bench, _names):
        raise ZeroDivisionError("division by zero")

    monkeypatch.setitem(GROUPS, "stitching", missing)
    rows, sound = measure_group(None, "stitching", ["stitching"])
    assert sound and rows[0].not_measured == "There is no localiser." and rows[0].holds is None
    monkeypatch.setitem(GROUPS, "stitching", broken)
    rows, sound = measure_group(None, "stitching", ["stitching"])
    assert not sound and "ZeroDivisionError" in rows[0].not_measured
    assert bench.disagreements(rows) and "ZeroDivisionError" in capsys.readouterr().err


def test_an_option_that_is_not_there_is_only_left_out_where_that_says_the_same():
    assert features.options_for(device="cpu", localise=False).device == "cpu"
    with pytest.raises(NotMeasured, match="'hurry'"):
        features.options_for(hurry=True)


def test_the_smoke_form_finds_masks_that_disagree():
    assert bench.disagreements([row(agreement={"dice": 0.995, "mask_difference": 1e-3})]) == []
    assert bench.disagreements([row(agreement={"dice_between_the_models": 0.5})]) == [], "two networks may differ"
    for wrong in ({"dice": 0.9}, {"mask_difference": 0.1}, {"equal_masks": 0.0}, {"dice_with_dense": 0.5}):
        assert len(bench.disagreements([row(agreement=wrong)])) == 1, wrong


def test_linear_growth_is_one_and_steeper_growth_is_more():
    points = [{"slices": 100, "seconds": 2.0}, {"slices": 800, "seconds": 16.0}]
    assert growth(points, "seconds") == 1.0
    points[1]["seconds"] = 32.0
    assert growth(points, "seconds") == 2.0


def test_the_table_says_what_was_measured_and_what_was_not(tmp_path):
    rows = [
        row(peak_fraction=0.5),
        row(name="window-fast-torch", target=(Limit("ratio", at_least=4),)),
        row(name="segment-localised", not_measured="There is no localiser."),
        row(
            name="growth", details={"points": [{"slices": 100, "windows": 3, "seconds": 1.0, "peak_memory_mb": 700.0}]}
        ),
    ]
    heading = {"machine": HEADING["machine"] | {"instructions": ["avx2"], "gpu": "none"}, "versions": {"torch": "2"}}
    text = report.report(heading, rows, "Testing/benchmarks/results/bench.png")
    lines = {line.split("|")[1].strip(): line for line in text.splitlines() if line.startswith("| ")}
    assert "3.00, 0.50 of the peak" in lines["window-exact-torch"] and lines["window-exact-torch"].endswith("| yes |")
    assert "no (ratio >= 4)" in lines["window-fast-torch"]
    assert "not measured" in lines["segment-localised"] and "There is no localiser." in text
    assert "| 100 | 3 | 1 s | 700 MB |" in text and "bench.png" in text
    assert {line.count("|") for line in lines.values()} == {10, 5}

    readme = tmp_path / "README.md"
    readme.write_text(f"# A\n{report.BEGIN}\nold\n{report.END}\nrest\n", encoding="utf-8")
    assert report.put_into(readme, text) and report.put_into(readme, text)
    written = readme.read_text(encoding="utf-8")
    assert written.startswith("# A\n") and written.endswith("\nrest\n") and "\nold\n" not in written
    assert written.count("| window-exact-torch |") == 1
    readme.write_text("no markers\n", encoding="utf-8")
    assert not report.put_into(readme, text) and readme.read_text(encoding="utf-8") == "no markers\n"


def test_the_readme_has_a_place_for_the_table(project_root):
    text = (project_root / "README.md").read_text(encoding="utf-8")
    assert text.count(report.BEGIN) == text.count(report.END) == 1


def write_case(folder: Path, name: str, slices: int = 4, **facts: object) -> None:
    """A labelled case of a few voxels."""
    (folder / name).mkdir(parents=True)
    array = np.arange(slices * 10 * 12, dtype=np.int16).reshape(slices, 10, 12)
    matrix = np.diag([2.0, 2.0, 5.0, 1.0])
    write_volume(Volume(array, matrix), folder / name / "ct.nii.gz")
    write_volume(Volume((array > 30).astype(np.uint8), matrix), folder / name / "spleen.nii.gz")
    (folder / name / "case.json").write_text(json.dumps(facts), encoding="utf-8")


def test_the_ct_is_one_that_no_installed_model_was_trained_on(tmp_path):
    with pytest.raises(FileNotFoundError, match="no labelled CT"):
        cts.choose_case(tmp_path)
    write_case(tmp_path, "a-cut", whole_spleen=False, contrast=True)
    assert cts.choose_case(tmp_path).what == "the real CT a-cut", "better than nothing"
    write_case(tmp_path, "crlm-1004", whole_spleen=True, contrast=True)  # the embedded models know it
    write_case(tmp_path, "new", slices=9, whole_spleen=True, contrast=True)
    assert cts.choose_case(tmp_path).file.parent.name == "new"
    assert cts.longest_case(tmp_path).file.parent.name == "new"


def test_a_ct_of_a_size_keeps_its_values_and_goes_on_mirrored(tmp_path):
    source = tmp_path / "source.nii.gz"
    z, y, x = np.mgrid[:6, :20, :24]
    matrix = np.diag([2.0, 2.0, 3.0, 1.0])
    matrix[:3, 3] = (-40.0, 10.0, 7.0)
    write_volume(Volume((100 * z + 2 * x + y).astype(np.int16), matrix), source)
    made = cts.sized_ct(cts.BenchCT(source, "a ramp"), (12, 10, 40), (2.0, 2.0, 1.0), tmp_path / "made.nii.gz")
    volume, _ = read_volume(made.file)
    assert volume.size == (12, 10, 40) and volume.spacing_mm == pytest.approx((2.0, 2.0, 1.0))
    assert "mirrored above slice 18" in made.what and "12x10x40 voxels of 2x2x1 mm" in made.what
    # Centred in its slices; linear in between, so that the ramp's own formula gives every voxel.
    inside = volume.array[4:14].astype(float)
    place = np.linalg.inv(matrix) @ volume.ijk_to_ras
    k, j, i = np.mgrid[4:14, :10, :12]
    at = [place[row, 0] * i + place[row, 1] * j + place[row, 2] * k + place[row, 3] for row in range(3)]
    assert np.abs(inside - (100 * at[2] + 2 * at[0] + at[1])).max() <= 1.0
    assert np.array_equal(volume.array[18:36], volume.array[17::-1])
    assert np.array_equal(volume.array[36:40], volume.array[0:4])
    written = made.file.stat().st_mtime_ns
    cts.sized_ct(cts.BenchCT(source, "a ramp"), (12, 10, 40), (2.0, 2.0, 1.0), made.file)
    assert made.file.stat().st_mtime_ns == written, "made once"


def test_masks_are_kept_bit_by_bit(tmp_path):
    mask = np.random.default_rng(2).random((5, 7, 3)) > 0.5
    tasks.keep_mask(mask.astype(np.uint8), str(tmp_path / "mask.npz"))
    assert np.array_equal(tasks.kept_mask(tmp_path / "mask.npz"), mask)
    tasks.keep_mask(mask, None)


def test_a_row_that_is_not_there_or_a_missing_ct_is_refused_before_anything_runs(tmp_path, capsys):
    for arguments in (["--rows", "speed"], ["--ct", str(tmp_path / "none.nii.gz")], ["--repetitions", "0"]):
        with pytest.raises(SystemExit) as left:
            bench.main(arguments)
        assert left.value.code == 2
    assert "There is no row called 'speed'" in capsys.readouterr().err


def test_the_phantom_of_a_machine_without_cts_is_drawn_once(tmp_path, monkeypatch):
    drawn = []
    make = cts.make_phantom

    def small(seed):
        drawn.append(seed)
        return make(seed, size=(40, 32, 20), spacing_mm=(8, 8, 12))

    monkeypatch.setattr(cts, "make_phantom", small)
    first, second = cts.phantom_ct(tmp_path), cts.phantom_ct(tmp_path)
    assert first == second and drawn == [cts.PHANTOM_SEED] and sitk.ReadImage(str(first.file)).GetSize() == (40, 32, 20)


def test_a_ct_that_monai_cannot_read_becomes_one_that_it_can(tmp_path):
    write_case(tmp_path, "a")
    nifti = tmp_path / "a" / "ct.nii.gz"
    assert cts.given_ct(nifti, tmp_path).file == nifti
    scan = tmp_path / "scan.nrrd"
    sitk.WriteImage(sitk.ReadImage(str(nifti)), str(scan))
    made = cts.given_ct(scan, tmp_path)
    assert made.file.name == "given.nii.gz" and made.what == "the CT given, scan.nrrd"
    first, second = read_volume(nifti)[0], read_volume(made.file)[0]
    assert second.same_grid(first) and np.array_equal(second.array, first.array)

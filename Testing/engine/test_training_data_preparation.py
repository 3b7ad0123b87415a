"""Prepared cases and drawn phantoms: made once, by content, also when two processes make them at a time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny_experiments import tiny_experiment

from agunetr.errors import InputError, OutputError
from agunetr.inference.reading import read_mask, read_volume
from agunetr.inference.resampling import prepare
from agunetr.inference.writing import write_volume
from agunetr_train.data.cases import Case, find_cases
from agunetr_train.data.preparation import cached_case, load_prepared, map_prepared, read_case
from agunetr_train.data.source import draw_phantoms, find_experiment_cases
from agunetr_train.experiments.definition import DataSource

RANGE = (-175.0, 250.0)
FEW = DataSource(source="phantoms", cases=2, seed=5, size=(24, 20, 20), spacing_mm=(14.0, 14.0, 14.0))


@pytest.fixture(scope="module")
def case(phantom_cases: Path) -> Case:
    return find_cases(phantom_cases)["one"]


def test_the_network_sees_the_same_as_at_inference(case, tmp_path):
    arrays = load_prepared(cached_case(case, 8.0, RANGE, "soft", tmp_path))
    seen = prepare(read_volume(case.image)[0], (8.0,) * 3, RANGE).array.transpose(2, 1, 0)
    assert arrays["image"].shape == arrays["label"].shape == (1, *seen.shape)
    assert arrays["image"].dtype == arrays["label"].dtype == np.float32
    assert np.abs(arrays["image"][0] - seen).max() < 1e-3
    soft = arrays["label"]
    assert ((soft > 0.05) & (soft < 0.95)).any() and soft.min() == 0 and soft.max() <= 1
    mask = read_mask(case.label)
    assert soft.sum() * 0.512 == pytest.approx(mask.array.sum() * mask.voxel_ml, rel=0.02)


def test_nearest_masks_are_hard_and_lie_on_the_same_voxels(case, tmp_path):
    hard = map_prepared(cached_case(case, 8.0, RANGE, "nearest", tmp_path))
    soft = map_prepared(cached_case(case, 8.0, RANGE, "soft", tmp_path))
    assert str(hard["label"].dtype) == "torch.uint8" and set(hard["label"].unique().tolist()) == {0, 1}
    assert (hard["image"] == soft["image"]).all() and str(hard["image"].dtype) == "torch.float16"
    both = (hard["label"] * (soft["label"] > 0.5)).sum()
    assert 2 * both / (hard["label"].sum() + (soft["label"] > 0.5).sum()) > 0.9


def test_a_file_for_each_content_and_parameter(case, phantom_cases, tmp_path):
    first = cached_case(case, 8.0, RANGE, "soft", tmp_path)
    stamp = first.stat().st_mtime_ns
    assert cached_case(case, 8.0, RANGE, "soft", tmp_path).stat().st_mtime_ns == stamp
    two = find_cases(phantom_cases)["two"]
    others = [
        cached_case(case, 9.0, RANGE, "soft", tmp_path),
        cached_case(case, 8.0, (-100.0, 250.0), "soft", tmp_path),
        cached_case(case, 8.0, RANGE, "nearest", tmp_path),
        cached_case(Case("one", case.image, case.label, {"patient": "P"}), 8.0, RANGE, "soft", tmp_path),
        cached_case(Case("one", two.image, two.label), 8.0, RANGE, "soft", tmp_path),
    ]
    assert len({first, *others}) == 5 and others[3] == first, "facts do not matter, voxels do"
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_mask_that_does_not_fit_is_refused_by_the_reader_too(case, tmp_path):
    mask = read_mask(case.label)
    write_volume(mask.with_array(mask.array * 3), tmp_path / "mask.nii.gz")
    with pytest.raises(InputError, match="The mask of the case one holds the value 3"):
        read_case(Case("one", case.image, tmp_path / "mask.nii.gz"))
    with pytest.raises(InputError, match="cannot be read"):
        cached_case(Case("one", case.image, tmp_path / "nowhere.nii.gz"), 8.0, RANGE, "soft", tmp_path)


def test_a_cache_that_cannot_be_written_and_a_damaged_file_are_told(case, tmp_path):
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(OutputError, match="cannot be written"):
        cached_case(case, 8.0, RANGE, "soft", tmp_path / "file" / "cache")
    prepared = cached_case(case, 8.0, RANGE, "soft", tmp_path)
    prepared.write_bytes(prepared.read_bytes()[:100])
    with pytest.raises(InputError, match=r"The prepared case .* cannot be read"):
        load_prepared(prepared)


BOTH = """
import json, sys
from pathlib import Path
from agunetr_train.data.cases import find_cases
from agunetr_train.data.preparation import cached_case
from agunetr_train.data.source import draw_phantoms
from agunetr_train.experiments.definition import DataSource
cache, data, source = Path(sys.argv[1]), Path(sys.argv[2]), DataSource.model_validate_json(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
folder = draw_phantoms(source, cache, lambda text: None)
print(folder)
for case in find_cases(data).values():
    print(cached_case(case, 8.0, (-175.0, 250.0), "soft", cache))
"""


def test_two_processes_prepare_and_draw_at_once(phantom_cases, tmp_path):
    command = [sys.executable, "-c", BOTH, str(tmp_path), str(phantom_cases), FEW.model_dump_json()]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "encoding": "utf-8"}
    processes = [subprocess.Popen(command, **pipes) for _ in range(2)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:  # both are loaded: they start within a moment
        process.stdin.write("\n")
        process.stdin.flush()
    told = [process.communicate(timeout=300)[0].splitlines() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert told[0] == told[1] and len(told[0]) == 5
    assert {path.name for path in tmp_path.iterdir()} == {Path(line).name for line in told[0]}
    for line in told[0][1:]:
        assert load_prepared(Path(line))["image"].max() == 1
    assert len(find_cases(Path(told[0][0]))) == 2


def test_phantoms_are_drawn_once_with_what_they_are(tmp_path):
    said: list[str] = []
    folder = draw_phantoms(FEW, tmp_path, said.append)
    assert draw_phantoms(FEW, tmp_path, said.append) == folder and len(said) == 1
    cases = find_cases(folder)
    assert list(cases) == ["phantom_000", "phantom_001"] and cases["phantom_001"].facts["seed"] == 6
    assert cases["phantom_000"].facts["licence"].startswith("CC0")
    assert read_case(cases["phantom_000"])[1].array.any()
    other = draw_phantoms(FEW.model_copy(update={"seed": 6}), tmp_path, said.append)
    assert other != folder
    again = read_volume(find_cases(other)["phantom_000"].image)[0]
    assert np.array_equal(again.array, read_volume(cases["phantom_001"].image)[0].array)


def test_phantoms_that_cannot_be_drawn_leave_nothing(tmp_path):
    wrong = FEW.model_copy(update={"size": (4, 20, 20)})
    with pytest.raises(InputError, match="cannot be drawn: size must be"):
        draw_phantoms(wrong, tmp_path / "cache", lambda text: None)
    assert list((tmp_path / "cache").iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be made"):
        draw_phantoms(FEW, tmp_path / "file", lambda text: None)


def test_the_experiment_says_where_its_cases_come_from(phantom_cases, tmp_path, monkeypatch):
    experiment = tiny_experiment(tmp_path)
    assert set(find_experiment_cases(experiment, phantom_cases, tmp_path)) == {"one", "two", "three", "four"}
    with pytest.raises(InputError, match="tiny brings no data.*--data"):
        find_experiment_cases(experiment, None, tmp_path)
    drawn = tiny_experiment(tmp_path, data=json.loads(FEW.model_dump_json()))
    assert len(find_experiment_cases(drawn, None, tmp_path, lambda text: None)) == 2
    asked = []
    download = "agunetr_train.data.msd_download.download_msd_spleen"
    monkeypatch.setattr(download, lambda folder, say, progress: asked.append(folder) or phantom_cases)
    public = tiny_experiment(tmp_path, data={"source": "msd-spleen"})
    assert len(find_experiment_cases(public, None, tmp_path)) == 4 and asked == [tmp_path]

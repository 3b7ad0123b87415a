"""The benchmark in small: tiny networks on a small scan. The masks must agree with MONAI's; times say nothing here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from monai.data import get_track_meta, set_track_meta

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

from speed.definitions import DEFINITIONS  # noqa: E402
from speed.groups import measure_group  # noqa: E402
from speed.memory import peak_mb, resident_mb  # noqa: E402
from speed.subjects import take_turns  # noqa: E402
from speed.workbench import Workbench  # noqa: E402


@pytest.fixture(scope="module")
def bench(tmp_path_factory) -> Workbench:
    """One smoke workbench for all groups, its subjects in this process; compiled networks are kept in its folder."""
    folder = tmp_path_factory.mktemp("bench")
    tracked = get_track_meta()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AGUNETR_CACHE", str(folder / "cache"))
        yield Workbench(folder, repetitions=1, smoke=True, apart=False, say=lambda _text: None)
    set_track_meta(tracked)


def rows_of(bench: Workbench, group: str) -> dict:
    """The rows of a group by name; none of them may have failed."""
    names = [name for name, definition in DEFINITIONS.items() if definition.group == group]
    rows, sound = measure_group(bench, group, names)
    assert sound, [row.not_measured for row in rows]
    assert [row.name for row in rows] == names
    return {row.name: row for row in rows}


def test_one_window_gives_monais_mask_with_every_engine(bench):
    rows = rows_of(bench, "window")
    torch_row, openvino_row = rows["window-exact-torch"], rows["window-exact-openvino"]
    assert torch_row.details["engine"] == "torch" and torch_row.details["precision"] == "exact"
    for row in (torch_row, openvino_row):
        if row is openvino_row and row.not_measured:
            assert "OpenVINO" in row.not_measured
            continue
        assert row.details["foreground"] > 1000
        assert row.agreement["mask_difference"] <= 2e-3, row.name
        assert row.agreement["dice"] >= 0.999
        assert 0 < row.peak_fraction and row.details["window_gflop"] > 0.1
    fast = rows["window-fast-torch"]
    assert fast.not_measured or (fast.details["precision"] == "fast" and fast.agreement["dice_with_exact"] >= 0.97)


def test_the_way_to_the_networks_grid_and_back_is_monais(bench):
    row = rows_of(bench, "pre-post")["pre-post"]
    assert row.agreement["dice"] >= 0.995
    shapes = np.array([row.details["network_shape_ours"], row.details["network_shape_monai"]])
    assert np.abs(shapes[0] - shapes[1]).max() <= 1, "half a voxel rounds the other way"


def test_stitching_gives_monais_mask(bench):
    row = rows_of(bench, "stitching")["stitching"]
    assert row.agreement["mask_difference"] == 0.0 and row.details["windows"] > 20


def test_a_whole_segment_gives_monais_mask_on_every_way(bench):
    for name, row in rows_of(bench, "segment").items():
        assert not row.not_measured, f"{name}: {row.not_measured}"
        assert row.agreement["dice"] >= 0.98, name
        assert row.details["windows"] == 8 and row.details["precision"] in ("exact", "fast")
        if name == "segment-localised":
            assert row.agreement["dice_with_dense"] >= 0.98 and row.details["search_reason"]


def test_a_gated_model_gives_monais_mask_and_two_models_compare(bench):
    assert rows_of(bench, "compact-click")["compact-click"].agreement["dice"] >= 0.98
    row = rows_of(bench, "two-models")["two-models"]
    assert row.ratio_of == "ours / reference" and 0.5 < row.agreement["dice_between_the_models"] < 1
    assert len(row.details["windows"]) == 2


def test_a_step_of_training_has_monais_losses(bench):
    rows = rows_of(bench, "train-step")
    exact, fast = rows["train-step-exact"], rows["train-step-fast"]
    assert exact.details["precision"] == "float32" and exact.agreement["loss_difference"] <= 1e-4
    assert fast.details["precision"] == "bfloat16" and 0 < fast.agreement["loss_difference"] <= 2e-2
    assert all(loss > 0.1 for loss in exact.details["losses"])


def test_a_patch_is_cut_from_the_case_beside_the_step(bench):
    row = rows_of(bench, "train-loading")["train-loading"]
    assert row.details["patch"] == [1, 32, 32, 32] and row.ratio > 0


def test_what_is_tried_answers_as_the_plain_way_does(bench):
    rows = rows_of(bench, "trials")
    for name in ("trial-torch-one-thread", "trial-torch-batch-2", "trial-float16"):
        assert not rows[name].not_measured, rows[name].not_measured
    for name, row in rows.items():
        if not row.not_measured:
            assert row.agreement["mask_difference"] <= (0.2 if "int8" in name else 0.01), name
            assert row.holds is None and row.details["against"] in ("torch", "openvino", "float32")


def test_growth_and_memory_without_processes_of_their_own(bench):
    row = rows_of(bench, "growth")["growth"]
    points = row.details["points"]
    assert [point["slices"] for point in points] == [100, 200, 400, 800]
    assert [point["windows"] for point in points] == sorted(point["windows"] for point in points)
    assert "peak_memory_mb" not in points[0] and row.holds is not True
    rows, sound = measure_group(bench, "memory", ["memory"])
    assert sound and "process of its own" in rows[0].not_measured


def test_a_worker_answers_a_second_click(bench):
    row = rows_of(bench, "second-click")["second-click"]
    assert not row.not_measured, row.not_measured
    assert row.ours > row.reference > 0
    assert row.details["overhead_s"] == pytest.approx(row.ours - row.reference, abs=1e-3)
    assert row.details["stages"]["windows"] > 0


def test_many_cts_in_one_call_give_the_masks_of_single_calls(bench):
    row = rows_of(bench, "throughput")["throughput"]
    assert not row.not_measured, row.not_measured
    assert row.agreement == {"equal_masks": 1.0} and row.details["cts"] == 2


def test_a_subject_apart_has_a_peak_of_its_own():
    ballast = np.ones(120_000_000, np.float64)  # 960 MB that a child must not inherit
    assert resident_mb() > 960 and peak_mb() >= resident_mb()
    stitching = {"shape": [40, 40, 40], "window": [16, 16, 16], "seed": 1}
    measured = take_turns(
        {"ours": ("stitching-ours", stitching), "none": ("stitching-ours", stitching | {"window": [0, 16, 16]})},
        repetitions=2,
        apart=True,
    )
    ours = measured["ours"].demand()
    assert len(ours.seconds) == 2 and ours.last["windows"] == 64
    assert 0 < ours.resident_mb <= ours.peak_mb < ballast.nbytes / 1e6
    assert ours.working_mb >= 0
    assert measured["none"].failure.startswith("It failed: ")


def test_the_smoke_form_from_the_command_line(tmp_path, project_root):
    command = [
        sys.executable,
        str(BENCHMARKS / "bench.py"),
        "--smoke",
        "--rows",
        "stitching",
        "--output",
        str(tmp_path),
    ]
    environment = {**os.environ, "AGUNETR_CACHE": str(tmp_path / "cache")}
    readme = (project_root / "README.md").read_bytes()
    done = subprocess.run(command, capture_output=True, encoding="utf-8", env=environment, timeout=500, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| stitching |" in done.stdout and "1/1 monai" in done.stdout, "every repetition is printed"
    written = json.loads((tmp_path / "bench.json").read_text(encoding="utf-8"))
    assert written["machine"]["cores"] and written["versions"]["torch"] and written["started"]
    (row,) = written["rows"]
    assert row["name"] == "stitching" and row["agreement"] == {"mask_difference": 0.0}
    assert len(row["repetitions"]["ours"]) == len(row["repetitions"]["reference"]) == 1
    assert row["holds"] is None, "one repetition says nothing about a target"
    assert row["peak_memory_mb"] > 0 and row["details"]["reference_peak_memory_mb"] > 0
    assert (tmp_path / "bench.png").read_bytes()[:4] == b"\x89PNG"
    assert (project_root / "README.md").read_bytes() == readme

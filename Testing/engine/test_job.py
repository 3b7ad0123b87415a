"""A job's files appear all at once, complete and correct, or not at all."""

from __future__ import annotations

import dataclasses
import json
import os

import numpy as np
import pytest
from bright_scan import ball_mask, bright_scan
from intensity_models import IntensityBundle

from agunetr.errors import Cancelled, MemoryExhausted, ModelError, Notice, OutputError
from agunetr.inference import result_folder
from agunetr.inference.job import run_job
from agunetr.inference.reading import read_volume
from agunetr.inference.segmenter import Segmenter, SegmentOptions
from agunetr.measures import dice_score

EXACT = SegmentOptions(device="cpu", engine="torch", precision="exact")
BASE = IntensityBundle("base")
GATED = IntensityBundle("gated", gate_names=("enc1",), level=0.6, variant="agunetr-v2")
SCAN = bright_scan((1, 2, 0), (-1, 1, 1))


def _contents(folder):
    return sorted(path.name for path in folder.rglob("*"))


class _FailsAt(Segmenter):
    """A segmenter that runs out of memory at the named model."""

    def segment(self, volume, bundle, *args):
        if bundle.name == "gated":
            raise MemoryExhausted("Too little memory.")
        return super().segment(volume, bundle, *args)


def test_a_gate_that_another_model_of_the_job_has_is_no_reason_for_a_warning(tmp_path):
    plain = IntensityBundle("plain", gate_names=("enc2",), variant="agunetr-v1")
    options = dataclasses.replace(EXACT, attention=("enc1", "enc2"))
    result = run_job(SCAN, [], [BASE, plain, GATED], options, tmp_path / "out")
    kinds = {warning["kind"] for entry in result["models"] for warning in entry["warnings"]}
    assert "no-such-gate" not in kinds
    assert [sorted(entry["attention"]) for entry in result["models"]] == [[], ["enc2"], ["enc1"]]


def test_masks_maps_and_measurements_of_two_models(tmp_path):
    output = tmp_path / "Ergebnis für 患者 1"
    told = []
    options = dataclasses.replace(EXACT, attention=("all",))
    notices = [Notice("few-slices", "Few slices.")]
    result = run_job(
        SCAN, notices, [BASE, GATED], options, output, None, lambda *step: told.append(step), None, {"path": "ct.nrrd"}
    )
    assert _contents(tmp_path) == sorted(
        [output.name, "base.nii.gz", "gated.nii.gz", "gated_enc1.nii.gz", "result.json"]
    )
    assert json.loads((output / "result.json").read_text(encoding="utf-8")) == result
    assert result["input"] == {"path": "ct.nrrd", "size": list(SCAN.size), "spacing_mm": list(SCAN.spacing_mm)}
    assert result["warnings"] == [{"kind": "few-slices", "message": "Few slices."}]
    assert result["device"] == "cpu" and result["precision"] == "exact" and result["format"] == 1
    assert all(entry["engine"] == "torch" and entry["engine_reason"] for entry in result["models"])
    assert result["seconds"]["total"] > 0 and {"prepare", "windows", "restore", "write"} <= set(result["seconds"])

    base, gated = result["models"]
    assert (base["name"], base["mask"], base["attention"]) == ("base", "base.nii.gz", {})
    assert gated["attention"] == {"enc1": "gated_enc1.nii.gz"} and gated["variant"] == "agunetr-v2"
    mask, _ = _read_mask(output / "base.nii.gz")
    assert mask.same_grid(SCAN) and dice_score(mask.array, ball_mask(SCAN)) > 0.93
    assert base["voxels"] == int(mask.array.sum())
    assert base["volume_ml"] == pytest.approx(mask.array.sum() * SCAN.voxel_ml)
    assert base["mean_hu"] == pytest.approx(SCAN.array[mask.array > 0].mean())
    assert base["longest_axis_mm"] == pytest.approx(26, abs=4)
    other, _ = _read_mask(output / "gated.nii.gz")
    assert result["agreement"] == [{"first": "base", "second": "gated", "dice": dice_score(mask.array, other.array)}]
    assert {stage.split(": ")[0] for stage, _, _ in told} == {"base", "gated"}


def _read_mask(path):
    import SimpleITK as sitk

    from agunetr.inference.volume import Volume

    image = sitk.ReadImage(str(path))
    return Volume.from_sitk(image), image.GetPixelIDTypeAsString()


def test_file_types(tmp_path):
    run_job(SCAN, [], [GATED], dataclasses.replace(EXACT, attention=("enc1",)), tmp_path)
    assert _read_mask(tmp_path / "gated.nii.gz")[1] == "8-bit unsigned integer"
    gate_map, kind = _read_mask(tmp_path / "gated_enc1.nii.gz")
    assert kind == "32-bit float"
    np.testing.assert_allclose(gate_map.spacing_mm, GATED.spacing_mm, atol=1e-5)
    read_volume(tmp_path / "gated_enc1.nii.gz")


def test_results_that_are_there_are_kept_unless_overwriting_is_asked_for(tmp_path):
    (tmp_path / "ct.nrrd").write_text("the job's input")
    (tmp_path / "base.nii.gz").write_text("earlier result")
    before = _contents(tmp_path)
    segmenter = _FailsAt()
    with pytest.raises(OutputError, match=r"already holds base\.nii\.gz"):
        run_job(SCAN, [], [BASE], EXACT, tmp_path, segmenter)
    assert _contents(tmp_path) == before and not segmenter._warm
    run_job(SCAN, [], [BASE], EXACT, tmp_path, overwrite=True)
    assert _contents(tmp_path) == ["base.nii.gz", "ct.nrrd", "result.json"]
    assert _read_mask(tmp_path / "base.nii.gz")[0].array.any()


@pytest.mark.parametrize("exists", [True, False])
def test_a_failure_leaves_nothing(tmp_path, exists):
    output = tmp_path / "results"
    if exists:
        output.mkdir()
    segmenter = _FailsAt(EXACT)
    with pytest.raises(MemoryExhausted):
        run_job(SCAN, [], [BASE, GATED], EXACT, output, segmenter)
    assert _contents(tmp_path) == (["results"] if exists else [])
    assert segmenter._last_prepared is None


def test_a_cancel_leaves_nothing_at_whatever_moment(tmp_path):
    asked = []
    run_job(SCAN, [], [BASE], EXACT, tmp_path / "whole", cancelled=lambda: asked.append(1))
    for moment in (1, 2, len(asked) // 2, len(asked)):
        count = iter(range(1, len(asked) + 1))
        with pytest.raises(Cancelled):
            run_job(SCAN, [], [BASE], EXACT, tmp_path / "cut", cancelled=lambda count=count, m=moment: next(count) == m)
        assert not (tmp_path / "cut").exists() and _contents(tmp_path)[0] == "base.nii.gz"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_disk_that_fails_while_moving_leaves_nothing_new(tmp_path, monkeypatch):
    output = tmp_path / "results"
    moves = []
    move = os.replace

    def second_fails(source, target):
        if result_folder.HIDDEN_PREFIX in str(source) and ".agunetr" not in os.path.basename(target):
            moves.append(target)
        if target == output / "result.json":
            raise OSError(28, "No space left on device")
        move(source, target)

    monkeypatch.setattr(os, "replace", second_fails)
    with pytest.raises(OutputError, match="No space left"):
        run_job(SCAN, [], [BASE], EXACT, output)
    assert output / "base.nii.gz" in moves
    assert _contents(tmp_path) == []


@pytest.mark.parametrize("failing", ["result.json", "base.nii.gz", "aside"])
def test_a_disk_that_fails_while_overwriting_keeps_the_earlier_results(tmp_path, monkeypatch, failing):
    for name in ("base.nii.gz", "result.json"):
        (tmp_path / name).write_text(f"earlier {name}")
    move = os.replace
    moves = []

    def fails(source, target):
        if target.parent.name == result_folder.REPLACED or target.parent == tmp_path:  # else: writing, not moving
            moves.append(target.name)
            if failing == "aside":
                fail = len(moves) == 2
            else:
                fail = moves[-1] == failing and source.parent.name.startswith(result_folder.HIDDEN_PREFIX)
            if fail:
                raise OSError(28, "No space left on device")
        move(source, target)

    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(OutputError, match="No space left"):
        run_job(SCAN, [], [BASE], EXACT, tmp_path, overwrite=True)
    assert moves[0] == moves[-1] == "result.json"
    assert _contents(tmp_path) == ["base.nii.gz", "result.json"]
    assert all((tmp_path / name).read_text() == f"earlier {name}" for name in _contents(tmp_path))


def test_overwriting_removes_gate_maps_of_the_earlier_result_and_nothing_else(tmp_path):
    output = tmp_path / "results"
    run_job(SCAN, [], [GATED], dataclasses.replace(EXACT, attention=("all",)), output)
    for path in (output / "gated_mine.nii.gz", tmp_path / "x_a.nii.gz", output / "notes_1.nii.gz"):
        path.write_text("not a result")
    result = json.loads((output / "result.json").read_text(encoding="utf-8"))
    result["models"] += [
        {"name": "../x", "attention": {"a": "../x_a.nii.gz"}}, {"name": "y", "attention": {"a": "notes_1.nii.gz"}}
    ]  # fmt: skip
    (output / "result.json").write_text(json.dumps(result), encoding="utf-8")
    run_job(SCAN, [], [GATED], EXACT, output, overwrite=True)
    assert _contents(output) == ["gated.nii.gz", "gated_mine.nii.gz", "notes_1.nii.gz", "result.json"]
    assert (tmp_path / "x_a.nii.gz").exists()


@pytest.mark.parametrize("dicom", [False, True])
def test_the_input_is_never_replaced(tmp_path, dicom):
    path = tmp_path / "base.nii.gz"
    path.write_bytes(bytes(128) + b"DICM")
    segmenter = Segmenter(EXACT)
    for overwrite in (False, True):
        with pytest.raises(OutputError, match="would replace the input"):
            described = {"path": str(tmp_path if dicom else path)}
            run_job(SCAN, [], [BASE], EXACT, tmp_path, segmenter, None, None, described, overwrite)
    assert path.read_bytes()[128:] == b"DICM" and _contents(tmp_path) == ["base.nii.gz"] and not segmenter._warm


def test_a_process_that_must_end_at_once_can_discard_what_it_has_written(tmp_path):
    with pytest.raises(OutputError), result_folder.ResultFolder(tmp_path / "results", ["a.txt"]) as folder:
        (folder.path / "a.txt").write_text("half")
        assert len(_contents(tmp_path)) == 2
        result_folder.discard_unfinished()
        assert _contents(tmp_path) == []
        folder.publish()
    assert _contents(tmp_path) == []


def test_a_missing_parent_is_refused_before_the_work(tmp_path):
    segmenter = Segmenter(EXACT)
    with pytest.raises(OutputError, match="does not exist"):
        run_job(SCAN, [], [BASE], EXACT, tmp_path / "no" / "such", segmenter)
    assert not segmenter._warm and _contents(tmp_path) == []


@pytest.mark.parametrize(
    ("bundles", "attention", "words"),
    [
        ([], (), "No model"),
        ([BASE, IntensityBundle("BASE")], (), "called BASE|called base"),
        ([BASE, GATED], ("enc9",), "gate called enc9.*enc1"),
        ([BASE], ("enc1",), "gate called enc1.*gated model"),
        ([GATED, IntensityBundle("gated_enc1")], ("all",), "gated_enc1.nii.gz"),
    ],
)
def test_models_that_cannot_be_told_apart_or_lack_the_gate_are_refused(tmp_path, bundles, attention, words):
    with pytest.raises(ModelError, match=words):
        run_job(SCAN, [], bundles, dataclasses.replace(EXACT, attention=attention), tmp_path)
    assert _contents(tmp_path) == []


def test_an_empty_mask_has_undefined_measures_not_zeros(tmp_path):
    result = run_job(bright_scan(ball_hu=40), [], [BASE, GATED], EXACT, tmp_path)
    model = result["models"][0]
    assert (model["volume_ml"], model["mean_hu"], model["longest_axis_mm"]) == (0.0, None, None)
    assert [warning["kind"] for warning in model["warnings"]] == ["no-spleen"]
    assert result["agreement"][0]["dice"] == 1.0

"""A reference mask beside the scan: read and checked first, then every model is scored against it."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import SimpleITK as sitk
from bright_scan import ball_mask, bright_scan
from intensity_models import IntensityBundle

from agunetr.cli import main
from agunetr.errors import InputError, OutputError
from agunetr.evaluation import compare
from agunetr.inference.job import run_job
from agunetr.inference.reference import read_reference
from agunetr.inference.segmenter import SegmentOptions
from agunetr.inference.volume import Volume
from agunetr.worker_requests import RequestError, parse_request

EXACT = SegmentOptions(device="cpu", engine="torch", precision="exact")
BASE = IntensityBundle("base")
GATED = IntensityBundle("gated", gate_names=("enc1",), level=0.6, variant="agunetr-v2")
SCAN = bright_scan((1, 2, 0), (-1, 1, 1))


def saved(volume: Volume, path):
    sitk.WriteImage(volume.to_sitk(), str(path))
    return path


def flipped_and_cropped(mask: Volume) -> Volume:
    """The same voxels as another program may keep them: the last axis first and backwards, air cut off."""
    matrix = mask.ijk_to_ras[:, [2, 0, 1, 3]].copy()
    array = mask.array.transpose(1, 2, 0)[..., ::-1]
    matrix[:3, 3] += matrix[:3, 0] * (array.shape[2] - 1)
    matrix[:3, 0] *= -1
    turned = Volume(np.ascontiguousarray(array[2:, 3:, 4:]), matrix)
    turned.ijk_to_ras[:3, 3] += matrix[:3, :3] @ (4, 3, 2)
    return turned


def test_every_model_is_scored_as_the_evaluation_does_it(tmp_path):
    drawn = SCAN.with_array(np.roll(ball_mask(SCAN), 1, axis=0))
    path = saved(drawn, tmp_path / "spleen.nii.gz")
    told = []
    result = run_job(
        SCAN, [], [BASE, GATED], EXACT, tmp_path / "out", progress=lambda *step: told.append(step),
        reference=read_reference(path, SCAN),
    )  # fmt: skip
    for entry in result["models"]:
        scores = compare(tmp_path / "out" / entry["mask"], path).scores.to_dict()
        assert entry["reference"] == pytest.approx(scores) and 0.7 < scores["dice"] < 1
    assert result["reference"] == {"path": str(path), "volume_ml": pytest.approx(scores["reference_volume_ml"])}
    assert "gated: score" in {stage for stage, _, _ in told} and result["seconds"]["score"] >= 0
    assert json.loads((tmp_path / "out" / "result.json").read_text(encoding="utf-8")) == result


def test_without_a_reference_nothing_is_said_of_one(tmp_path):
    result = run_job(SCAN, [], [BASE], EXACT, tmp_path / "out")
    assert "reference" not in result and "reference" not in result["models"][0]


def test_a_reference_in_another_order_of_voxels_is_the_same_reference(tmp_path):
    mask = SCAN.with_array(ball_mask(SCAN))
    reference = read_reference(saved(flipped_and_cropped(mask), tmp_path / "turned.nrrd"), SCAN)
    np.testing.assert_array_equal(reference.mask.array, mask.array)
    assert reference.mask.same_grid(SCAN) and not reference.notices


def test_a_reference_on_a_coarser_grid_is_resampled_and_says_so(tmp_path):
    other = bright_scan((0, 1, 2))
    reference = read_reference(saved(other.with_array(ball_mask(other)), tmp_path / "other.nrrd"), SCAN)
    assert [notice.kind for notice in reference.notices] == ["reference-resampled"]
    assert reference.scores(ball_mask(SCAN))["dice"] > 0.9
    result = run_job(SCAN, [], [BASE], EXACT, tmp_path / "out", reference=reference)
    assert [warning["kind"] for warning in result["warnings"]] == ["reference-resampled"]


def test_a_label_map_needs_its_label(tmp_path):
    labels = ball_mask(SCAN) * 3
    labels[0, 0, 0] = 1
    path = saved(SCAN.with_array(labels), tmp_path / "organs.nrrd")
    with pytest.raises(InputError, match="several numbers"):
        read_reference(path, SCAN)
    reference = read_reference(path, SCAN, 3)
    np.testing.assert_array_equal(reference.mask.array, ball_mask(SCAN))
    assert reference.to_dict()["label"] == 3


def test_an_empty_reference_leaves_undefined_what_is_undefined(tmp_path):
    path = saved(SCAN.with_array(np.zeros_like(ball_mask(SCAN))), tmp_path / "empty.nrrd")
    reference = read_reference(path, SCAN)
    scores = reference.scores(ball_mask(SCAN))
    assert (scores["dice"], scores["hausdorff95_mm"], scores["relative_volume_error"]) == (0, None, None)
    assert [notice.kind for notice in reference.notices] == ["empty-reference"]


def moved(mask: Volume, millimetres: float) -> Volume:
    matrix = mask.ijk_to_ras.copy()
    matrix[0, 3] += millimetres
    return Volume(mask.array, matrix)


@pytest.mark.parametrize("fault", ["missing", "no image", "the CT itself", "elsewhere", "half outside"])
def test_what_is_no_reference_of_the_scan_is_refused(tmp_path, fault):
    path = tmp_path / "reference.nrrd"
    mask = SCAN.with_array(ball_mask(SCAN))
    if fault == "no image":
        path.write_text("no image")
    elif fault == "the CT itself":
        saved(SCAN, path)
    elif fault == "elsewhere":
        saved(moved(mask, 500), path)
    elif fault == "half outside":
        saved(moved(mask, -33), path)
    with pytest.raises(InputError) as refused:
        read_reference(path, SCAN)
    assert refused.value.remedy.endswith(".") and str(path) in refused.value.message


def test_results_never_replace_the_reference(tmp_path):
    path = saved(SCAN.with_array(ball_mask(SCAN)), tmp_path / "base.nii.gz")
    before = path.read_bytes()
    with pytest.raises(OutputError, match="would replace the reference"):
        run_job(SCAN, [], [BASE], EXACT, tmp_path, overwrite=True, reference=read_reference(path, SCAN))
    assert path.read_bytes() == before and not (tmp_path / "result.json").exists()


def request(**more):
    line = {"command": "segment", "job": 1, "volume": "ct.nrrd", "models": ["m"], "output": "out", **more}
    return parse_request(json.dumps(line).encode())


def test_the_worker_takes_a_reference():
    assert (request().reference, request().reference_label) == (None, None)
    asked = request(reference="spleen.nrrd", reference_label=7)
    assert (asked.reference, asked.reference_label) == ("spleen.nrrd", 7)


@pytest.mark.parametrize(
    "more", [{"reference": ""}, {"reference": 3}, {"reference": ["a"]}, {"reference_label": 1},
             {"reference": "a", "reference_label": 0}, {"reference": "a", "reference_label": True}]
)  # fmt: skip
def test_the_worker_refuses_what_is_no_reference(more):
    with pytest.raises(RequestError, match="reference"):
        request(**more)


def tiny_reference(tiny_ct, path):
    ct = sitk.ReadImage(str(tiny_ct))
    mask = sitk.BinaryThreshold(ct, 90, 300)
    sitk.WriteImage(mask, str(path))
    return path


def test_the_command_line_scores_one_ct(tiny_models, tiny_ct, tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("AGUNETR_MODELS", str(tiny_models))
    path = tiny_reference(tiny_ct, tmp_path / "Milz 脾.nii.gz")
    segment = ["segment", str(tiny_ct), "-m", "tiny-base", "--device", "cpu", "--overlap", "0"]
    assert main([*segment, "--reference", str(path), "-o", str(tmp_path / "out")]) == 0
    result = json.loads((tmp_path / "out" / "result.json").read_text(encoding="utf-8"))
    scores = result["models"][0]["reference"]
    assert 0 <= scores["dice"] <= 1 and math.isfinite(scores["volume_error_ml"])
    assert "against the reference: Dice " in capfd.readouterr().out


def test_the_command_line_refuses_a_reference_early(tiny_models, tiny_ct, tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("AGUNETR_MODELS", str(tiny_models))
    segment = ["segment", str(tiny_ct), "-m", "tiny-base", "-o", str(tmp_path / "out")]
    assert main([*segment, "--reference", str(tmp_path / "missing.nii.gz")]) != 0
    assert main([*segment, "--reference-label", "2"]) != 0
    assert main([*segment[:2], str(tiny_ct), *segment[2:], "--reference", str(tiny_ct)]) != 0
    errors = capfd.readouterr().err
    assert "missing.nii.gz does not exist" in errors
    assert "--reference-label needs" in errors and "--reference fits one CT only" in errors
    assert not (tmp_path / "out").exists()

"""A saved model is a MONAI Bundle: MONAI's own commands run it, and it gives the mask that the segmenter gives."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from monai.bundle import ConfigWorkflow, verify_net_in_out
from tiny_models import save_tiny, tiny_network

from agunetr.errors import InputError, ModelError, OutputError
from agunetr.inference.reading import read_volume
from agunetr.inference.segmenter import Segmenter, SegmentOptions
from agunetr.models.bundle import ModelBundle
from agunetr.models.monai_run import case_name, find_volumes, load_weights_of_bundle

CONFIG = "configs/inference.json"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelBundle:
    network = tiny_network(seed=5)
    with torch.inference_mode():
        logits = network(torch.rand(1, 1, 32, 32, 32))
        # Untrained logits all lie on one side; with this bias a third of the voxels becomes foreground.
        network.out.conv.conv.bias[0] += (logits[:, 1] - logits[:, 0]).quantile(0.67)
    return save_tiny(tmp_path_factory.mktemp("models"), "tiny-gated", network=network)


@pytest.fixture(scope="module")
def ct(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A noisy ball of tissue in air, oblique, anisotropic, and stored against RAS."""
    rng = np.random.default_rng(7)
    z, y, x = np.mgrid[-1:1:18j, -1:1:40j, -1:1:44j]
    body = x**2 + y**2 + (z / 1.2) ** 2 < 0.8
    voxels = np.where(body, 40 + 60 * rng.standard_normal(body.shape), -1000).astype(np.int16)
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing((2.8, 2.9, 9.0))  # two windows
    image.SetOrigin((-50.0, 20.0, 300.0))
    angle = np.radians(12)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    image.SetDirection((turn @ np.diag([1, -1, -1])).ravel().tolist())
    path = tmp_path_factory.mktemp("données") / "ct 1.nii.gz"
    sitk.WriteImage(image, str(path))
    return path


@pytest.fixture(scope="module")
def expected(model: ModelBundle, ct: Path) -> np.ndarray:
    options = SegmentOptions(device="cpu", engine="torch", precision="exact")
    mask = Segmenter(options).segment(read_volume(ct)[0], model).mask
    assert 0.001 < mask.mean() < 0.5, "the comparison needs a mask with a border"
    return mask


def run_in_process(model: ModelBundle, **overrides: object) -> ConfigWorkflow:
    workflow = ConfigWorkflow(
        config_file=str(model.folder / CONFIG),
        meta_file=str(model.folder / "configs/metadata.json"),
        workflow_type="infer",
        logging_file=False,
        bundle_root=str(model.folder),
        device="cpu",
        **overrides,
    )
    workflow.initialize()
    return workflow


def assert_same_mask(written: sitk.Image, expected: np.ndarray) -> None:
    """The segmenter runs the network in a form that rounds otherwise: a voxel on the threshold may fall either way."""
    differing = int((sitk.GetArrayFromImage(written) != expected).sum())
    assert differing <= 5e-4 * expected.sum()


def test_monai_command_gives_the_same_mask(model: ModelBundle, ct: Path, expected: np.ndarray, tmp_path: Path) -> None:
    arguments = f"--config_file {CONFIG} --bundle_root . --device cpu".split()
    arguments += ["--dataset_dir", str(ct), "--output_dir", str(tmp_path / "out")]
    command = [sys.executable, "-m", "monai.bundle", "run", *arguments]
    done = subprocess.run(command, cwd=model.folder, capture_output=True, encoding="utf-8", env=dict(os.environ))
    assert done.returncode == 0, done.stderr[-3000:]
    written = sitk.ReadImage(str(tmp_path / "out" / "ct 1_spleen.nii.gz"))
    assert_same_mask(written, expected)
    source = sitk.ReadImage(str(ct))
    for geometry in ("GetSpacing", "GetOrigin", "GetDirection"):
        assert np.allclose(getattr(written, geometry)(), getattr(source, geometry)(), atol=1e-4)


def test_a_folder_of_cts_and_no_overwriting(model: ModelBundle, ct: Path, expected: np.ndarray, tmp_path: Path) -> None:
    folder = tmp_path / "cts"
    folder.mkdir()
    for name in ("b.nii.gz", "a.nii.gz"):
        shutil.copy(ct, folder / name)
    (folder / "notes.txt").write_text("no CT", encoding="utf-8")
    output = tmp_path / "out"
    run_in_process(model, dataset_dir=str(folder), output_dir=str(output)).run()
    assert sorted(path.name for path in output.iterdir()) == ["a_spleen.nii.gz", "b_spleen.nii.gz"]
    assert_same_mask(sitk.ReadImage(str(output / "a_spleen.nii.gz")), expected)
    with pytest.raises(RuntimeError) as caught:
        run_in_process(model, dataset_dir=str(folder / "a.nii.gz"), output_dir=str(output)).run()
    cause: BaseException = caught.value  # MONAI wraps what a step raises, once a level
    while cause.__cause__ is not None:
        cause = cause.__cause__
    assert isinstance(cause, OutputError) and "exists already" in cause.message


def test_monai_finds_every_property_it_asks_for(model: ModelBundle, ct: Path) -> None:
    workflow = run_in_process(model, dataset_dir=str(ct))
    assert not workflow.check_properties()
    assert workflow.network_def.config == model.network_config


def test_options_on_the_command_line_reach_the_steps(model: ModelBundle, ct: Path, tmp_path: Path) -> None:
    settings = dict(overlap=0.25, threshold=0.4, largest_component=False, fill_holes=False, body_crop=False)
    workflow = run_in_process(model, dataset_dir=str(ct), output_dir=str(tmp_path), **settings)
    workflow.run()
    mask = (
        Segmenter(SegmentOptions(device="cpu", engine="torch", precision="exact", **settings))
        .segment(read_volume(ct)[0], model)
        .mask
    )
    assert_same_mask(sitk.ReadImage(str(tmp_path / "ct 1_spleen.nii.gz")), mask)


def test_the_network_takes_and_gives_what_the_metadata_says(model: ModelBundle) -> None:
    verify_net_in_out(
        net_id="network_def",
        meta_file=str(model.folder / "configs/metadata.json"),
        config_file=str(model.folder / CONFIG),
        device="cpu",
        p=1,
        n=1,
        any=32,
    )


def test_weights_are_verified_here_too(model: ModelBundle, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(model.folder, tmp_path / "copy"))
    other = save_tiny(tmp_path, "other", "unetr").network()
    with pytest.raises(ModelError, match="network_def"):
        load_weights_of_bundle(other, copy)
    weights = copy / "models/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x7f")
    with pytest.raises(ModelError, match="wrong checksum"):
        load_weights_of_bundle(other, copy)


def test_expressions_stay_inside_monai_and_this_project(model: ModelBundle) -> None:
    """What an exported configuration may run is little, and known."""
    values = json.loads((model.folder / CONFIG).read_text(encoding="utf-8"))
    targets = [part.split('"')[0] for part in json.dumps(values).split('"_target_": "')[1:]]
    allowed = ("Compose", "Dataset", "DataLoader", "StatsHandler", "SupervisedEvaluator")
    assert targets and all(target in allowed or target.startswith("agunetr.") for target in targets)


def test_which_files_are_segmented(tmp_path: Path, ct: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        find_volumes(tmp_path / "nothing")
    assert find_volumes(ct) == [str(ct)]
    assert find_volumes(tmp_path) == [str(tmp_path)]  # perhaps DICOM; reading it tells
    assert [case_name(name) for name in ("a/b.nii.gz", "c.NRRD", "d.e.mha", "series")] == ["b", "c", "d.e", "series"]

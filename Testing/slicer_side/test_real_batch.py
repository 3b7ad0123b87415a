"""A batch with the engine's own command line: small CTs, a mask and a damaged file."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

from AGUNETRSegmentLib import worker_process
from AGUNETRSegmentLib.batch_command import BatchRequest
from AGUNETRSegmentLib.batch_run import BatchRun
from AGUNETRSegmentLib.batch_table import CaseState

# In a process of its own: torch and Slicer's core never share one.
MAKE_FILES = """
import sys
import numpy as np, SimpleITK as sitk, torch
from agunetr.models.bundle import save_bundle
from agunetr.networks.variants import NetworkConfig, build_network
models, folder = sys.argv[1:]
torch.manual_seed(5)
network = build_network(NetworkConfig(variant="unetr", window=(32, 32, 32), feature_size=4, hidden_size=24, mlp_dim=48,
                                      heads=2, layers=4))
save_bundle(f"{models}/tiny", network, name="tiny", title="Untrained", spacing_mm=(6.0, 6.0, 6.0),
            intensity_range=(-175.0, 250.0))
k, j, i = np.mgrid[:30, :36, :40].astype(np.float32)
organ = ((i - 28) / 6) ** 2 + ((j - 22) / 5) ** 2 + ((k - 16) / 6) ** 2 < 1
voxels = np.where(((i - 20) / 18) ** 2 + ((j - 18) / 15) ** 2 < 1, 20, -1000).astype(np.int16)
voxels[organ] = 120
for name, values in (("a.nii.gz", voxels), ("b ü.nrrd", voxels), ("b mask.nii.gz", organ.astype(np.uint8))):
    image = sitk.GetImageFromArray(values)
    image.SetSpacing((4.0, 4.0, 4.0))
    sitk.WriteImage(image, f"{folder}/{name}")
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """The child's environment, with a folder of one untrained model, and beside it the folder of CTs."""
    models, cts = tmp_path_factory.mktemp("models"), tmp_path_factory.mktemp("many cts")
    environment = worker_process.defaultEnvironment()
    subprocess.run([sys.executable, "-c", MAKE_FILES, str(models), str(cts)], env=environment, check=True)
    (cts / "c.nii").write_bytes(b"no image")
    return {**environment, "AGUNETR_MODELS": str(models), "OMP_NUM_THREADS": "1", "CTS": str(cts)}


def run(environment, output):
    """A whole batch; its table and what it ended with."""
    due, ends = [], []
    batch = BatchRun(
        lambda _milliseconds, function: due.append(function), ended=ends.append,
        command=lambda arguments: [sys.executable, "-m", "agunetr", *arguments, "--json"], environment=environment)
    batch.start(BatchRequest(environment["CTS"], str(output), ["tiny"], {"device": "cpu", "precision": "exact"}))
    end = time.monotonic() + 400
    while due:
        assert time.monotonic() < end, "the child did not end"
        due.pop(0)()
        time.sleep(0.02)
    return batch.table, ends


def test_a_folder_and_again(environment, tmp_path):
    output = tmp_path / "out é"
    table, ends = run(environment, output)
    assert ends == [None]
    states = {case.name: case.state for case in table.cases}
    assert states == {"a": CaseState.DONE, "b mask": CaseState.LEFT_OUT, "b ü": CaseState.DONE, "c": CaseState.FAILED}
    case = table.cases[0]
    result = json.loads((output / "a" / "result.json").read_text(encoding="utf-8"))
    assert case.volumes == {"tiny": result["models"][0]["volume_ml"]} and case.seconds > 0
    assert (output / "b ü" / "tiny.nii.gz").is_file() and (output / "cases.csv").is_file()
    assert "mask" in table.cases[1].message and "c.nii" in table.cases[3].message

    before = (output / "a" / "tiny.nii.gz").stat().st_mtime_ns
    table, ends = run(environment, output)
    assert [case.state for case in table.cases if case.name in ("a", "b ü")] == [CaseState.SKIPPED] * 2
    assert table.cases[0].volumes == case.volumes and table.cases[0].seconds is None and ends == [None]
    assert (output / "a" / "tiny.nii.gz").stat().st_mtime_ns == before

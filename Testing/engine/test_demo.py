"""The demo's sample: downloaded once and checked, a phantom where there is none, and the picture's orientation."""

from __future__ import annotations

import hashlib
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from agunetr.inference.reading import read_volume
from agunetr.inference.volume import Volume

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "demo"))

import demo  # noqa: E402
import figure  # noqa: E402
import sample_ct  # noqa: E402


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path):
    """A server of this machine's loopback address with one file; gives its URL, its SHA-256 and the file."""
    served = tmp_path / "served"
    served.mkdir()
    file = served / "example_ct.nii.gz"
    file.write_bytes(b"the sample's bytes" * 1000)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=served)) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}/example_ct.nii.gz", _sha256(file), file
        running.shutdown()


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def small_phantom(monkeypatch):
    make = sample_ct.make_phantom
    monkeypatch.setattr(sample_ct, "make_phantom", lambda seed: make(seed, size=(40, 32, 20), spacing_mm=(8, 8, 12)))


def test_the_sample_is_downloaded_once_and_kept(server, tmp_path):
    url, digest, file = server
    path, sentence = sample_ct.sample_ct(tmp_path / "kept", url, digest)
    assert path.read_bytes() == file.read_bytes() and "checksum verified" in sentence
    file.unlink()
    again, sentence = sample_ct.sample_ct(tmp_path / "kept", url, digest)
    assert again == path and "already downloaded" in sentence


def test_a_sample_with_another_checksum_is_deleted_and_replaced_by_a_phantom(server, tmp_path, small_phantom):
    url, _, _ = server
    path, sentence = sample_ct.sample_ct(tmp_path / "kept", url, "0" * 64)
    assert "phantom" in path.name and "SHA-256 differs" in sentence
    assert [file.name for file in (tmp_path / "kept").iterdir()] == [path.name]
    assert read_volume(path)[0].array.min() < -900


def test_without_a_network_a_phantom_is_made_and_the_reason_said(tmp_path, small_phantom):
    path, sentence = sample_ct.sample_ct(tmp_path, "http://127.0.0.1:9/nothing.nii.gz", "0" * 64)
    assert "phantom" in path.name and "cannot be downloaded" in sentence
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_results_never_go_into_a_folder_that_is_there(tmp_path):
    first = demo.free_folder(tmp_path, "ct")
    first.mkdir()
    assert demo.free_folder(tmp_path, "ct").name == "ct-2"
    assert demo.case_name(Path("a/Übung 1.nii.gz")) == "Übung 1"


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, 1, -1), (-1, -1, 1)])
def test_the_picture_shows_anterior_up_and_the_right_on_the_left(order, signs):
    """A mark at the right front of the patient is in the upper left corner, however the voxels are stored."""
    matrix = np.eye(4)
    matrix[:3, :3] = 0
    for index_axis, (patient_axis, sign) in enumerate(zip(order, signs, strict=True)):
        matrix[patient_axis, index_axis] = sign
    sizes = [0, 0, 0]
    for index_axis, patient_axis in enumerate(order):
        sizes[index_axis] = (9, 11, 13)[patient_axis]
    array = np.zeros(sizes[::-1], np.int16)
    index = [0, 0, 0]
    for index_axis, (patient_axis, sign) in enumerate(zip(order, signs, strict=True)):
        # Farthest right (+R) and front (+A); in the middle of the slices.
        last = sizes[index_axis] - 1
        index[index_axis] = last // 2 if patient_axis == 2 else (last if sign > 0 else 0)
    array[tuple(index[::-1])] = 1
    volume = Volume(array, matrix)
    axes, _ = figure.nearest_ras_axes(volume)
    plane = figure._axial(volume, array, index[axes[2]])
    assert plane.shape == (11, 9)
    assert plane[0, 0] == 1

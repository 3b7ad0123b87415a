"""Model folders: what is wrong is refused with one sentence, and nothing is run."""

from __future__ import annotations

import hashlib
import json
import pickle
from pathlib import Path

import pytest
import safetensors.torch
import torch
from changed_bundles import WEIGHTS, Mine, change_metadata, refusal, replace_weights
from tiny_models import tiny_network

from agunetr.errors import ModelError
from agunetr.models.bundle import ModelBundle, load_bundle


def test_no_model(tmp_path: Path) -> None:
    assert "does not exist" in refusal(tmp_path / "nothing")
    assert "no configs/metadata.json" in refusal(tmp_path)
    file = tmp_path / "file.zip"
    file.write_bytes(b"PK")
    assert "it is a file" in refusal(file)
    (tmp_path / "model.pth").write_bytes(b"PK")
    assert "only has pickled weights" in refusal(tmp_path)


@pytest.mark.parametrize("path", [WEIGHTS, "configs/inference.json", "docs/README.md", "models/model.pt"])
def test_missing_and_changed_files(copy: Path, path: str) -> None:
    data = bytearray((copy / path).read_bytes())
    data[-1] ^= 1
    (copy / path).write_bytes(data)
    assert f"{path} has a wrong checksum" in refusal(copy)
    (copy / path).unlink()
    assert f"{path} is missing" in refusal(copy)


def test_change_between_loading_and_building(copy: Path) -> None:
    model = load_bundle(copy)
    data = bytearray((copy / WEIGHTS).read_bytes())
    data[-1] ^= 1
    (copy / WEIGHTS).write_bytes(data)
    with pytest.raises(ModelError, match="wrong checksum"):
        model.network()


def test_metadata_of_other_programs_and_versions(copy: Path) -> None:
    path = copy / "configs/metadata.json"
    path.write_text('{"version": "1.0.0"}', encoding="utf-8")
    assert 'no section "agunetr"' in refusal(copy)
    for text in ("{", "[" * 100_000, '{"agunetr": NaN}', "\xff"):
        path.write_bytes(text.encode("latin-1"))
        assert "is not JSON" in refusal(copy)
    path.write_bytes(b" " * (5 << 20))
    assert "larger than" in refusal(copy)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"format": 2}, "format is 2"),
        ({"name": "../../evil"}, "name is"),
        ({"name": ["a"]}, "name is"),
        ({"network": {"variant": "resnet"}}, "network: variant"),
        ({"network": {"variant": "unetr", "window": "big"}}, "network: window"),
        ({"network": {"variant": ["unetr"]}}, "network: variant"),
        ({"network": {"_target_": "os.system", "variant": "unetr"}}, "network: _target_"),
        ({"window": [64, 64, 64]}, "window is"),
        ({"channels": ["background", "liver"]}, "channels is"),
        ({"spacing_mm": "1 mm"}, "spacing_mm must be a list"),
        ({"spacing_mm": [True, 1, 1]}, "spacing_mm is"),
        ({"sha256": {}}, "no checksum of"),
        ({"sha256": {"../../etc/passwd": "0" * 64}}, "no path inside the model"),
        ({"sha256": {WEIGHTS: "short"}}, "no SHA-256"),
    ],
)
def test_wrong_metadata_is_named(copy: Path, change: dict, sentence: str) -> None:
    change_metadata(copy, lambda section: section.update(change))
    assert sentence in refusal(copy)


def test_missing_field_is_named(copy: Path) -> None:
    change_metadata(copy, lambda section: section.pop("spacing_mm"))
    assert "spacing_mm is missing" in refusal(copy)


@pytest.mark.parametrize(
    ("variant", "changes", "sentence"),
    [
        ("unetr", {}, "no gates"),
        ("agunetr-deep", {}, "gates at enc1, enc2, enc3, enc4"),
        ("agunetr-v2", {"hidden_size": 48}, "position_embeddings"),
        ("agunetr-v2", {"mlp_dim": 24}, "mlp"),
        ("agunetr-v2", {"feature_size": 8}, "encoder1"),
        ("agunetr-v2", {"layers": 5}, "5 layers instead of 4"),
        ("agunetr-v2", {"window": (48, 32, 32)}, "position_embeddings"),
    ],
)
def test_another_networks_weights(copy: Path, variant: str, changes: dict, sentence: str) -> None:
    other = {key: value.half() for key, value in tiny_network(variant, **changes).state_dict().items()}
    replace_weights(copy, safetensors.torch.save(other))
    message = refusal(copy)
    assert "another network" in message and sentence in message


def test_a_gate_formula_and_single_weights_are_checked_too(copy: Path, saved: ModelBundle) -> None:
    state = saved.network().state_dict()
    other = tiny_network("agunetr-deep", gates=("enc1", "enc2"), gate_formula="attention").state_dict()
    replace_weights(copy, safetensors.torch.save(dict(other)))
    assert "another network" in refusal(copy)
    replace_weights(copy, safetensors.torch.save({**state, "extra": torch.zeros(1)}))
    assert "extra" in refusal(copy)
    some = next(key for key in state if key.endswith("conv2.conv.weight"))
    replace_weights(copy, safetensors.torch.save({**state, some: torch.zeros(1)}))
    assert some in refusal(copy)
    replace_weights(copy, safetensors.torch.save({**state, some: torch.full_like(state[some], torch.nan)}))
    assert "not finite" in refusal(copy)


def test_damaged_weights(copy: Path) -> None:
    good = (copy / WEIGHTS).read_bytes()
    length = int.from_bytes(good[:8], "little")
    bad_header = json.dumps({"a": {"dtype": "F32", "shape": "x", "data_offsets": [0]}}).encode()
    integers = json.dumps({"a": {"dtype": "I64", "shape": [1], "data_offsets": [0, 8]}}).encode()
    for data, sentence in [
        (b"", "truncated"),
        (good[:-100], "truncated"),
        (good + b"appended", "appended"),
        (good[: 8 + length // 2], "truncated"),
        ((1 << 40).to_bytes(8, "little") + good[8:], "no safetensors"),
        (len(bad_header).to_bytes(8, "little") + bad_header, "damaged"),
        (len(integers).to_bytes(8, "little") + integers + bytes(8), "I64"),
        (b"just some text that is no model", "no safetensors"),
    ]:
        replace_weights(copy, data)
        assert sentence in refusal(copy)


@pytest.mark.parametrize("writer", ["pickle", "torch"])
def test_pickled_code_is_refused_and_not_run(copy: Path, writer: str, tmp_path: Path) -> None:
    trace = tmp_path / "executed"
    if writer == "pickle":
        data = pickle.dumps(Mine(trace))
    else:
        torch.save({"weights": Mine(trace)}, tmp_path / "mine.pt")
        data = (tmp_path / "mine.pt").read_bytes()
    replace_weights(copy, data)
    assert "pickled checkpoint" in refusal(copy)
    assert not trace.exists()


def test_expressions_and_targets_in_the_folder_are_never_run(copy: Path, tmp_path: Path) -> None:
    trace = tmp_path / "executed"
    mine = {
        "$run": f"$__import__('os').mkdir({str(trace)!r})",
        "_target_": "os.mkdir",
        "path": str(trace),
        "_mode_": "run",
    }
    (copy / "configs/inference.json").write_text(json.dumps(mine), encoding="utf-8")
    (copy / "__init__.py").write_text(f"import os; os.mkdir({str(trace)!r})", encoding="utf-8")

    def plant(section: dict) -> None:
        section["recipe"] = {"steps": mine["$run"], **mine}
        section["title"] = mine["$run"]
        digest = hashlib.sha256((copy / "configs/inference.json").read_bytes()).hexdigest()
        section["sha256"]["configs/inference.json"] = digest

    change_metadata(copy, plant)
    model = load_bundle(copy)
    model.network()
    assert model.title.startswith("$__import__") and not trace.exists()

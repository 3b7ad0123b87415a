"""Beginning with the weights of any UNETR: files, models, jobs of runs; older MONAI; other last layers."""

from __future__ import annotations

import pickle

import pytest
import safetensors.torch
import torch
from tiny_experiments import TINY_NETWORK

from agunetr.errors import InputError, ModelError
from agunetr.networks.variants import build_network, network_config
from agunetr_train.training.warm_start import warm_start

PATCHES = "vit.patch_embedding.patch_embeddings"


def network(variant: str = "unetr", seed: int = 0, **changes):
    torch.manual_seed(seed)
    return build_network(network_config(variant, **{**TINY_NETWORK, **changes}))


@pytest.fixture(scope="module")
def source() -> dict[str, torch.Tensor]:
    return network(seed=7).state_dict()


def assert_started(started, source: dict[str, torch.Tensor]) -> None:
    own = started.state_dict()
    assert all(torch.equal(own[name], value) for name, value in source.items())


@pytest.mark.parametrize("name", ["w.safetensors", "w.pt", "w.pth"])
def test_files_of_weights_start_base_and_gated_networks(tmp_path, source, name):
    path = tmp_path / name
    if path.suffix == ".safetensors":
        safetensors.torch.save_file(source, path)
    else:
        torch.save(source, path)
    base = network()
    assert warm_start(base, path) == []
    assert_started(base, source)
    gated = network("agunetr-v2")
    kept = warm_start(gated, str(path))
    assert kept and all(name.startswith("gates.") for name in kept)
    assert_started(gated, source)


@pytest.mark.parametrize(
    "packed",
    [
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"network": {"x": torch.zeros(1)}, "ema": state, "optimizer": {"state": {}}},
        lambda state: {f"module.{name}": value for name, value in state.items()},
        lambda state: {"model": {f"network.{name}": value.half() for name, value in state.items()}},
    ],
)
def test_weights_are_found_inside_whatever_a_program_packed_around_them(tmp_path, source, packed):
    torch.save(packed(source), tmp_path / "c.pt")
    base = network()
    assert warm_start(base, tmp_path / "c.pt") == []
    assert torch.allclose(base.state_dict()["vit.norm.weight"], source["vit.norm.weight"], atol=1e-3)
    assert torch.allclose(base.out.conv.conv.weight, source["out.conv.conv.weight"], atol=1e-3)


def as_old_monai(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """As MONAI 0.8 saved it, with the patch embedding that it calls perceptron: a linear layer on whole patches."""
    old = {name: value for name, value in state.items() if ".norm_cross_attn." not in name}
    old["vit.patch_embedding.cls_token"] = torch.zeros(1, 1, 24)
    for block in ("encoder2.blocks.0.1", "encoder2.blocks.1.1", "encoder3.blocks.0.1"):
        old[f"{block}.conv3.conv.weight"] = torch.zeros(8, 8, 1, 1, 1)
    weight = old.pop(f"{PATCHES}.weight")
    old[f"{PATCHES}.1.weight"] = weight.permute(0, 2, 3, 4, 1).reshape(weight.shape[0], -1)
    old[f"{PATCHES}.1.bias"] = old.pop(f"{PATCHES}.bias")
    return old


def test_checkpoints_of_monai_0_8_start_a_network_with_the_same_answers(tmp_path, source):
    old = as_old_monai(source)
    torch.save(old, tmp_path / "old.pt")
    started, first = network(seed=1), network(seed=7)
    assert warm_start(started, tmp_path / "old.pt") == []
    window = torch.rand(1, 1, 32, 32, 32)
    with torch.no_grad():
        assert torch.equal(started(window), first(window))
        # The linear layer on patches, their voxels row by row, is the convolution.
        patches = window.unfold(2, 16, 16).unfold(3, 16, 16).unfold(4, 16, 16).reshape(8, -1)
        linear = patches @ old[f"{PATCHES}.1.weight"].T + old[f"{PATCHES}.1.bias"]
        convolved = started.vit.patch_embedding.patch_embeddings(window).flatten(2)[0].T
        assert torch.allclose(linear, convolved, atol=1e-5)


def test_a_checkpoint_for_other_organs_starts_all_but_the_last_layer(tmp_path):
    other = network(seed=7, out_channels=14).state_dict()
    torch.save(other, tmp_path / "btcv.pt")
    started = network()
    kept = warm_start(started, tmp_path / "btcv.pt")
    assert kept == ["out.conv.conv.weight", "out.conv.conv.bias"]
    assert torch.equal(started.vit.norm.weight, other["vit.norm.weight"])
    assert torch.equal(started.decoder2.conv_block.conv1.conv.weight, other["decoder2.conv_block.conv1.conv.weight"])


def test_the_vit_alone_can_be_taken_from_a_network_of_other_width(tmp_path):
    other = network(seed=7, feature_size=8).state_dict()
    torch.save({name: value for name, value in other.items() if name.startswith("vit.")}, tmp_path / "vit.pt")
    started, fresh = network(seed=1), network(seed=1)
    kept = warm_start(started, tmp_path / "vit.pt")
    assert kept and not any(name.startswith("vit.") for name in kept)
    assert torch.equal(started.vit.blocks[0].mlp.linear1.weight, other["vit.blocks.0.mlp.linear1.weight"])
    assert torch.equal(started.encoder1.layer.conv1.conv.weight, fresh.encoder1.layer.conv1.conv.weight)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (dict(hidden_size=48), "has .* instead of"),
        (dict(window=[48, 32, 32]), "position_embeddings has .1, 12, 24. instead of .1, 8, 24."),
        (dict(layers=5), "encoder has 5 layers instead of 4"),
        (dict(layers=4, mlp_dim=96), "mlp.linear1.weight has"),
    ],
)
def test_an_encoder_of_another_size_is_refused_and_changes_nothing(tmp_path, changes, words):
    torch.save(network(seed=7, **changes).state_dict(), tmp_path / "w.pt")
    base, untouched = network(), network()
    with pytest.raises(ModelError, match=words):
        warm_start(base, tmp_path / "w.pt")
    assert_started(base, untouched.state_dict())


def test_models_of_this_machine_start_by_name_and_by_folder(tmp_path, monkeypatch):
    from tiny_models import save_tiny

    monkeypatch.setenv("AGUNETR_MODELS", str(tmp_path))
    saved = save_tiny(tmp_path, "mine", "unetr")
    weights = saved.network().state_dict()
    config = saved.network_config
    for source in ("mine", str(tmp_path / "mine")):
        started = build_network(config)
        assert warm_start(started, source) == []
        assert_started(started, weights)


class Harmful:
    """What a pickle can hold: a call."""

    def __reduce__(self):
        return (print, ("this must never be printed",))


def test_a_checkpoint_that_could_run_code_is_not_opened(tmp_path, capsys):
    torch.save({"state_dict": {}, "args": Harmful()}, tmp_path / "code.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Harmful()))
    for name in ("code.pt", "plain.pt"):
        with pytest.raises(ModelError, match="could run code; it was not opened"):
            warm_start(network(), tmp_path / name)
    assert "never be printed" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("cut.pt", b"PK\x03\x04 and no more", "no checkpoint or damaged"),
        ("cut.safetensors", b"12345678", "no checkpoint or damaged"),
        ("empty.pt", b"", "no checkpoint or damaged"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=words):
        warm_start(network(), tmp_path / name)


def test_a_file_without_weights_or_without_existence_is_refused(tmp_path):
    torch.save({"epoch": 3}, tmp_path / "none.pt")
    with pytest.raises(ModelError, match="holds no weights"):
        warm_start(network(), tmp_path / "none.pt")
    with pytest.raises(InputError, match="no file"):
        warm_start(network(), tmp_path / "missing.pt")
    with pytest.raises(ModelError, match="no model named 'nobody'"):
        warm_start(network(), "nobody")

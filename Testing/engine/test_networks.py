"""The networks: variants, gates, their start, and the checkpoints that move between them."""

from __future__ import annotations

import pytest
import torch
from monai.networks.nets import UNETR

from agunetr.errors import ModelError
from agunetr.networks.checkpoints import load_weights
from agunetr.networks.layout import to_channels_last
from agunetr.networks.variants import VARIANT_GATES, NetworkConfig, build_network, network_config

TINY = dict(window=(32, 32, 32), feature_size=4, hidden_size=24, mlp_dim=48, heads=2, layers=4)


def tiny(variant: str, seed: int = 0, **changes):
    torch.manual_seed(seed)
    return build_network(NetworkConfig(variant=variant, **{**TINY, **changes}))


def window(seed: int = 1, edge: int = 32) -> torch.Tensor:
    return torch.rand(1, 1, edge, edge, edge, generator=torch.Generator().manual_seed(seed))


def parameters(config: NetworkConfig) -> int:
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in build_network(config).parameters())


@pytest.mark.parametrize(
    ("variant", "expected"),
    [("unetr", 92_802_274), ("agunetr-v1", 92_802_274 + 3_105), ("agunetr-v2", 92_802_274 + 12_900)],
)
def test_full_size_networks_have_the_parameters_of_the_study(variant, expected):
    assert parameters(network_config(variant)) == expected


@pytest.mark.parametrize("variant", VARIANT_GATES)
def test_compact_networks_fit_in_20_megabytes_of_half_precision(variant):
    assert parameters(network_config(variant, "compact")) * 2 < 20e6


def test_base_network_computes_what_monai_computes():
    config = NetworkConfig(variant="unetr", **{**TINY, "layers": 12})
    ours = build_network(config)
    theirs = UNETR(1, 2, config.window, config.feature_size, config.hidden_size, config.mlp_dim, config.heads)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    theirs.load_state_dict(ours.state_dict())
    with torch.no_grad():
        assert torch.equal(ours.eval()(window()), theirs.eval()(window()))


@pytest.mark.parametrize("autocast", [False, True], ids=["float32", "bfloat16"])
def test_improved_gates_start_as_the_identity_bit_for_bit(autocast):
    base, gated = tiny("unetr"), tiny("agunetr-v2", seed=5)
    load_weights(gated, base.state_dict())
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        expected, found = base(window()), gated(window())
    assert found.dtype == expected.dtype == (torch.bfloat16 if autocast else torch.float32)
    assert torch.equal(found, expected)


def test_bfloat16_weights_keep_the_identity():
    base, gated = tiny("unetr"), tiny("agunetr-v2", seed=5)
    load_weights(gated, base.state_dict())
    with torch.no_grad():
        assert torch.equal(base.bfloat16()(window().bfloat16()), gated.bfloat16()(window().bfloat16()))


def test_plain_gate_is_no_identity_at_the_start():
    base, gated = tiny("unetr"), tiny("agunetr-v1", seed=5)
    load_weights(gated, base.state_dict())
    with torch.no_grad():
        assert not torch.allclose(base(window()), gated(window()), atol=1e-3)


def test_gradients_reach_gamma_first_and_the_gates_convolutions_next():
    network = tiny("agunetr-v2")
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)

    def step() -> dict[str, float]:
        optimizer.zero_grad()
        network(window()).square().mean().backward()
        sizes = {name: float(p.grad.abs().max()) for name, p in network.gates.named_parameters()}
        optimizer.step()
        return sizes

    first, second = step(), step()
    assert all((size > 0) == name.endswith("gamma") for name, size in first.items())
    assert all(size > 0 for size in second.values())


@pytest.mark.parametrize("variant", [v for v in VARIANT_GATES if v != "unetr"])
def test_checkpoints_go_from_base_to_gated_and_back(variant):
    base, gated, back = tiny("unetr"), tiny(variant, seed=5), tiny("unetr", seed=6)
    started = load_weights(gated, base.state_dict())
    assert started and all(name.startswith("gates.") for name in started)
    load_weights(back, gated.state_dict())
    assert all(torch.equal(value, back.state_dict()[name]) for name, value in base.state_dict().items())


@pytest.mark.parametrize(("first", "second"), [("agunetr-v1", "agunetr-v2"), ("agunetr-v2", "agunetr-v1")])
def test_a_gate_of_the_other_formula_is_not_taken_over_in_part(first, second):
    source, target, fresh = tiny(first), tiny(second, seed=5), tiny(second, seed=5)
    kept = load_weights(target, source.state_dict())
    assert set(kept) == {name for name in target.state_dict() if name.startswith("gates.")}
    assert all(torch.equal(value, fresh.gates.state_dict()[name]) for name, value in target.gates.state_dict().items())


def test_an_image_of_another_shape_is_refused_by_the_argument():
    with pytest.raises(ValueError, match="x_in has the shape"):
        tiny("unetr")(torch.zeros(1, 1, 32, 32, 16))


def old_monai_state() -> dict[str, torch.Tensor]:
    """What MONAI 0.8 saved for the same network: see PERFORMANCE's list of differences."""
    state = {k: v.clone() for k, v in tiny("unetr", layers=12).state_dict().items() if "norm_cross_attn" not in k}
    for name in ("encoder2.blocks.0.1", "encoder2.blocks.1.1", "encoder3.blocks.0.1"):
        state[f"{name}.conv3.conv.weight"] = torch.zeros(8, 8, 1, 1, 1)
    state["vit.patch_embedding.cls_token"] = torch.zeros(1, 1, 24)
    return state


@pytest.mark.parametrize("variant", ["unetr", "agunetr-v2"])
def test_checkpoints_of_old_monai_load(variant):
    network = tiny(variant, seed=7, layers=12)
    load_weights(network, old_monai_state())
    with torch.no_grad():
        assert torch.equal(network(window()), tiny("unetr", layers=12)(window()))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s.pop("encoder1.layer.conv1.conv.weight"), "lacks 1 weights"),
        (lambda s: s.update({"encoder9.weight": torch.zeros(1)}), "encoder9.weight"),
        (lambda s: s.update({"vit.norm.weight": torch.zeros(7)}), "vit.norm.weight with \\(7,\\) instead of \\(24,\\)"),
        (lambda s: s.update({"encoder2.blocks.2.1.conv3.conv.weight": torch.zeros(1)}), "encoder2.blocks.2.1"),
    ],
)
def test_any_other_difference_is_refused_and_leaves_the_network_alone(change, words):
    state = old_monai_state()
    change(state)
    network = tiny("unetr", seed=3, layers=12)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(ModelError, match=words):
        load_weights(network, state)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_full_size_gates_have_the_shapes_of_the_study():
    with torch.device("meta"):
        network = build_network(network_config("agunetr-deep"))
        seen = {}
        for name, gate in network.gates.items():
            gate.register_forward_hook(lambda _, inputs, output, name=name: seen.update({name: (inputs, output[1])}))
        with torch.no_grad():
            network(torch.zeros(1, 1, 96, 96, 96))
    shapes = {name: (tuple(skip.shape), tuple(gating.shape)) for name, ((skip, gating), _) in seen.items()}
    assert shapes == {
        "enc1": ((1, 16, 96, 96, 96), (1, 32, 48, 48, 48)),
        "enc2": ((1, 32, 48, 48, 48), (1, 64, 24, 24, 24)),
        "enc3": ((1, 64, 24, 24, 24), (1, 128, 12, 12, 12)),
        "enc4": ((1, 128, 12, 12, 12), (1, 768, 6, 6, 6)),
    }
    assert all(tuple(mask.shape) == (1, 1, *shapes[name][0][2:]) for name, (_, mask) in seen.items())


def test_gate_maps_come_only_when_asked_for():
    network = tiny("agunetr-v2")
    with torch.no_grad():
        network(window())
        with pytest.raises(RuntimeError, match="recording_gates"):
            network.gate_maps()
        with network.recording_gates():
            network(window())
            maps = network.gate_maps()
    assert {name: tuple(m.shape) for name, m in maps.items()} == {name: (1, 1, 32, 32, 32) for name in ("enc1", "enc2")}
    assert all(0 < float(m.min()) and float(m.max()) < 1 for m in maps.values())
    with pytest.raises(RuntimeError):
        network.gate_maps()


def test_an_improved_gate_starts_open():
    with torch.no_grad(), (network := tiny("agunetr-v2", psi_bias=2.0)).recording_gates():
        network(window())
        assert 0.75 < float(network.gate_maps()["enc1"].mean()) < 0.95


def test_gamma_and_bias_are_settable():
    network = tiny("agunetr-v2", gamma_start=0.5, psi_bias=-1.0)
    assert float(network.gates["enc1"].gamma) == 0.5
    assert float(network.gates["enc2"].psi.bias) == -1.0


@pytest.mark.parametrize("formula", ["attention", "improved"])
def test_deep_gates_run_at_every_skip(formula):
    network = tiny("agunetr-deep", gates=("enc4", "enc1", "enc3"), gate_formula=formula)
    assert network.gate_names == ("enc1", "enc3", "enc4")
    with torch.no_grad():
        assert network(window()).shape == (1, 2, 32, 32, 32)


@pytest.mark.parametrize("variant", ["unetr", "agunetr-v2"])
def test_channels_last_changes_rounding_only(variant):
    plain, fast = tiny(variant).eval(), to_channels_last(tiny(variant)).eval()
    with torch.no_grad():
        assert torch.allclose(plain(window()), fast(window()), atol=1e-4)
        pair = torch.cat([window(1), window(2)])
        assert torch.allclose(plain(pair), fast(pair), atol=1e-4)


def test_a_large_channels_last_norm_stays_exact():
    # A thin scan fills the rest of its window with one value: sums of so many equal numbers must not drift.
    values = torch.full((1, 4, 64, 64, 64), 0.37)
    values[..., 25:39] = torch.randn((1, 4, 64, 64, 14), generator=torch.Generator().manual_seed(1))
    values = values.contiguous(memory_format=torch.channels_last_3d)
    norm = torch.nn.InstanceNorm3d(4)
    expected = norm(values.double())
    with torch.no_grad():
        fast = to_channels_last(norm)(values)
    assert fast.is_contiguous(memory_format=torch.channels_last_3d)
    torch.testing.assert_close(fast.double(), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (dict(variant="unet"), "variant"),
        (dict(window=(96, 96, 90)), "window"),
        (dict(window=(0, 96, 96)), "window"),
        (dict(window=96), "window"),
        (dict(variant=["unetr"]), "variant"),
        (dict(variant="agunetr-deep", gates="enc1"), "gates"),
        (dict(variant="agunetr-v2", gamma_start=10**400), "gamma_start"),
        (dict(feature_size=0), "feature_size"),
        (dict(hidden_size=770), "hidden_size"),
        (dict(heads="12"), "heads"),
        (dict(layers=3), "layers"),
        (dict(out_channels=1), "out_channels"),
        (dict(gates=("enc5",)), "gates"),
        (dict(variant="agunetr-deep", gates=("enc1", "enc1")), "gates"),
        (dict(variant="agunetr-deep", gates=()), "gates"),
        (dict(variant="agunetr-v1", gates=("enc1",)), "agunetr-deep"),
        (dict(variant="agunetr-deep", gate_formula="soft"), "gate_formula"),
        (dict(variant="agunetr-v2", gamma_start=float("nan")), "gamma_start"),
        (dict(variant="agunetr-v2", psi_bias="2"), "psi_bias"),
    ],
)
def test_wrong_arguments_are_named(arguments, named):
    with pytest.raises(ValueError, match=named):
        NetworkConfig(**arguments)


def test_configurations_survive_json():
    config = network_config("agunetr-deep", "compact", gates=("enc3",), gate_formula="attention", psi_bias=1.0)
    assert NetworkConfig.from_dict(config.to_dict()) == config
    with pytest.raises(ValueError, match="color"):
        NetworkConfig.from_dict({**config.to_dict(), "color": 1})
    with pytest.raises(ValueError, match="size"):
        network_config("unetr", "huge")
    with pytest.raises(ValueError, match="width"):
        network_config("unetr", width=3)

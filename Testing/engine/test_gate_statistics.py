"""What the gates do is measured on the same windows at every validation, and a case's maps lie on its own grid."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from ignite.engine import Engine
from tiny_models import tiny_network
from untrained_runs import cases_of, finish, the_job, untrained_run

from agunetr.inference.segmenter import Segmenter
from agunetr_train.data.preparation import read_case
from agunetr_train.evaluation.gate_maps import gate_maps_of
from agunetr_train.evaluation.gate_statistics import GateStatistics, read_gate_statistics


def prepared_case(size: tuple[int, int, int] = (40, 36, 48), seed: int = 0) -> dict[str, torch.Tensor]:
    """Noise with a spleen in one corner of the scan."""
    label = torch.zeros(1, *size)
    label[:, 2:9, 20:30, 30:44] = 0.8
    image = torch.rand(1, *size, generator=torch.Generator().manual_seed(seed))
    return {"image": image, "label": label}


def validate(statistics: GateStatistics, *epochs: int) -> None:
    """What MONAI's ``ValidationHandler`` does: an evaluator runs as the training's epoch."""
    for epoch in epochs:
        evaluator = Engine(lambda engine, batch: None)
        statistics.attach(evaluator)
        evaluator.state.epoch = epoch - 1
        evaluator.run([0], max_epochs=epoch)


def test_means_are_those_of_the_mask_inside_and_outside_the_spleen(tmp_path):
    network = tiny_network("agunetr-v2", gamma_start=0.25)
    case = prepared_case()
    found = {row["gate"]: row for row in GateStatistics(network, [case], tmp_path / "gates.jsonl").measure()}
    # The window around the spleen's middle slice, moved into the scan: worked out by hand.
    box = (slice(None), slice(0, 32), slice(4, 36), slice(16, 48))
    with torch.no_grad(), network.recording_gates():
        network(case["image"][box][None])
        maps = {gate: values[0].numpy() for gate, values in network.gate_maps().items()}
    spleen = case["label"][box].numpy() > 0.5
    assert list(found) == ["enc1", "enc2"]
    for gate, values in maps.items():
        assert found[gate]["inside"] == pytest.approx(values[spleen].mean(), rel=1e-5)
        assert found[gate]["outside"] == pytest.approx(values[~spleen].mean(), rel=1e-5)
        assert found[gate]["gamma"] == 0.25


def test_air_added_to_a_small_scan_counts_nowhere(tmp_path):
    network = tiny_network("agunetr-v1")
    case = {name: values[:, :20, :30, 20:44] for name, values in prepared_case().items()}
    (row,) = GateStatistics(network, [case], tmp_path / "gates.jsonl").measure()
    padded = np.pad(case["image"].numpy(), ((0, 0), (6, 6), (1, 1), (4, 4)))
    with torch.no_grad(), network.recording_gates():
        network(torch.from_numpy(padded)[None])
        values = network.gate_maps()["enc2"][0, :, 6:26, 1:31, 4:28].numpy()
    spleen = case["label"].numpy() > 0.5
    assert row["gamma"] is None
    assert row["inside"] == pytest.approx(values[spleen].mean(), rel=1e-5)
    assert row["outside"] == pytest.approx(values[~spleen].mean(), rel=1e-5)


def test_a_case_without_spleen_has_no_mean_inside(tmp_path):
    case = prepared_case()
    empty = {"image": case["image"], "label": torch.zeros_like(case["label"])}
    (row,) = GateStatistics(tiny_network("agunetr-v1"), [empty], tmp_path / "gates.jsonl").measure()
    assert row["inside"] is None and 0 < row["outside"] < 1


def test_every_validation_adds_a_row_a_gate_and_a_repeated_epoch_replaces_its_own(tmp_path):
    path = tmp_path / "gates.jsonl"
    network = tiny_network("agunetr-v2").train()
    statistics = GateStatistics(network, [prepared_case()], path)
    validate(statistics, 2, 4)
    first = read_gate_statistics(path)
    assert [(row["epoch"], row["gate"]) for row in first] == [(2, "enc1"), (2, "enc2"), (4, "enc1"), (4, "enc2")]
    assert first[0] == {**first[2], "epoch": 2}, "same network, same windows, same numbers"
    assert network.training, "the training goes on as it was"
    with torch.no_grad():
        network.gates["enc1"].gamma.fill_(0.75)
    validate(GateStatistics(network, [prepared_case()], path), 4)
    again = read_gate_statistics(path)
    assert again[:2] == first[:2] and [row["gamma"] for row in again] == [0.5, 0.5, 0.75, 0.5]
    assert [file.name for file in tmp_path.iterdir()] == ["gates.jsonl"]


def test_more_windows_follow_the_spleen_along_the_body(tmp_path):
    network = tiny_network("agunetr-v1")
    long = {"image": torch.rand(1, 32, 32, 96), "label": torch.zeros(1, 32, 32, 96)}
    long["label"][:, 10:20, 10:20, 4:92] = 1
    path = tmp_path / "gates.jsonl"
    one, three = (GateStatistics(network, [long], path, windows_per_case=count).measure()[0] for count in (1, 3))
    assert one["inside"] != three["inside"]


def test_a_network_without_gates_writes_nothing(tmp_path):
    validate(GateStatistics(tiny_network("unetr"), [prepared_case()], tmp_path / "gates.jsonl"), 1)
    assert not [*tmp_path.iterdir()] and read_gate_statistics(tmp_path / "gates.jsonl") == []


def test_maps_that_are_no_numbers_are_told_as_unknown(tmp_path):
    network = tiny_network("agunetr-v1")
    with torch.no_grad():
        network.gates["enc2"].psi.bias.fill_(float("nan"))
    validate(GateStatistics(network, [prepared_case()], tmp_path / "gates.jsonl"), 1)
    text = (tmp_path / "gates.jsonl").read_text(encoding="utf-8")
    assert json.loads(text, parse_constant=pytest.fail)["inside"] is None


def test_maps_of_a_case_lie_on_its_grid_and_are_computed_once(phantom_cases, tmp_path, monkeypatch):
    run = untrained_run(tmp_path, phantom_cases)
    case = next(case for case in cases_of(phantom_cases) if case.name == "four")
    image, _ = read_case(case)
    runs: list[str] = []
    maps = gate_maps_of(run, the_job(run, "gated"), case, "cpu", runs.append)
    assert list(maps) == ["enc1", "enc2"] and len(runs) == 1
    for found in maps.values():
        assert found.same_grid(image) and found.array.dtype == np.float32
        body = image.array > -200
        assert 0 <= found.array.min() and found.array.max() <= 1 and found.array[body].mean() > 0.1
    monkeypatch.setattr(Segmenter, "segment", lambda *given, **named: pytest.fail("the maps were there"))
    again = gate_maps_of(run, the_job(run, "gated"), case, "cpu", runs.append)
    assert all(np.allclose(again[gate].array, maps[gate].array, atol=1e-6) for gate in maps) and len(runs) == 1
    finish(run, the_job(run, "gated"), seed=99, step=8)
    with pytest.raises(pytest.fail.Exception, match="the maps were there"):
        gate_maps_of(run, the_job(run, "gated"), case, "cpu", runs.append)
    assert gate_maps_of(run, the_job(run, "base"), case, "cpu") == {}

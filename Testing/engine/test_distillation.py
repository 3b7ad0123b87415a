"""A teacher's answers: computed once a case on its own grid, brought to the student's, and learned from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_experiments import one_stage
from tiny_models import save_tiny
from untrained_runs import the_job, untrained_run

from agunetr.errors import InputError, ModelError
from agunetr.inference.reading import read_volume
from agunetr.inference.resampling import prepare, restore
from agunetr_train.data.cases import Case, find_cases
from agunetr_train.data.preparation import cached_case, map_prepared
from agunetr_train.evaluation.trained_model import trained_network
from agunetr_train.experiments.definition import Stage
from agunetr_train.training.distillation import find_teacher, make_teacher
from agunetr_train.training.warm_start import warm_start

RANGE = (-175.0, 250.0)


def stage(teacher: str | Path | None, temperature: float = 2.0) -> Stage:
    name = None if teacher is None else str(teacher)
    return Stage(name="s", variant="unetr", epochs=1, teacher=name, distillation_temperature=temperature)


@pytest.fixture(scope="module")
def teacher_folder(tmp_path_factory) -> Path:
    """A teacher at 12 mm: coarser than its student, so that grids and windows differ."""
    return save_tiny(tmp_path_factory.mktemp("teachers"), "teacher", spacing_mm=(12.0, 12.0, 12.0)).folder


@pytest.fixture
def case(phantom_cases) -> Case:
    return find_cases(phantom_cases)["one"]


def soft_map(path: Path) -> np.ndarray:
    return map_prepared(path)["teacher"].numpy().astype(np.float32)


def test_the_map_lies_on_the_grid_of_the_prepared_case_and_is_made_once(teacher_folder, case, tmp_path):
    said: list[str] = []
    teacher = make_teacher(stage(teacher_folder), say=said.append)
    for spacing in (8.0, 10.0):
        path = teacher.map_of(case, spacing, RANGE, tmp_path)
        prepared = map_prepared(cached_case(case, spacing, RANGE, "soft", tmp_path))
        assert soft_map(path).shape == tuple(prepared["label"].shape)
    assert said == ["The teacher looks at one."], "the second spacing needs no second look"
    stamp = path.stat().st_mtime_ns
    assert make_teacher(stage(teacher_folder), say=said.append).map_of(case, 10.0, RANGE, tmp_path) == path
    assert path.stat().st_mtime_ns == stamp and len(said) == 1
    assert make_teacher(stage(teacher_folder, 3.0)).map_of(case, 10.0, RANGE, tmp_path) != path
    assert not list(tmp_path.glob("*.tmp"))


def test_it_is_what_the_network_says_softened_by_the_temperature(teacher_folder, case, tmp_path):
    temperature = 4.0
    teacher = make_teacher(stage(teacher_folder, temperature))
    found = soft_map(teacher.map_of(case, 8.0, RANGE, tmp_path))
    scan, _ = read_volume(case.image)
    seen = prepare(scan, (12.0,) * 3, RANGE)
    window = torch.zeros(1, 1, 32, 32, 32)
    image = torch.from_numpy(seen.array.transpose(2, 1, 0).copy())
    assert all(edge <= 32 for edge in image.shape), "one window holds the whole phantom"
    first = [(32 - edge) // 2 for edge in image.shape]
    box = tuple(slice(start, start + edge) for start, edge in zip(first, image.shape, strict=True))
    window[0, 0][box] = image
    with torch.no_grad():
        logits = find_teacher(str(teacher_folder)).network(window)[0]
    soft = torch.softmax(logits / temperature, dim=0)[1][box]
    expected = restore(seen.with_array(soft.permute(2, 1, 0).numpy().copy()), prepare(scan, (8.0,) * 3, RANGE), 0.0)
    assert np.abs(found[0] - expected.transpose(2, 1, 0)).max() < 2e-3


def test_a_job_of_a_run_can_teach_and_start_others(phantom_cases, case, tmp_path):
    run = untrained_run(tmp_path / "earlier", phantom_cases, **one_stage("gated", "agunetr-v2"))
    folder = run.job("gated")
    model = find_teacher(str(folder))
    assert model.spacing_mm == (8.0, 8.0, 8.0) and model.network.gate_names == ("enc1", "enc2")
    trained = trained_network(run, the_job(run, "gated")).state_dict()
    started = find_teacher(str(folder)).network
    with torch.no_grad():
        started.vit.norm.weight.zero_()
    assert warm_start(started, folder) == []
    assert all(torch.equal(value, trained[name]) for name, value in started.state_dict().items())
    path = make_teacher(stage(folder)).map_of(case, 8.0, RANGE, tmp_path)
    assert 0 <= soft_map(path).min() and soft_map(path).max() <= 1


def test_other_weights_are_another_teacher(tmp_path):
    one, other = (find_teacher(str(save_tiny(tmp_path, f"t{seed}", seed=seed).folder)) for seed in (1, 2))
    assert one.identity != other.identity


def test_a_teacher_that_is_not_there_or_has_other_classes_is_refused(tmp_path):
    assert make_teacher(stage(None)) is None
    with pytest.raises(InputError, match="no teacher at .*runs/study-v2/gated"):
        make_teacher(stage("runs/study-v2/gated"))
    with pytest.raises(ModelError, match="no model named 'nobody'"):
        make_teacher(stage("nobody"))

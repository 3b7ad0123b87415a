"""The trainer: any step can be the last one, and what is wrong is said in a sentence."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable

import pytest
import torch
from safetensors.torch import load_file
from tiny_experiments import tiny_experiment
from tiny_training import TinyRun, assert_same

from agunetr.errors import DeviceError, InputError, OutputError
from agunetr_train.data.cases import find_cases, pick_cases
from agunetr_train.experiments.jobs import jobs_of
from agunetr_train.run_folder import RunFolder
from agunetr_train.training.checkpoints import Checkpoints, read_checkpoint
from agunetr_train.training.failing_loss import LossNotFinite
from agunetr_train.training.metrics_file import read_rows
from agunetr_train.training.trainer import Outcome, job_weights, train_job
from agunetr_train.training.validation import Validation

EVERYTHING = dict(
    variant="agunetr-v2",
    network={"gamma_start": 0.5},
    epochs=2,
    steps_per_epoch=2,
    patches_per_step=2,
    accumulation_steps=2,
    clip_norm=1.0,
    ema_momentum=0.3,
    deep_supervision=True,
    gates_frozen_epochs=1,
    patience=5,
)
"""A stage that uses all that a checkpoint has to remember."""


@contextlib.contextmanager
def file_size_limit(room: int):
    """No file of this process can grow beyond so many bytes, as on a disk that is full."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def make(tmp_path, phantom_cases, prepared_cases) -> Callable[..., TinyRun]:
    """Makes a run of one stage with the given values."""
    return lambda **stage: TinyRun(tmp_path, phantom_cases, prepared_cases, **stage)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, phantom_cases, prepared_cases) -> TinyRun:
    run = TinyRun(tmp_path_factory.mktemp("uninterrupted"), phantom_cases, prepared_cases, **EVERYTHING)
    assert run.train() == Outcome(finished=True, stopped=False)
    return run


def test_a_run_leaves_metrics_checkpoints_events_and_records(uninterrupted):
    rows = uninterrupted.rows()
    assert [row["epoch"] for row in rows] == [1, 1, 2, 2]
    assert [row["step"] for row in rows] == [2, 2, 4, 4]
    assert all(math.isfinite(row["loss"]) for row in rows[::2])
    assert all(set(row["validation_dice_by_case"]) == {"three"} for row in rows[1::2])
    assert all(row["validation_dice"] == row["validation_dice_by_case"]["three"] for row in rows[1::2])
    best = max(row["validation_dice"] for row in rows[1::2])
    finished = json.loads((uninterrupted.path / "finished.json").read_text())
    assert finished["best_validation_dice"] == pytest.approx(best, rel=1e-5)
    assert (finished["epochs"], finished["steps"], finished["stopped_early"]) == (2, 4, False)
    checkpoints = {path.name for path in uninterrupted.path.glob("*.pt")}
    assert {"checkpoint_step=4.pt", f"best_dice={best:.4f}.pt"} <= checkpoints
    assert list(uninterrupted.path.glob("events.out.tfevents.*"))
    assert {row["gate"] for row in read_rows(uninterrupted.path / "gates.jsonl")} == {"enc1", "enc2"}
    job = json.loads((uninterrupted.path / "job.json").read_text())
    assert job["gate_parameters"] < job["parameters"] and job["peak_memory_bytes"] > 1e8
    assert 0 <= job["data_share"] < 1 and job["seconds_per_step"] > 0


def test_the_weights_of_a_job_are_the_averaged_ones_of_the_checkpoint_it_keeps(uninterrupted):
    last = read_checkpoint(uninterrupted.folder.last_checkpoint(uninterrupted.job))
    kept = job_weights(uninterrupted.folder, uninterrupted.job)
    assert_same(kept, dict(last["ema"]))
    assert not torch.equal(kept["out.conv.conv.weight"], last["network"]["out.conv.conv.weight"])
    assert not any(name.startswith("heads") for name in kept)
    best = job_weights(uninterrupted.folder, uninterrupted.job, "best")
    assert best.keys() == kept.keys()


def test_gates_rest_while_they_are_frozen(make):
    run = make(**{**EVERYTHING, "gates_frozen_epochs": 2, "ema_momentum": 0.0, "epochs": 1})
    run.train(validation=())
    state = job_weights(run.folder, run.job)
    assert float(state["gates.enc1.gamma"]) == 0.5


def test_a_job_stopped_after_every_step_ends_as_an_uninterrupted_one(uninterrupted, make):
    run = make(**EVERYTHING)
    assert [run.one_step() for _ in range(4)] == [1, 2, 3, 4]
    # The last stop came before the last validation, and that is all that is left.
    assert run.train() == Outcome(finished=True, stopped=False)
    kept, wanted = (read_checkpoint(of.folder.last_checkpoint(of.job)) for of in (run, uninterrupted))
    assert_same(kept, wanted)
    assert_same(job_weights(run.folder, run.job, "best"), job_weights(uninterrupted.folder, uninterrupted.job, "best"))
    assert run.rows() == uninterrupted.rows()


def test_a_stop_while_a_case_is_validated_comes_back_to_it(uninterrupted, make):
    run = make(**EVERYTHING)
    done, answer_after_the_step = [], iter([False])
    stopped = run.train(
        on_step=lambda step, total: done.append(step),
        stop=lambda: len(done) == 2 and next(answer_after_the_step, True),
    )
    assert stopped == Outcome(finished=False, stopped=True)
    assert run.folder.last_checkpoint(run.job).name == "checkpoint_step=2.pt"
    assert run.train().finished
    assert run.rows() == uninterrupted.rows()


def test_a_finished_job_is_left_alone(uninterrupted):
    before = {path.name: path.stat().st_mtime_ns for path in uninterrupted.path.iterdir()}
    assert uninterrupted.train() == Outcome(finished=True, stopped=False)
    assert before == {path.name: path.stat().st_mtime_ns for path in uninterrupted.path.iterdir()}


def test_training_ends_early_where_nothing_improves(make):
    run = make(variant="unetr", epochs=9, steps_per_epoch=1, learning_rate=1e-12, patience=2, keep="best")
    run.train()
    finished = json.loads((run.path / "finished.json").read_text())
    assert (finished["epochs"], finished["best_epoch"], finished["stopped_early"]) == (3, 1, True)


def test_a_loss_that_is_no_number_names_the_step_and_keeps_the_batch(make):
    run = make(variant="unetr", learning_rate=1e30, warm_up_steps=0, epochs=3)
    with pytest.raises(LossNotFinite, match=r"epoch 1 at step 2 \(cases .*nan_step=2.safetensors"):
        run.train()
    batch = load_file(run.path / "nan_step=2.safetensors")
    assert batch["image"].shape == batch["label"].shape == (1, 1, 32, 32, 32)
    facts = json.loads((run.path / "nan_step=2.json").read_text())
    assert facts["draws"] == [1] and set(facts["cases"]) < {"one", "two"}


def test_without_validation_cases_the_last_checkpoint_stands_for_the_best(make):
    run = make(variant="unetr", epochs=1, steps_per_epoch=None, keep="best")
    run.train(validation=())
    assert run.rows()[-1]["step"] == 2  # each of two training cases once
    told = []
    weights = job_weights(run.folder, run.job, say=told.append)
    assert "nothing was validated" in told[0]
    assert_same(weights, job_weights(run.folder, run.job, "last"))
    with pytest.raises(InputError, match="has no best checkpoint"):
        job_weights(run.folder, run.job, "best")


def test_a_job_does_not_begin_before_the_one_it_continues(tmp_path, phantom_cases, prepared_cases):
    experiment = tiny_experiment(tmp_path)
    folder = RunFolder(tmp_path / "run")
    folder.open(experiment)
    cases = pick_cases(find_cases(phantom_cases), ("one",))
    with pytest.raises(InputError, match="gated continues base, which is not finished"):
        train_job(experiment, jobs_of(experiment)[1], folder, cases, cases, prepared_cases, "cpu")


@pytest.mark.parametrize(("device", "words"), [("cuda:77", "CUDA|GPU"), ("abacus", "no device called 'abacus'")])
def test_a_device_that_does_not_exist_is_refused(make, device, words):
    with pytest.raises(DeviceError, match=words):
        make(variant="unetr").train(device=device)


def test_a_full_disk_costs_no_checkpoint(make, monkeypatch):
    run = make(variant="unetr")
    assert run.one_step() == 1
    good = run.folder.last_checkpoint(run.job)
    written = good.read_bytes()
    words = "step=2.pt cannot be written .*untouched"
    with file_size_limit(len(written) // 2), pytest.raises(OutputError, match=words):
        run.one_step()
    assert run.folder.last_checkpoint(run.job) == good and good.read_bytes() == written
    assert {path.suffix for path in run.path.iterdir() if path.name.startswith("tmp")} == set()
    assert run.train().finished


def test_a_damaged_checkpoint_is_named_and_the_one_before_it_taken(make, uninterrupted):
    run = make(**EVERYTHING)
    assert [run.one_step() for _ in range(3)] == [1, 2, 3]
    newest = run.folder.last_checkpoint(run.job)
    newest.write_bytes(newest.read_bytes()[:5000])
    assert run.train().finished
    assert "checkpoint_step=3.pt is damaged" in run.said[-1] and (run.path / "checkpoint_step=3.damaged").is_file()
    kept, wanted = (read_checkpoint(of.folder.last_checkpoint(of.job)) for of in (run, uninterrupted))
    assert_same(kept, wanted)
    for path in run.path.glob("*.pt"):
        path.write_bytes(b"")
    (run.path / "finished.json").unlink()
    for _ in range(2):  # it does not begin anew the second time, over what is left of the training
        with pytest.raises(InputError, match="No checkpoint of base can be read"):
            run.train()


@pytest.fixture
def killed(make, monkeypatch) -> TinyRun:
    """A run that was killed between the best checkpoint of its second validation and the next ordinary one."""
    monkeypatch.setattr(Validation, "mean", property(lambda self: 0.1 * self.evaluator.state.epoch))
    run = make(variant="unetr", epochs=3, steps_per_epoch=1, keep="best")
    assert [run.one_step() for _ in range(2)] == [1, 2]

    def write_and_die(checkpoints, trainer):
        write_best(checkpoints, trainer)
        raise KeyboardInterrupt

    write_best = Checkpoints.write_best
    with monkeypatch.context() as dying, pytest.raises(KeyboardInterrupt):
        dying.setattr(Checkpoints, "write_best", write_and_die)
        run.train()
    (run.path / "tmpk1ll3d").write_bytes(b"half of a checkpoint")
    # On a GPU the validation that comes again may end otherwise.
    monkeypatch.setattr(Validation, "mean", property(lambda self: 0.05))
    return run


def test_a_sudden_end_does_not_cost_the_best_checkpoint(killed):
    best = read_checkpoint(killed.path / "best_dice=0.1000.pt")
    assert (killed.path / "best_dice=0.2000.pt").is_file()
    assert killed.train().finished
    assert [path.name for path in killed.path.glob("best_dice=*")] == ["best_dice=0.1000.pt"]
    assert_same(job_weights(killed.folder, killed.job), dict(best["network"]))
    assert json.loads((killed.path / "finished.json").read_text())["best_epoch"] == 1
    assert not list(killed.path.glob("tmp*"))


def test_where_the_best_checkpoint_is_lost_the_next_validation_counts(killed):
    (killed.path / "best_dice=0.1000.pt").unlink()
    assert killed.train().finished
    assert json.loads((killed.path / "finished.json").read_text())["best_validation_dice"] == 0.05
    (killed.path / "best_dice=0.0500.pt").unlink()
    with pytest.raises(InputError, match="best validation of base is missing"):
        job_weights(killed.folder, killed.job)

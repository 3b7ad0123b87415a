"""Every patch follows from its number: what is drawn does not depend on who draws it, when, or after what."""

from __future__ import annotations

import multiprocessing
import pickle
import signal
import subprocess

import pytest
import torch
from tiny_experiments import tiny_experiment
from torch.utils.data import DataLoader

from agunetr.errors import InputError
from agunetr_train.data.cases import find_cases, pick_cases
from agunetr_train.experiments.definition import Stage
from agunetr_train.experiments.jobs import jobs_of
from agunetr_train.training.distributed import Processes
from agunetr_train.training.draws import DrawPlan, PatchDraws, StepSampler
from agunetr_train.training.job_training import never
from agunetr_train.training.patch_loader import patch_loader, prepare_cases, start_loading

PLAN = DrawPlan(seed=3, cases=5, spacings=2, patches_per_step=2, steps_per_epoch=10, every_case_once=False)


def test_draws_follow_from_seed_and_number_alone():
    first, again = ([plan.source(draw) for draw in range(40)] for plan in (PLAN, DrawPlan(3, 5, 2, 4, 7, False)))
    assert first == again
    other = DrawPlan(4, 5, 2, 2, 10, False)
    assert first != [other.source(draw) for draw in range(40)]
    cases, spacings, seeds = zip(*first, strict=True)
    assert set(cases) == set(range(5)) and set(spacings) == {0, 1} and len(set(seeds)) == 40


def test_an_epoch_takes_every_case_once_in_an_order_of_its_own():
    plan = DrawPlan.of(Stage(name="a", variant="unetr", epochs=1, steps_per_epoch=None), 0, cases=6, spacings=1)
    assert plan.steps_per_epoch == 6
    epochs = [[plan.source(6 * epoch + draw)[0] for draw in range(6)] for epoch in range(3)]
    assert all(sorted(epoch) == list(range(6)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1


def test_an_epoch_that_steps_do_not_divide_is_filled_up_with_its_first_cases():
    stage = Stage(name="a", variant="unetr", epochs=1, steps_per_epoch=None, patches_per_step=4)
    plan = DrawPlan.of(stage, 0, cases=6, spacings=1)
    drawn = [plan.source(draw)[0] for draw in range(8)]
    assert plan.steps_per_epoch == 2 and sorted(drawn[:6]) == list(range(6)) and drawn[6:] == drawn[:2]


def test_processes_share_each_steps_draws():
    alone = list(StepSampler(3, 6, 4, Processes()))
    assert alone == [[12, 13, 14, 15], [16, 17, 18, 19], [20, 21, 22, 23]]
    shares = [list(StepSampler(3, 6, 4, Processes(rank, 2))) for rank in range(2)]
    assert [first + second for first, second in zip(*shares, strict=True)] == alone
    with pytest.raises(InputError, match="patches_per_step is 4, which 3 processes"):
        StepSampler(0, 1, 4, Processes(0, 3))


@pytest.fixture(scope="module")
def patches(tmp_path_factory, phantom_cases, prepared_cases) -> PatchDraws:
    experiment = tiny_experiment(tmp_path_factory.mktemp("draws"))
    job, cases = jobs_of(experiment)[0], pick_cases(find_cases(phantom_cases), ("one", "two"))
    store = prepare_cases(experiment, job, cases, prepared_cases, Processes(), None, never)
    return patch_loader(experiment, job, store, ["one", "two"], 0, torch.device("cpu"), Processes()).dataset


def test_a_patch_is_the_same_whatever_was_drawn_before(patches):
    in_order = [patches[draw] for draw in range(4)]
    for draw in (3, 0):
        again = patches[draw]
        assert torch.equal(again["image"], in_order[draw]["image"])
        assert torch.equal(again["label"], in_order[draw]["label"])
        assert (again["case"], again["draw"]) == (in_order[draw]["case"], draw)
    assert not torch.equal(in_order[0]["image"], in_order[1]["image"])
    assert in_order[0]["image"].shape == (1, 32, 32, 32) and in_order[0]["image"].dtype == torch.float32


def test_loading_processes_draw_the_same_patches(patches):
    own = [patches[draw] for draw in range(3)]
    loaded = list(DataLoader(patches, batch_sampler=StepSampler(0, 3, 1, Processes()), num_workers=1))
    for batch, patch in zip(loaded, own, strict=True):
        assert torch.equal(batch["image"][0], patch["image"]) and batch["case"] == [patch["case"]]


@pytest.mark.skipif(not hasattr(signal, "sigwaitinfo"), reason="the system does not tell who sent a signal")
def test_a_loading_process_ends_for_the_process_that_trains_alone(patches):
    """Batch systems send SIGTERM to every process of a job; the step at hand still needs its patches."""

    def begun():
        sampler = StepSampler(0, 6, 1, Processes())
        batches = iter(DataLoader(patches, batch_sampler=sampler, num_workers=1, worker_init_fn=start_loading))
        next(batches)
        (process,) = multiprocessing.active_children()
        return batches, process

    batches, process = begun()
    for number in ("INT", "TERM"):
        subprocess.run(["kill", f"-{number}", str(process.pid)], check=True)
    assert len(list(batches)) == 5

    batches, process = begun()
    process.terminate()
    process.join(10)
    assert process.exitcode == 0


def test_patches_can_be_sent_to_loading_processes_of_every_system(patches):
    # Without fork, as on Windows and macOS, the whole source is pickled.
    sent = pickle.loads(pickle.dumps(patches))
    assert torch.equal(sent[2]["image"], patches[2]["image"])

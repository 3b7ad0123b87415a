"""Many CTs: the pipeline gives what single calls give, overlaps its steps, and holds few CTs at a time."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import threading
import time
import weakref

import numpy as np
import pytest
import SimpleITK as sitk
from bright_scan import CENTRE_RAS_MM, bright_scan
from intensity_models import IntensityBundle

from agunetr.errors import InputError, MemoryExhausted, OutputError
from agunetr.inference.job import ScanJob, run_job
from agunetr.inference.reading import read_volume
from agunetr.inference.segmenter import Segmenter, SegmentOptions
from agunetr.inference.writing import write_volume
from agunetr.many_scans.cases import CANCELLED, DONE, FAILED, NOT_STARTED, SKIPPED, Case
from agunetr.many_scans.pipeline import CasePipeline

EXACT = SegmentOptions(device="cpu", precision="exact")
BASE = IntensityBundle("base")
GATED = IntensityBundle("gated", gate_names=("enc1",), level=0.6, variant="agunetr-v2")
LONG = 60.0  # seconds after which something that should have happened never will


@pytest.fixture(scope="module")
def cts(tmp_path_factory):
    """Four CTs, the ball of each in a place of its own."""
    folder = tmp_path_factory.mktemp("cts")
    for number in range(1, 5):
        scan = bright_scan(centre=CENTRE_RAS_MM + [3 * number, 0, -2 * number])
        write_volume(scan, folder / f"scan-{number}.nii.gz")
    return folder


@pytest.fixture
def cases(cts, tmp_path):
    """A case for each CT; results go to tmp_path."""
    paths = sorted(cts.iterdir())
    return [
        Case(number, path.name.split(".")[0], path, tmp_path / path.name.split(".")[0])
        for number, path in enumerate(paths, start=1)
    ]


def run(cases, bundles=(BASE,), options=EXACT, segmenter=None, stop=lambda: False, **more):
    pipeline = CasePipeline(bundles, options, segmenter or Segmenter(), **more)
    return list(pipeline.run(cases, lambda case: contextlib.nullcontext(lambda *step: None), stop))


def states(outcomes):
    return {outcome.case.name: outcome.state for outcome in outcomes}


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


class Watched(Segmenter):
    """A segmenter that calls ``before(case number)`` first; the cases come in their order, one model each."""

    def __init__(self, before):
        super().__init__()
        self.calls = 0
        self._before = before

    def segment(self, *arguments):
        self.calls += 1
        self._before(self.calls)
        return super().segment(*arguments)


def test_the_results_are_those_of_single_calls(cases, tmp_path):
    options = dataclasses.replace(EXACT, attention=("all",))
    outcomes = run(cases, (BASE, GATED), options)
    assert [outcome.case for outcome in outcomes] == cases and {outcome.state for outcome in outcomes} == {DONE}
    masks = []
    for case, outcome in zip(cases, outcomes, strict=True):
        alone = tmp_path / "alone" / case.name
        alone.mkdir(parents=True)
        volume, notices = read_volume(case.path)
        expected = run_job(volume, notices, [BASE, GATED], options, alone)
        assert files(case.output) == files(alone)
        for name in (name for name in files(alone) if name.endswith(".nii.gz")):
            one, other = (sitk.GetArrayFromImage(sitk.ReadImage(str(folder / name))) for folder in (case.output, alone))
            np.testing.assert_array_equal(one, other)
        masks.append(sitk.GetArrayFromImage(sitk.ReadImage(str(case.output / "base.nii.gz"))))
        assert outcome.result == json.loads((case.output / "result.json").read_text(encoding="utf-8"))
        for key in ("agreement", "device", "precision", "options", "warnings"):
            assert outcome.result[key] == expected[key]
        assert outcome.result["input"]["path"] == str(case.path)
    assert all((masks[0] != mask).any() for mask in masks[1:]), "each CT has its own mask, not its neighbour's"


def test_the_next_is_read_and_the_last_is_written_while_the_network_runs(cases):
    was_read = {case.path: threading.Event() for case in cases}

    def read(path):
        answer = read_volume(path)
        was_read[path].set()
        return answer

    def second_waits_for_its_neighbours(number):
        if number == 2:
            assert was_read[cases[2].path].wait(LONG), "the third CT is not read while the second is in the network"
            end = time.monotonic() + LONG
            while not (cases[0].output / "result.json").exists():
                assert time.monotonic() < end, "the first CT is not written while the second is in the network"
                time.sleep(0.01)
            assert not was_read[cases[3].path].is_set(), "one CT ahead is enough"

    outcomes = run(cases, segmenter=Watched(second_waits_for_its_neighbours), read=read)
    assert [outcome.error for outcome in outcomes] == [None] * 4


def test_one_ct_behind_is_enough(cases, monkeypatch):
    second_began, first_written = threading.Event(), threading.Event()
    write = ScanJob.write

    def slow_first(job, *arguments):
        if not first_written.is_set():
            assert second_began.wait(LONG)
            time.sleep(0.3)  # time for a pipeline without bounds to begin the third
            write(job, *arguments)
            first_written.set()
        else:
            write(job, *arguments)

    def check(number):
        if number == 2:
            second_began.set()
        if number == 3:
            assert first_written.is_set()

    monkeypatch.setattr(ScanJob, "write", slow_first)
    assert [outcome.error for outcome in run(cases, segmenter=Watched(check))] == [None] * 4


def test_no_ct_stays_in_memory_once_it_is_written(cases):
    volumes = []

    def read(path):
        volume, notices = read_volume(path)
        volumes.append(weakref.ref(volume))
        return volume, notices

    def last_but_one_is_gone(number):
        written = max(0, number - 2)
        assert [volume() is None for volume in volumes[:written]] == [True] * written

    assert [outcome.error for outcome in run(cases, segmenter=Watched(last_but_one_is_gone), read=read)] == [None] * 4
    assert [volume() for volume in volumes] == [None] * 4


def test_failures_are_reported_and_do_not_stop_the_others(cases, tmp_path):
    cases[0] = dataclasses.replace(cases[0], path=tmp_path / "missing.nii.gz")
    cases[1].output.mkdir()
    (cases[1].output / "base.nii.gz").write_text("somebody's file")

    def out_of_memory(number):
        if number == 1:  # the first that gets so far is the third case
            raise MemoryExhausted("Too little memory.")

    outcomes = run(cases, segmenter=Watched(out_of_memory))
    assert [outcome.state for outcome in outcomes] == [FAILED, FAILED, FAILED, DONE]
    assert [type(outcome.error) for outcome in outcomes[:3]] == [InputError, OutputError, MemoryExhausted]
    assert files(tmp_path) == ["scan-2/base.nii.gz", "scan-4/base.nii.gz", "scan-4/result.json"]
    assert (cases[1].output / "base.nii.gz").read_text() == "somebody's file"


def test_a_disk_that_fails_while_writing_fails_that_case_only(cases, tmp_path, monkeypatch):
    finish = ScanJob.finish

    def fails_for_the_second(job, *arguments):
        if job._output == cases[1].output:
            raise OutputError("The disk is full.")
        return finish(job, *arguments)

    monkeypatch.setattr(ScanJob, "finish", fails_for_the_second)
    outcomes = run(cases)
    assert [outcome.state for outcome in outcomes] == [DONE, FAILED, DONE, DONE]
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["scan-1", "scan-3", "scan-4"]


def test_a_stop_keeps_what_is_finished(cases, tmp_path):
    stopped = threading.Event()
    outcomes = run(cases, segmenter=Watched(lambda number: number == 2 and stopped.set()), stop=stopped.is_set)
    assert [outcome.state for outcome in outcomes] == [DONE, CANCELLED, NOT_STARTED, NOT_STARTED]
    assert files(tmp_path) == ["scan-1/base.nii.gz", "scan-1/result.json"]
    assert [path.name for path in tmp_path.iterdir()] == ["scan-1"], "no hidden folder is left"


def test_an_interruption_at_once_leaves_no_half_written_case(cases, tmp_path):
    def interrupt(number):
        if number == 2:
            raise KeyboardInterrupt

    threads = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        run(cases, segmenter=Watched(interrupt))
    assert set(files(tmp_path)) <= {"scan-1/base.nii.gz", "scan-1/result.json"}
    assert len(files(tmp_path)) in (0, 2) and not list(tmp_path.glob(".*"))
    assert threading.active_count() == threads


def test_no_cases():
    assert run([]) == []


@pytest.fixture
def interrupted(cases):
    """The first two of the four cases are finished."""
    run(cases[:2])
    return cases


def test_a_second_run_does_the_rest(interrupted):
    segmenter = Watched(lambda number: None)
    before = {path: path.stat().st_mtime_ns for case in interrupted[:2] for path in case.output.iterdir()}
    outcomes = run(interrupted, segmenter=segmenter)
    assert [outcome.state for outcome in outcomes] == [SKIPPED, SKIPPED, DONE, DONE]
    assert segmenter.calls == 2
    assert outcomes[0].result["models"][0]["volume_ml"] > 0
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_where_it_is_computed_is_no_other_setting(interrupted):
    options = dataclasses.replace(EXACT, device="auto", window_batch=2)
    assert [outcome.state for outcome in run(interrupted[:2], options=options)] == [SKIPPED, SKIPPED]


@pytest.mark.parametrize(
    ("bundles", "options", "words"),
    [
        ((BASE,), dataclasses.replace(EXACT, threshold=0.4, fill_holes=False), r"other options \(fill_holes, thre"),
        ((GATED,), EXACT, r"other models \(base\)"),
        ((BASE, GATED), EXACT, r"other models \(base\)"),
        ((IntensityBundle("base", level=0.7),), EXACT, "other weights of the model base"),
    ],
)
def test_results_of_other_settings_are_refused_and_kept(interrupted, bundles, options, words):
    before = (interrupted[0].output / "base.nii.gz").read_bytes()
    outcomes = run(interrupted[:1], bundles, options)
    assert outcomes[0].state == FAILED
    with pytest.raises(OutputError, match=words):
        raise outcomes[0].error
    assert (interrupted[0].output / "base.nii.gz").read_bytes() == before
    assert run(interrupted[:1], bundles, options, overwrite=True)[0].state == DONE


def test_results_of_another_state_of_the_ct_are_refused(interrupted, tmp_path):
    moved = tmp_path / "elsewhere" / interrupted[0].path.name
    moved.parent.mkdir()
    moved.write_bytes(interrupted[0].path.read_bytes())
    times = interrupted[0].path.stat()
    os.utime(moved, ns=(times.st_atime_ns, times.st_mtime_ns))
    case = dataclasses.replace(interrupted[0], path=moved)
    assert run([case])[0].state == SKIPPED
    os.utime(moved)
    assert "of another CT" in run([case])[0].error.message


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda folder, result: (folder / "base.nii.gz").unlink(), "lack base.nii.gz"),
        (lambda folder, result: (folder / "result.json").write_text("half"), "cannot be read"),
        (lambda folder, result: (folder / "result.json").write_text("[]"), "cannot be read"),
        (lambda folder, result: result.pop("options"), "do not say with which options"),
        (lambda folder, result: result.update(format=2), "another version of this program"),
        (lambda folder, result: result["options"].update(sharpness=3), "sharpness"),
    ],
)
def test_results_that_are_incomplete_or_say_too_little_are_refused(interrupted, change, words):
    folder = interrupted[0].output
    path = folder / "result.json"
    result = json.loads(path.read_text(encoding="utf-8"))
    before = json.dumps(result)
    change(folder, result)
    if json.dumps(result) != before:
        path.write_text(json.dumps(result), encoding="utf-8")
    assert words in run(interrupted[:1])[0].error.message
    assert run(interrupted[:1], overwrite=True)[0].state == DONE


def test_an_option_that_earlier_results_do_not_know_had_its_default(interrupted):
    path = interrupted[0].output / "result.json"
    result = json.loads(path.read_text(encoding="utf-8"))
    del result["options"]["fill_holes"]
    path.write_text(json.dumps(result), encoding="utf-8")
    assert run(interrupted[:1])[0].state == SKIPPED
    other = dataclasses.replace(EXACT, fill_holes=False)
    assert "fill_holes" in run(interrupted[:1], options=other)[0].error.message

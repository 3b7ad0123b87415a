"""A scan comes back as a mask on its own grid, and everything about the run is told."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from bright_scan import CENTRE_RAS_MM, ball_mask, bright_scan
from intensity_models import IntensityBundle
from tiny_models import save_tiny

from agunetr.errors import Cancelled, DeviceError, MemoryExhausted
from agunetr.inference import segmenter as segmenter_module
from agunetr.inference import warm_networks
from agunetr.inference.segmenter import Segmenter, SegmentOptions
from agunetr.measures import dice_score

EXACT = SegmentOptions(device="cpu", engine="torch", precision="exact")


@pytest.mark.parametrize(
    ("axes", "flips"),
    [((0, 1, 2), (1, 1, 1)), ((0, 1, 2), (-1, -1, 1)), ((2, 0, 1), (1, -1, -1)), ((1, 2, 0), (-1, 1, 1))],
)
@pytest.mark.parametrize("body_crop", [True, False])
def test_the_ball_is_found_where_it_is_in_any_orientation(axes, flips, body_crop):
    scan = bright_scan(axes, flips)
    options = dataclasses.replace(EXACT, body_crop=body_crop)
    answer = Segmenter(options).segment(scan, IntensityBundle())
    assert answer.mask.dtype == np.uint8 and answer.mask.shape == scan.array.shape
    assert dice_score(answer.mask, ball_mask(scan)) > 0.93
    k, j, i = np.nonzero(answer.mask)
    centre = scan.ras_of(np.stack([i, j, k], axis=-1)).mean(axis=0)
    assert np.abs(centre - CENTRE_RAS_MM).max() < 1.0
    assert answer.notices == []


def test_everything_about_the_run_is_told():
    told = []
    answer = Segmenter(EXACT).segment(bright_scan(), IntensityBundle(), lambda *step: told.append(step))
    assert (answer.device, answer.precision, answer.model) == ("cpu", "exact", "bright")
    assert answer.device_reason and answer.precision_reason and answer.checksum
    assert answer.engine == "torch" and answer.engine_reason
    assert list(answer.seconds) == ["prepare", "load", "windows", "restore"]
    assert list(dict.fromkeys(stage for stage, _, _ in told)) == list(answer.seconds)
    assert [step for step in told if step[0] == "windows"][-1] == ("windows", answer.windows, answer.windows)
    assert all(done <= total for _, done, total in told)


def test_gate_maps_come_as_volumes_on_the_models_grid_in_the_right_place():
    scan = bright_scan((1, 2, 0), (-1, 1, 1))
    bundle = IntensityBundle(gate_names=("enc1", "enc2"))
    answer = Segmenter(EXACT).segment(scan, bundle, options=dataclasses.replace(EXACT, attention=("all",)))
    assert list(answer.attention) == ["enc1", "enc2"]
    gate_map = answer.attention["enc1"]
    assert gate_map.array.dtype == np.float32 and gate_map.array.flags.c_contiguous
    np.testing.assert_allclose(gate_map.spacing_mm, bundle.spacing_mm)
    # The stand-in's map is the image itself: the ball is its only part near 0.8.
    k, j, i = np.nonzero(gate_map.array > 0.7)
    centre = gate_map.ras_of(np.stack([i, j, k], axis=-1)).mean(axis=0)
    assert np.abs(centre - CENTRE_RAS_MM).max() < 1.0
    np.testing.assert_allclose(answer.attention["enc2"].array, gate_map.array / 2, atol=1e-6)


def test_gates_are_not_recorded_unless_asked_for_and_a_missing_one_is_told():
    bundle = IntensityBundle(gate_names=("enc2",))
    assert Segmenter(EXACT).segment(bright_scan(), bundle).attention == {}
    options = dataclasses.replace(EXACT, attention=("enc1", "enc2"))
    answer = Segmenter(options).segment(bright_scan(), bundle)
    assert list(answer.attention) == ["enc2"]
    assert [notice.kind for notice in answer.notices] == ["no-such-gate"]
    assert "enc1" in answer.notices[0].message
    # Beside a gated network one without gates is what the user compares it with, and no reason for a warning.
    assert not Segmenter(options).segment(bright_scan(), IntensityBundle(gate_names=())).notices


def test_a_scan_without_the_organ_and_one_that_cuts_it_are_told():
    nothing = Segmenter(EXACT).segment(bright_scan(ball_hu=40), IntensityBundle())
    assert not nothing.mask.any() and [notice.kind for notice in nothing.notices] == ["no-spleen"]
    cut = Segmenter(EXACT).segment(bright_scan(centre=(0.0, 0.0, 38.0)), IntensityBundle())
    assert cut.mask.any() and [notice.kind for notice in cut.notices] == ["cut-by-edge"]
    assert "superior edge" in cut.notices[0].message


def test_clean_up_and_threshold_are_options():
    scan = bright_scan()
    scan.array[20:22, 25:28, 30:33] = 160
    scan.array[tuple(np.round(np.argwhere(ball_mask(bright_scan())).mean(axis=0)).astype(int))] = -1000
    largest = Segmenter(EXACT).segment(scan, IntensityBundle()).mask
    everything = dataclasses.replace(EXACT, largest_component=False, fill_holes=False)
    raw = Segmenter(everything).segment(scan, IntensityBundle()).mask
    assert np.any((raw == 1) & (largest == 0)) and np.any((raw == 0) & (largest == 1))
    wide = Segmenter(dataclasses.replace(EXACT, threshold=0.02)).segment(bright_scan(), IntensityBundle()).mask
    narrow = Segmenter(dataclasses.replace(EXACT, threshold=0.98)).segment(bright_scan(), IntensityBundle()).mask
    assert wide.sum() > narrow.sum() > 0


def test_probabilities_are_interpolated_before_the_threshold():
    # A model three times coarser than the scan: thresholding first would leave steps of 6 voxels along an axis.
    scan = bright_scan()
    answer = Segmenter(EXACT).segment(scan, IntensityBundle(spacing_mm=(6.0, 6.0, 6.0)))
    assert dice_score(answer.mask, ball_mask(scan)) > 0.8
    rows = answer.mask.sum(axis=2)
    assert len(np.unique(rows[rows > 0])) > 4


def test_networks_stay_warm_and_the_prepared_scan_is_shared(monkeypatch):
    loads, preparations = [], []
    original = segmenter_module.prepare

    def counted(*args, **keywords):
        preparations.append(args)
        return original(*args, **keywords)

    monkeypatch.setattr(segmenter_module, "prepare", counted)
    network = IntensityBundle.network
    monkeypatch.setattr(IntensityBundle, "network", lambda self: loads.append(self.name) or network(self))
    segmenter, scan = Segmenter(EXACT), bright_scan()
    first = segmenter.segment(scan, IntensityBundle())
    segmenter.segment(scan, IntensityBundle("other", level=0.6))
    again = segmenter.segment(scan, IntensityBundle())
    assert loads == ["bright", "other"] and len(preparations) == 1
    np.testing.assert_array_equal(first.mask, again.mask)
    segmenter.segment(scan, IntensityBundle(spacing_mm=(3.0, 3.0, 3.0)))
    assert len(preparations) == 2
    segmenter.forget_scan()
    segmenter.segment(scan, IntensityBundle(spacing_mm=(3.0, 3.0, 3.0)))
    assert len(preparations) == 3 and loads == ["bright", "other"]
    for level in (0.1, 0.2, 0.3, 0.4):
        segmenter.segment(scan, IntensityBundle(level=level))
    assert len(segmenter._warm) == warm_networks.WARM_NETWORKS


def test_cancel_ends_it_before_any_stage_and_between_windows():
    with pytest.raises(Cancelled):
        Segmenter(EXACT).segment(bright_scan(), IntensityBundle(), cancelled=lambda: True)
    told = []

    def after_two_windows() -> bool:
        return ("windows", 2) in [step[:2] for step in told]

    with pytest.raises(Cancelled):
        Segmenter(EXACT).segment(bright_scan(), IntensityBundle(), lambda *step: told.append(step), after_two_windows)
    assert told[-1][:2] == ("windows", 2)


def test_errors_of_the_machine_reach_the_user_as_such(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError):
        Segmenter(SegmentOptions(device="cuda")).segment(bright_scan(), IntensityBundle())

    def too_large(*args, **kwargs):
        raise MemoryError

    monkeypatch.setattr(segmenter_module, "prepare", too_large)
    with pytest.raises(MemoryExhausted):
        Segmenter(EXACT).segment(bright_scan(), IntensityBundle())


def test_a_real_bundle_gives_maps_of_its_gates(tmp_path):
    bundle = save_tiny(tmp_path)
    options = dataclasses.replace(EXACT, attention=("all",), overlap=0.25, largest_component=False, fill_holes=False)
    answer = Segmenter(options).segment(bright_scan(), bundle)
    assert set(answer.attention) == set(bundle.gate_names)
    assert answer.checksum == bundle.checksum
    for gate_map in answer.attention.values():
        assert 0 <= gate_map.array.min() and gate_map.array.max() <= 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("overlap", 1),
        ("overlap", "half"),
        ("overlap", float("nan")),
        ("window_batch", 0),
        ("window_batch", 1.5),
        ("window_batch", True),
        ("attention", "enc1"),
        ("attention", (1,)),
        ("engine", "tensorrt"),
        ("engine", None),
        ("precision", "best"),
        ("precision", ["exact"]),
        ("device", ""),
        ("device", None),
        ("largest_component", 1),
        ("fill_holes", "yes"),
        ("body_crop", None),
        ("threshold", 0),
        ("threshold", 1),
        ("threshold", True),
    ],
)
def test_options_out_of_range_are_named(name, value):
    with pytest.raises(ValueError, match=name):
        SegmentOptions(**{name: value})


def test_options_from_json_are_the_same_options():
    assert SegmentOptions(attention=["enc1"]) == SegmentOptions(attention=("enc1",))

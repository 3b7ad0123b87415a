"""Windows are run near the organ alone where that gives the same mask, and everywhere else where it would not."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from ball_volumes import rotation
from localised_models import FAINT_HU, ORGAN_HU, SPLEEN_MM, ContextBundle, localiser, torso, with_spleen

from agunetr.commands.exit_codes import INPUT, exit_code
from agunetr.errors import Cancelled, InputError, ModelError
from agunetr.inference import organ_search
from agunetr.inference.job import run_job
from agunetr.inference.organ_search import OrganSearch
from agunetr.inference.segmenter import Segmenter, SegmentOptions
from agunetr.measures import dice_score

EXACT = SegmentOptions(device="cpu", engine="torch", precision="exact")
DENSE = dataclasses.replace(EXACT, localise=False)
FINE = ContextBundle()


def _segment(scan, options=EXACT, bundle=FINE, where=None):
    return Segmenter(options, OrganSearch(where or localiser())).segment(scan, bundle)


def test_near_the_organ_the_answer_is_that_of_the_whole_scan_from_few_windows():
    scan = with_spleen()
    near, dense = _segment(scan), _segment(scan, DENSE)
    assert (near.search, dense.search) == ("localised", "dense")
    assert near.windows_of_dense == dense.windows == dense.windows_of_dense
    assert near.windows < dense.windows / 6
    assert dice_score(near.mask, dense.mask) > 0.998 and dense.mask.any()
    assert "localiser found" in near.search_reason and "asked for" in dense.search_reason
    assert list(near.seconds) == ["prepare", "localise", "load", "windows", "restore"]


def test_a_scan_that_takes_few_windows_is_searched_whole():
    answer = _segment(with_spleen(), bundle=dataclasses.replace(FINE, spacing_mm=(24.0, 24.0, 24.0)))
    assert answer.search == "dense" and "1 window only" in answer.search_reason
    assert "localise" not in answer.seconds


def test_without_a_localiser_the_reason_says_so():
    answer = Segmenter(EXACT).segment(with_spleen(), FINE)
    assert answer.search == "dense" and "no localiser" in answer.search_reason


def test_an_organ_that_goes_on_beyond_what_the_localiser_saw_is_followed():
    # The localiser sees the bright half alone; the model sees both, and the faint one reaches 130 mm further.
    organs = {(-70.0, -20.0, z): (30.0, ORGAN_HU if z < 0 else FAINT_HU) for z in (-70.0, -40.0, -10.0, 20.0, 50.0)}
    scan = torso(organs)
    near, dense = _segment(scan, where=localiser(level=0.72)), _segment(scan, DENSE)
    assert near.search == "localised" and "goes on" in near.search_reason
    assert near.windows < dense.windows / 3
    assert dice_score(near.mask, dense.mask) > 0.998


@pytest.mark.parametrize(
    ("organs", "level", "said"),
    [
        ({}, 0.5, "no spleen"),
        ({tuple(SPLEEN_MM): (35.0, FAINT_HU)}, 0.75, "no spleen"),  # missed
        ({tuple(SPLEEN_MM): (35.0, ORGAN_HU), (80.0, 0.0, 0.0): (30.0, ORGAN_HU)}, 0.5, "two places"),
        ({tuple(SPLEEN_MM): (95.0, ORGAN_HU)}, 0.5, "too large"),
        ({(-130.0, 0.0, 0.0): (40.0, ORGAN_HU)}, 0.5, "side of the scan"),
    ],
)
def test_a_doubtful_localiser_leaves_the_mask_as_it_would_be_without(organs, level, said):
    scan = torso(organs)
    answer, dense = _segment(scan, where=localiser(level)), _segment(scan, DENSE)
    assert answer.search == "dense" and said in answer.search_reason
    assert "localise" in answer.seconds
    np.testing.assert_array_equal(answer.mask, dense.mask)


def test_a_false_alarm_that_the_model_does_not_confirm_ends_in_the_whole_scan_and_runs_no_window_twice():
    # The localiser takes a faint ball for the spleen and misses the real one; the model sees only that.
    scan = torso({(70.0, 0.0, -40.0): (40.0, FAINT_HU), tuple(SPLEEN_MM): (20.0, ORGAN_HU)})
    told = []
    segmenter = Segmenter(EXACT, OrganSearch(_FaintOnly()))
    answer = segmenter.segment(scan, dataclasses.replace(FINE, level=0.72), lambda *step: told.append(step))
    dense = _segment(scan, DENSE, dataclasses.replace(FINE, level=0.72))
    assert answer.search == "dense" and "the model" in answer.search_reason
    assert dice_score(answer.mask, dense.mask) == 1.0 and dense.mask.any()
    runs = [total for stage, done, total in told if stage == "windows" and done == total]
    assert len(runs) == 2 and sum(runs) == answer.windows == dense.windows


class _FaintOnly(ContextBundle):
    """A localiser that calls faint tissue spleen, and nothing brighter."""

    def __init__(self) -> None:
        super().__init__("where", spacing_mm=(8.0, 8.0, 8.0), feature_size=4)

    def network(self):
        network = super().network()
        plain = network.forward

        def forward(windows):
            faint = (windows > 0.55) & (windows < 0.7)
            return plain(faint.float() * 0.9)

        network.forward = forward
        return network


def test_a_huge_spleen_is_found():
    scan = with_spleen(80.0, centre=(-40.0, 0.0, 0.0))  # 2.1 litres
    near, dense = _segment(scan), _segment(scan, DENSE)
    assert dice_score(near.mask, dense.mask) > 0.998
    assert near.search == "localised" and near.windows < near.windows_of_dense


def test_an_accessory_spleen_is_kept_where_all_pieces_are_wanted():
    scan = torso({tuple(SPLEEN_MM): (35.0, ORGAN_HU), (-70.0, -20.0, -90.0): (14.0, ORGAN_HU)})
    options = dataclasses.replace(EXACT, largest_component=False)
    near, dense = _segment(scan, options), _segment(scan, dataclasses.replace(options, localise=False))
    assert near.search == "localised"
    assert dice_score(near.mask, dense.mask) > 0.998
    below = scan.array.shape[0] // 2 - 18
    assert near.mask[below].any() and not _segment(scan).mask[below].any()


def test_a_spleen_cut_by_the_end_of_the_scan_is_found_and_told():
    scan = with_spleen(centre=(-70.0, -20.0, 130.0))
    near, dense = _segment(scan), _segment(scan, DENSE)
    assert near.search == "localised" and [notice.kind for notice in near.notices] == ["cut-by-edge"]
    assert dice_score(near.mask, dense.mask) > 0.998


def test_two_models_share_one_localisation_and_another_scan_is_localised_anew():
    loads, looks = [], []
    where = localiser(loads=loads)
    segmenter, scan = Segmenter(EXACT, OrganSearch(where)), with_spleen()

    def segment(volume, bundle):
        return segmenter.segment(volume, bundle, lambda stage, done, total: looks.append((stage, done)))

    def localised():
        return looks.count(("localise", 0))

    first, second = segment(scan, FINE), segment(scan, dataclasses.replace(FINE, name="other", level=0.55))
    assert localised() == 1 and loads == ["where"]
    assert first.windows == second.windows
    segment(with_spleen(centre=(60.0, 0.0, 0.0)), FINE)
    assert localised() == 2 and loads == ["where"], "the localiser stays loaded"
    segmenter.forget_scan()
    segment(scan, FINE)
    assert localised() == 3


def test_gate_maps_lie_where_they_belong_on_the_part_that_was_searched():
    bundle = dataclasses.replace(FINE, gate_names=("enc1",))
    scan = with_spleen()
    options = dataclasses.replace(EXACT, attention=("all",))
    near = _segment(scan, options, bundle).attention["enc1"]
    dense = _segment(scan, dataclasses.replace(options, localise=False), bundle).attention["enc1"]
    assert near.array.size < dense.array.size / 3
    offset = np.rint(np.linalg.inv(dense.ijk_to_ras) @ near.ijk_to_ras[:, 3]).astype(int)[:3]
    i, j, k = offset
    there = dense.array[k : k + near.size[2], j : j + near.size[1], i : i + near.size[0]]
    seen = near.array > 0
    assert seen.mean() > 0.5
    np.testing.assert_allclose(near.array[seen], there[seen], atol=1e-4)


def test_cancel_while_the_organ_is_looked_for():
    told = []
    segmenter = Segmenter(EXACT, OrganSearch(localiser()))
    with pytest.raises(Cancelled):
        segmenter.segment(with_spleen(), FINE, lambda *step: told.append(step), lambda: ("localise", 2) in _pairs(told))
    assert told[-1][:2] == ("localise", 2)


def _pairs(told):
    return [step[:2] for step in told]


AROUND = tuple((float(mm) - 45, float(mm) + 45) for mm in SPLEEN_MM)


@pytest.mark.parametrize("turn", [None, rotation(25, -10, 30)])
def test_a_region_given_in_the_patients_millimetres_replaces_the_localiser(turn):
    scan = with_spleen(rotation=turn)
    options = dataclasses.replace(EXACT, region_mm=AROUND)
    near, dense = _segment(scan, options, where=localiser(level=0.9)), _segment(scan, DENSE)
    assert near.search == "region" and near.windows < dense.windows / 2
    assert dice_score(near.mask, dense.mask) > 0.998
    assert near.notices == [] and "localise" not in near.seconds


def test_a_region_that_cuts_the_organ_is_told():
    options = dataclasses.replace(EXACT, region_mm=((-72.0, -68.0), (-22.0, -18.0), (-50.0, -45.0)))
    scan = torso({(-70.0, -20.0, z): (30.0, ORGAN_HU) for z in (-50.0, -10.0, 30.0, 70.0)})
    answer = _segment(scan, options)
    assert answer.mask.any() and "cut-by-region" in [notice.kind for notice in answer.notices]


def test_a_region_outside_the_scan_is_refused_with_where_the_scan_is():
    options = dataclasses.replace(EXACT, region_mm=((500.0, 600.0), (0.0, 10.0), (0.0, 10.0)))
    with pytest.raises(InputError, match="R 500 to 600.*R -1[0-9][0-9] to 1[0-9][0-9]") as refusal:
        _segment(with_spleen(), options)
    assert refusal.value.kind == "region" and exit_code(refusal.value) == INPUT


@pytest.mark.parametrize(
    "region",
    [((0, 1), (0, 1)), ((0, 1), (0, 1), (1, 0)), ((0, 1), (0, 1), (0, float("nan"))), ((0, 1), (0, 1), 5), "box"],
)
def test_a_region_that_is_no_box_is_refused(region):
    with pytest.raises(ValueError, match="region_mm"):
        SegmentOptions(region_mm=region)
    with pytest.raises(ValueError, match="localise"):
        SegmentOptions(localise="no")


def test_a_region_of_plain_json_is_the_same_region():
    assert SegmentOptions(region_mm=[[0, 1], [2, 3], [4, 5]]).region_mm == ((0.0, 1.0), (2.0, 3.0), (4.0, 5.0))


def test_the_result_file_says_which_way_it_took(tmp_path):
    segmenter = Segmenter(EXACT, OrganSearch(localiser()))
    result = run_job(with_spleen(), [], [FINE], EXACT, tmp_path, segmenter)
    model = result["models"][0]
    assert model["search"] == "localised" and "found" in model["search_reason"]
    assert 0 < model["windows"] < model["windows_of_dense"]


@pytest.mark.parametrize("failure", [ModelError("The weights are damaged.", ""), RuntimeError("it broke\nhere")])
def test_a_localiser_that_fails_leaves_the_whole_scan_to_the_model(monkeypatch, failure):
    def fail(*_):
        raise failure

    monkeypatch.setattr(organ_search, "localise", fail)
    scan = with_spleen()
    answer, dense = _segment(scan), _segment(scan, DENSE)
    assert answer.search == "dense" and "the localiser failed" in answer.search_reason
    assert str(failure).splitlines()[0].rstrip(".") in answer.search_reason
    np.testing.assert_array_equal(answer.mask, dense.mask)

"""A coarse map is believed where it shows one spleen, and doubted with a reason everywhere else."""

from __future__ import annotations

import numpy as np
import pytest

from agunetr.inference.localisation import Doubt, Found, localise

SPACING = (5.0, 5.0, 5.0)
SHAPE = (60, 50, 60)
MM = np.stack(np.meshgrid(*[np.arange(n) * 5.0 for n in SHAPE], indexing="ij"), axis=-1)


def _map(*organs, background=0.01):
    """A map with soft-rimmed balls: (centre mm, millilitres, probability)."""
    probability = np.full(SHAPE, background, np.float32)
    for centre, millilitres, certainty in organs:
        radius = (millilitres * 1000 * 3 / (4 * np.pi)) ** (1 / 3)
        distance = np.linalg.norm(MM - np.asarray(centre), axis=-1)
        probability = np.maximum(probability, certainty / (1 + np.exp((distance - radius) / 2.0)))
    return probability


SPLEEN = ((70.0, 120.0, 150.0), 200.0, 0.98)


def _reason(*organs, **options):
    answer = localise(_map(*organs, **options), SPACING)
    assert isinstance(answer, Doubt), answer
    return answer.reason


def test_one_spleen_is_found_with_its_rim():
    answer = localise(_map(SPLEEN), SPACING)
    assert isinstance(answer, Found)
    assert answer.volume_ml == pytest.approx(200, rel=0.1)
    assert answer.marked.shape == SHAPE and answer.marked[14, 24, 30]
    assert 200 < answer.marked.sum() * 0.125 < 320


def test_a_map_without_a_spleen_is_doubtful():
    assert "no spleen" in _reason()
    assert "no spleen" in _reason((SPLEEN[0], 200.0, 0.45))


def test_two_places_of_comparable_size_are_doubtful_and_a_small_one_is_not():
    elsewhere = (220.0, 120.0, 150.0)
    assert "two places" in _reason(SPLEEN, (elsewhere, 120.0, 0.95))
    answer = localise(_map(SPLEEN, (elsewhere, 20.0, 0.95)), SPACING)
    assert isinstance(answer, Found)
    assert answer.marked[44, 24, 30], "the small one is searched too, as the whole scan would be"
    assert answer.volume_ml < 215, "but it is not taken for a part of the spleen"


def test_an_accessory_spleen_beside_the_spleen_belongs_to_it():
    answer = localise(_map(SPLEEN, ((70.0, 120.0, 220.0), 60.0, 0.95)), SPACING)
    assert isinstance(answer, Found)
    assert answer.marked[14, 24, 44] and answer.volume_ml == pytest.approx(260, rel=0.1)


def test_crumbs_are_left_alone():
    probability = _map(SPLEEN)
    probability[50, 40, 50] = 0.9  # one voxel: an eighth of a millilitre
    answer = localise(probability, SPACING)
    assert isinstance(answer, Found) and not answer.marked[50, 40, 50]


@pytest.mark.parametrize(("millilitres", "found"), [(12, False), (40, True), (1500, True), (2200, True), (3000, False)])
def test_the_size_must_be_one_that_a_spleen_can_have(millilitres, found):
    organ = ((150.0, 125.0, 150.0), float(millilitres), 0.98)
    answer = localise(_map(organ), SPACING)
    assert isinstance(answer, Found) is found
    if not found:
        assert ("small" if millilitres < 100 else "large") in answer.reason


def test_an_unsure_map_is_doubtful():
    assert "not sure" in _reason((SPLEEN[0], 200.0, 0.65))


@pytest.mark.parametrize("centre", [(0.0, 120.0, 150.0), (295.0, 120.0, 150.0), (150.0, 0.0, 150.0)])
def test_what_reaches_the_side_of_the_scan_is_doubtful(centre):
    assert "side of the scan" in _reason((centre, 300.0, 0.98))


def test_a_spleen_cut_by_one_end_of_the_scan_is_believed_but_a_slab_is_not():
    for end in (0.0, 295.0):
        assert isinstance(localise(_map(((70.0, 120.0, end), 250.0, 0.98)), SPACING), Found)
    slab = _map(SPLEEN)[:, :, 27:33]
    answer = localise(slab, SPACING)
    assert isinstance(answer, Doubt) and "slab" in answer.reason

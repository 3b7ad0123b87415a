"""What a localiser's card says of it is what it does."""

from __future__ import annotations

import numpy as np
import pytest
from localised_models import BODY_HU, FAINT_HU, ORGAN_HU, localiser, torso, with_spleen

from agunetr_train.evaluation import localiser_scores
from agunetr_train.evaluation.localiser_scores import localisation_scores


@pytest.fixture
def scored(monkeypatch):
    """The row that a scan and its reference get."""

    class Case:
        name = "ct"

    def row(scan, label, **options):
        monkeypatch.setattr(localiser_scores, "read_case", lambda case: (scan, scan.with_array(label.astype(np.uint8))))
        return localisation_scores(localiser(**options), [("test", Case())])["localisation"][0]

    return row


def test_a_localiser_that_finds_all_leaves_nothing_out_and_saves_windows(scored):
    scan = with_spleen()
    row = scored(scan, scan.array == ORGAN_HU)
    assert (row["case"], row["answer"]) == ("ct", "found")
    assert row["share_of_organ_left_out"] < 0.02
    run, dense = map(int, row["windows_of_the_full_size_network"].split(" of "))
    assert 0 < run < dense / 3


def test_what_it_misses_is_counted_and_a_doubt_is_quoted(scored):
    scan = torso({(-70.0, -20.0, 50.0): (30.0, ORGAN_HU), (-70.0, -20.0, -40.0): (30.0, FAINT_HU)})
    row = scored(scan, scan.array > BODY_HU, level=0.75)
    assert row["share_of_organ_left_out"] == pytest.approx(0.5, abs=0.1)
    assert scored(scan, scan.array > BODY_HU, level=0.95)["answer"] == "doubt: the localiser saw no spleen"


def test_of_no_organ_nothing_can_be_left_out(scored):
    scan = with_spleen()
    assert scored(scan, np.zeros(scan.array.shape, bool))["share_of_organ_left_out"] is None

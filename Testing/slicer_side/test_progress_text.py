"""What the status line says."""

from __future__ import annotations

import pytest

from AGUNETRSegmentLib.progress_text import progressText, resultText
from AGUNETRSegmentLib.worker_client import Progress


@pytest.mark.parametrize("progress, text", [
    (Progress("windows", 0, 8), "Segmenting"),
    (Progress("compact-gated: windows", 2, 8, 39.2), "compact-gated: Segmenting, about 40 s left"),
    (Progress("windows", 1, 800, 600.0), "Segmenting, about 10 min left"),
    (Progress("windows", 8, 8, 0.0), "Segmenting"),
    (Progress("read", 0, 1), "Reading the CT"),
    (Progress("a stage of tomorrow", 0, 1), "a stage of tomorrow"),
])
def test_progress(progress, text):
    assert progressText(progress) == text


def test_the_result_names_volumes_agreement_time_and_each_warning_once():
    warning = {"kind": "cut-by-edge", "message": "The spleen is cut by the edge of the scan."}
    result = {
        "models": [{"name": "a", "volume_ml": 180.4, "warnings": [warning]},
                   {"name": "b", "volume_ml": None, "warnings": [warning]}],
        "agreement": [{"first": "a", "second": "b", "dice": 0.9712}, {"first": "a", "second": "c", "dice": None}],
        "warnings": [{"kind": "not-hu", "message": "The values do not look like HU."}],
        "seconds": {"total": 12.3}, "device": "cpu",
    }
    assert resultText(result).split("\n") == [
        "a: 180 ml", "b: 0 ml", "Dice between a and b: 0.971", "12 s on cpu",
        "Warning: The values do not look like HU.", "Warning: The spleen is cut by the edge of the scan."]

"""What the status line says."""

from __future__ import annotations

import pytest

from AGUNETRSegmentLib.progress_text import progressText, resultText
from AGUNETRSegmentLib.worker_client import Progress


@pytest.mark.parametrize("progress, text", [
    (Progress("windows", 0, 8), "Segmenting"),
    (Progress("compact-gated: windows", 2, 8, 39.2), "compact-gated: Segmenting, window 2 of 8, about 40 s left"),
    (Progress("windows", 1, 800, 600.0), "Segmenting, window 1 of 800, about 10 min left"),
    (Progress("Frame 2 of 3: a: windows", 1, 2), "Frame 2 of 3: a: Segmenting, window 1 of 2"),
    (Progress("windows", 8, 8, 0.0), "Segmenting"),
    (Progress("read", 0, 1), "Reading the CT"),
    (Progress("a stage of tomorrow", 0, 1), "a stage of tomorrow"),
])
def test_progress(progress, text):
    assert progressText(progress) == text


def result(first=180.4, second=178.2) -> dict:
    warning = {"kind": "cut-by-edge", "message": "The spleen reaches the left edge of the scan."}
    nothing = {"kind": "no-spleen", "message": "No spleen was found: the engine's reasons."}
    volumes = {"a": first, "b": second}
    return {
        "models": [{"name": name, "volume_ml": ml, "voxels": int(ml), "warnings": [warning if ml else nothing]}
                   for name, ml in volumes.items()],
        "agreement": [{"first": "a", "second": "b", "dice": 0.9712 if first and second else None}],
        "warnings": [{"kind": "not-hu", "message": "The values do not look like HU."}],
        "seconds": {"total": 12.3}, "device": "cpu",
    }


def test_the_result_is_one_sentence_and_each_warning_once():
    assert resultText(result()).split("\n") == [
        "Done in 13 s on cpu: a 180 ml, b 178 ml, Dice of a and b 0.971.",
        "Warning: The values do not look like HU.", "Warning: The spleen reaches the left edge of the scan."]


def test_what_the_user_waited_counts():
    assert resultText(result(), 100.0).startswith("Done in 2 min on cpu: ")


def test_one_model_that_found_nothing_is_named():
    assert "a 180 ml, b found no spleen." in resultText(result(second=0.0))


def test_no_spleen_at_all_is_said_once_with_likely_reasons():
    lines = resultText(result(0.0, 0.0)).split("\n")
    assert lines[0].startswith("No spleen was found: ") and "removed" in lines[0]
    assert lines[1:] == ["Warning: The values do not look like HU."]


def test_a_sequence_says_how_many_frames():
    assert "Done in 13 s on cpu: 5 frames; in the one shown, a 180 ml" in resultText({**result(), "frames": 5})

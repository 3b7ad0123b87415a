"""``agunetr segment`` lets the user say where to search, and says where it searched."""

from __future__ import annotations

import argparse
import json

import pytest

from agunetr.cli import main
from agunetr.commands.segment import add_arguments, segment_options
from agunetr.inference.segment_options import SegmentOptions


def _options(*arguments):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return SegmentOptions(**segment_options(parser.parse_args(["ct.nii.gz", "--output", "out", *arguments])))


def test_the_spleen_is_looked_for_unless_told_otherwise():
    assert _options().localise and _options().region_mm is None
    assert not _options("--no-localise").localise


def test_a_region_is_six_millimetres_below_zero_or_not():
    region = _options("--region", "-120", "-20.5", "-60", "40", "100", "250").region_mm
    assert region == ((-120.0, -20.5), (-60.0, 40.0), (100.0, 250.0))


@pytest.fixture
def segment(tiny_models, tiny_ct, tmp_path, monkeypatch):
    """Runs the command on the tiny CT, whose voxels lie from R -98 to 90, A -92 to 80 and S 300 to 495 mm."""
    monkeypatch.setenv("AGUNETR_MODELS", str(tiny_models))
    monkeypatch.setenv("AGUNETR_CACHE", str(tmp_path / "cache"))
    arguments = ["segment", str(tiny_ct), "-m", "tiny-fine", "-o", str(tmp_path / "out"), "--engine", "torch"]
    return lambda *more: main([*arguments, *map(str, more)])


def test_a_region_is_searched_alone_and_the_result_says_so(segment, tmp_path, capsys):
    assert segment("--region", -60, -40, -40, -20, 400, 420) == 0
    model = json.loads((tmp_path / "out" / "result.json").read_text(encoding="utf-8"))["models"][0]
    assert model["search"] == "region" and model["windows"] < model["windows_of_dense"]
    assert f"{model['windows']} of {model['windows_of_dense']} windows: {model['search_reason']}" in (
        capsys.readouterr().out
    )


def test_a_region_outside_the_ct_and_one_turned_round_are_refused(segment, tmp_path, capsys):
    assert segment("--region", 900, 950, 0, 1, 400, 420) != 0
    assert "outside the part of the scan" in capsys.readouterr().err
    assert segment("--region", 10, -10, 0, 1, 400, 420) != 0
    assert "region_mm must be three pairs" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()

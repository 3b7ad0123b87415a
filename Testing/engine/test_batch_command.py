"""The panel's options arrive at the engine's command line as what they are."""

from __future__ import annotations

import os

import pytest

from agunetr.cli import build_parser
from agunetr.commands.segment import segment_options
from agunetr.inference.segment_options import SegmentOptions
from AGUNETRSegmentLib.batch_command import BatchRequest


def received(**options) -> SegmentOptions:
    arguments = BatchRequest("/cts", "/out", ["a", "b"], options).arguments()
    return SegmentOptions(**segment_options(build_parser().parse_args(arguments)))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"device": "cuda:1", "engine": "torch", "precision": "exact", "overlap": 0.25, "window_batch": 3},
        {"attention": ["enc1", "enc4"], "threshold": 0.4},
        {"attention": ["all"]},
        {"localise": False, "largest_component": False, "fill_holes": False, "body_crop": False, "allow_cpu": True},
        {"localise": True, "largest_component": True, "fill_holes": True, "body_crop": True, "allow_cpu": False,
         "attention": [], "window_batch": None},
    ],
)
def test_every_option_arrives(options):
    assert received(**options) == SegmentOptions(**options)


def test_folder_output_and_models_arrive():
    request = BatchRequest("-odd folder 脾臓", "-out of it", ["a", "b"], overwrite=True)
    arguments = build_parser().parse_args([*request.arguments(), "--json"])
    assert arguments.ct == [os.path.abspath("-odd folder 脾臓")] and arguments.output == os.path.abspath("-out of it")
    assert arguments.model == ["a", "b"] and arguments.overwrite and arguments.stop_on_input and arguments.json
    assert not build_parser().parse_args(BatchRequest("f", "o", ["a"]).arguments()).overwrite


def test_an_option_without_a_place_is_not_left_out_silently():
    with pytest.raises(ValueError, match="region_mm"):
        BatchRequest("f", "o", ["a"], {"region_mm": [[0, 1]] * 3}).arguments()

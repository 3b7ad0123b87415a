"""Options of the segmenter that a row needs, and whether this version of the engine has them."""

from __future__ import annotations

import dataclasses
from typing import Any

from agunetr.inference.segmenter import SegmentOptions
from speed.rows import NotMeasured

# What an option says when it is left out: asking for just that needs no option.
WITHOUT = {"engine": ("torch", "auto"), "localise": (False,)}


def options_for(**wanted: Any) -> SegmentOptions:
    """Options of a Segment.

    Raises:
        NotMeasured: the segmenter has no such option, and leaving it out would be something else.
    """
    known = {field.name for field in dataclasses.fields(SegmentOptions)}
    for name in [name for name in wanted if name not in known]:
        value = wanted.pop(name)
        if value not in WITHOUT.get(name, ()):
            raise NotMeasured(f"This version of the segmenter has no option {name!r}.")
    return SegmentOptions(**wanted)

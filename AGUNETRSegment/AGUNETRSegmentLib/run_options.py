"""The panel's options become the engine's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .parameters import GATES
from .region_option import regionOption


def engineOptions(parameterNode, models: Sequence[Mapping]) -> dict:
    """The fields of the engine's options that the parameter node decides.

    :param parameterNode: the scene's parameter node.
    :param models: the worker's entries of the models that will run.
    :raises SegmentationError: the region has no size yet.
    """
    chosen = parameterNode.options
    options = {
        "device": chosen.device,
        "precision": chosen.precision.value,
        "overlap": chosen.overlapPercent / 100,
        "localise": chosen.localise,
        "allow_cpu": chosen.allowCpu,
        "largest_component": chosen.largestComponent,
        "fill_holes": chosen.fillHoles,
        "attention": wantedGates(chosen, models),
    }
    if parameterNode.region:
        options["region_mm"] = regionOption(parameterNode.region)
    return options


def wantedGates(chosen, models: Sequence[Mapping]) -> list[str]:
    """The gates whose maps are wanted, as far as one of the models has them: the engine refuses any other.

    :param chosen: the pack RunOptions.
    """
    wanted = dict(zip(GATES, (chosen.mapEnc1, chosen.mapEnc2, chosen.mapEnc3, chosen.mapEnc4), strict=True))
    present = dict.fromkeys(gate for model in models for gate in model.get("gates", []))
    return [gate for gate in present if wanted.get(gate, True)]

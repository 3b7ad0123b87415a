"""What the panel remembers in the scene, in packs: one a section, its widgets bound by ``SlicerParameterName``.

The module file's ``AGUNETRSegmentParameterNode`` holds the packs. A scene that was saved with fewer fields than a pack
has now cannot be read by Slicer's parameter nodes, so a field that is added later belongs into a pack of its own.
"""

from __future__ import annotations

import enum
from typing import Annotated

from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.parameterNodeWrapper import WithinRange, parameterPack

from .translation import _

GATES = ("enc1", "enc2", "enc3", "enc4")
AUTOMATIC = "auto"


class Precision(enum.Enum):
    """How exactly the networks compute; the values are the engine's words."""

    AUTO = "auto"
    EXACT = "exact"
    FAST = "fast"

    def label(self) -> str:
        """What the user reads."""
        return {
            Precision.AUTO: _("Automatic"),
            Precision.EXACT: _("Exact (32 bit)"),
            Precision.FAST: _("Fast (16 bit)"),
        }[self]


@parameterPack
class RunOptions:
    """How a run is done.

    device - the engine's name of where to compute; free text, since the machine says what there is.
    precision - see Precision.
    overlapPercent - how much of a window its neighbours have in common.
    localise - look for the spleen first and segment only there, where that can be trusted.
    allowCpu - go on on the CPU where the memory of the GPU does not suffice.
    largestComponent, fillHoles - the clean-up of the masks.
    surface - make surfaces for the 3D view.
    mapEnc1 ... mapEnc4 - whose attention maps are wanted; gates that no ticked model has do not matter.
    """

    device: str = AUTOMATIC
    precision: Precision = Precision.AUTO
    overlapPercent: Annotated[int, WithinRange(0, 90)] = 50
    localise: bool = True
    allowCpu: bool = False
    largestComponent: bool = True
    fillHoles: bool = True
    surface: bool = True
    mapEnc1: bool = True
    mapEnc2: bool = True
    mapEnc3: bool = True
    mapEnc4: bool = True


class SegmentStyle(enum.Enum):
    """How compared segmentations are drawn in slices."""

    OUTLINE = "outline"
    FILL = "fill"

    def label(self) -> str:
        """What the user reads."""
        return {SegmentStyle.OUTLINE: _("Outline"), SegmentStyle.FILL: _("Filled")}[self]


@parameterPack
class CompareOptions:
    """Which two segmentations are compared, and how they are shown side by side.

    style - see SegmentStyle.
    difference - also mark what only one of them marks.
    first, second - the segmentations of the left and of the right column.
    """

    style: SegmentStyle = SegmentStyle.OUTLINE
    difference: bool = True
    first: vtkMRMLSegmentationNode
    second: vtkMRMLSegmentationNode


class AttentionColours(enum.Enum):
    """In which colours an attention map is shown; the values are those of attention_nodes.COLOUR_IDS."""

    INFERNO = "inferno"
    VIRIDIS = "viridis"
    RAINBOW = "rainbow"
    GREY = "grey"

    def label(self) -> str:
        """What the user reads."""
        return {
            AttentionColours.INFERNO: _("Inferno"),
            AttentionColours.VIRIDIS: _("Viridis"),
            AttentionColours.RAINBOW: _("Rainbow"),
            AttentionColours.GREY: _("Grey"),
        }[self]


class AttentionViews(enum.Enum):
    """Which slice views show an attention map."""

    ALL = "all"
    OWN = "own"

    def label(self) -> str:
        """What the user reads."""
        return {
            AttentionViews.ALL: _("All slice views"),
            AttentionViews.OWN: _("Only its model's views"),
        }[self]


@parameterPack
class AttentionOptions:
    """How an attention map is laid over the slices.

    shown - whether it is.
    map - the map of one gate.
    views, colours - see AttentionViews, AttentionColours.
    opacity - 0 shows only the CT, 1 only the map.
    threshold - values below are transparent.
    legend - show which colour is which value.
    stretched - spread the colours over the values of this map instead of 0 to 1.
    """

    shown: bool = False
    map: vtkMRMLScalarVolumeNode
    views: AttentionViews = AttentionViews.ALL
    colours: AttentionColours = AttentionColours.INFERNO
    opacity: Annotated[float, WithinRange(0, 1)] = 0.5
    threshold: Annotated[float, WithinRange(0, 1)] = 0.0
    legend: bool = True
    stretched: bool = True


@parameterPack
class BatchOptions:
    """Which folder of CTs is segmented, and where the results go.

    inputFolder, outputFolder - paths, empty where none was chosen: an empty pathlib.Path would be the current folder.
    overwrite - segment finished cases again.
    """

    inputFolder: str = ""
    outputFolder: str = ""
    overwrite: bool = False

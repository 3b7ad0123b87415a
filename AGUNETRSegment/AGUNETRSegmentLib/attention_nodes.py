"""Gate attention maps as scalar volume nodes, and the colour maps that they can be shown in."""

from __future__ import annotations

import numpy as np
import slicer
import slicer.util

# Of each the application's own first; the bare core carries no colour files, but builds "Iron" and others itself.
COLOUR_IDS = {
    "inferno": ("vtkMRMLColorTableNodeFileInferno.txt", "vtkMRMLColorTableNodeIron"),
    "viridis": ("vtkMRMLColorTableNodeFileViridis.txt", "vtkMRMLColorTableNodeOcean"),
    "rainbow": ("vtkMRMLColorTableNodeReverseRainbow", "vtkMRMLColorTableNodeRainbow"),
    "grey": ("vtkMRMLColorTableNodeGrey",),
}
HEAT = "inferno"


def colourId(scene, name: str) -> str | None:
    """The id of the colour node for a colour map of :data:`COLOUR_IDS`; None where the scene has no colour nodes."""
    return next((candidate for candidate in COLOUR_IDS[name] if scene.GetNodeByID(candidate)), None)


def valueRange(mapNode) -> tuple[float, float]:
    """Between which values nearly all voxels of a map lie (2nd and 98th percentile); (0, 1) where all are alike."""
    values = slicer.util.arrayFromVolume(mapNode)[::2, ::2, ::2]  # enough for a scale, and quick
    low, high = (float(value) for value in np.percentile(values, (2, 98)))
    return (low, high) if high - low > 1e-3 else (0.0, 1.0)


def addAttentionVolume(scene, volumeNode, name: str):
    """Add an attention map to the scene: coloured on a fixed scale of 0 to 1, shown in no view yet.

    :param volumeNode: the map, outside any scene, already placed.
    :param name: the node's name, already unique.
    :returns: the node.
    """
    volumeNode.SetName(name)
    displayNode = slicer.vtkMRMLScalarVolumeDisplayNode()
    # A fixed scale, so that maps of different gates, models and patients can be compared by eye.
    displayNode.SetAutoWindowLevel(False)
    displayNode.SetWindowLevelMinMax(0.0, 1.0)
    heat = colourId(scene, HEAT)
    if heat:
        displayNode.SetAndObserveColorNodeID(heat)
    scene.AddNode(displayNode)
    volumeNode.SetAndObserveDisplayNodeID(displayNode.GetID())
    scene.AddNode(volumeNode)  # last: whatever changes in a volume of the scene, all views look at it anew
    return volumeNode

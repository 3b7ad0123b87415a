"""Gate attention maps become scalar volume nodes with a heat colour map, ready to overlay."""

from __future__ import annotations

import slicer

# Perceptually even and part of the application; the bare core carries no colour files, but builds "Iron" itself.
HEAT_COLOUR_IDS = ("vtkMRMLColorTableNodeFileInferno.txt", "vtkMRMLColorTableNodeIron")


def addAttentionVolume(scene, volumeNode, name: str):
    """Add an attention map to the scene: coloured on a fixed scale of 0 to 1, shown in no view yet.

    :param volumeNode: the map, outside any scene, already placed.
    :param name: the node's name, already unique.
    :returns: the node.
    """
    volumeNode.SetName(name)
    scene.AddNode(volumeNode)
    displayNode = slicer.vtkMRMLScalarVolumeDisplayNode()
    # A fixed scale, so that maps of different gates, models and patients can be compared by eye.
    displayNode.SetAutoWindowLevel(False)
    displayNode.SetWindowLevelMinMax(0.0, 1.0)
    scene.AddNode(displayNode)
    colourId = next((colourId for colourId in HEAT_COLOUR_IDS if scene.GetNodeByID(colourId)), None)
    if colourId:
        displayNode.SetAndObserveColorNodeID(colourId)
    volumeNode.SetAndObserveDisplayNodeID(displayNode.GetID())
    return volumeNode

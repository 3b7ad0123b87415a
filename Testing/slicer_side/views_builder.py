"""What the tests of the views share: a scene with the application's views and layouts, and results of two models."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import numpy as np
import slicer
import slicer.util
from bare_slicer import newScene
from scene_builder import addVolume, orientationMatrix

from AGUNETRSegmentLib.attention_nodes import addAttentionVolume
from AGUNETRSegmentLib.result_sets import GATE, INPUT_ROLE, MODEL, RUN
from AGUNETRSegmentLib.segmentation_nodes import addSegmentation

SHAPE = (20, 30, 40)
FOUR_UP = 3


def sceneWithViews():
    """A scene as in a running application: a layout node, slice views with their layers, a 3D view with its camera."""
    scene = newScene()
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene)
    layoutLogic = slicer.vtkMRMLLayoutLogic()
    layoutLogic.SetMRMLScene(scene)
    scene.GetFirstNodeByClass("vtkMRMLLayoutNode").SetViewArrangement(FOUR_UP)
    scene.keptAlive.append(layoutLogic)
    for name in ("Red", "Yellow", "Green"):
        compositeNode = slicer.vtkMRMLSliceCompositeNode()
        compositeNode.SetLayoutName(name)
        scene.AddNode(compositeNode)
    return scene


def addResult(scene, volumeNode, model: str, mask, run: str = "20260101T000000.000000Z"):
    """A segmentation as a run leaves it."""
    node = addSegmentation(scene, mask.astype(np.uint8), volumeNode, f"CT {model} spleen", surface=False)
    node.SetAttribute(MODEL, model)
    node.SetAttribute(RUN, run)
    node.SetNodeReferenceID(INPUT_ROLE, volumeNode.GetID())
    return node


def addMap(scene, volumeNode, model: str = "gated", gate: str = "enc1", run: str = "20260101T000000.000000Z"):
    """An attention map as a run leaves it."""
    node = slicer.vtkMRMLScalarVolumeNode()
    slicer.util.updateVolumeFromArray(node, np.linspace(0, 1, 120, dtype=np.float32).reshape(4, 5, 6))
    node.CopyOrientation(volumeNode)
    node = addAttentionVolume(scene, node, f"CT {model} attention {gate}")
    node.SetAttribute(MODEL, model)
    node.SetAttribute(GATE, gate)
    node.SetAttribute(RUN, run)
    node.SetNodeReferenceID(INPUT_ROLE, volumeNode.GetID())
    return node


def twoMasks() -> tuple[np.ndarray, np.ndarray]:
    """Two overlapping blocks; the first has 60 voxels alone in one region, the second 36 and 8 in two."""
    first, second = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    first[5:10, 5:15, 10:20] = second[5:10, 5:15, 10:20] = True
    second[5:10, 5:11, 10:12] = False
    second[5:8, 5:9, 20:23] = True
    second[15:17, 20:22, 30:32] = True
    return first, second


def comparedScene():
    """A scene with a CT and the results of a base and a gated model."""
    scene = sceneWithViews()
    volumeNode = addVolume(scene, orientationMatrix((0, 1, 2), (-1, -1, 1), (1.0, 1.0, 2.0)), SHAPE)
    first, second = twoMasks()
    return scene, volumeNode, addResult(scene, volumeNode, "base", first), addResult(scene, volumeNode, "gated", second)


def sceneText(scene) -> dict[str, str]:
    """Every node as a scene file holds it, by id; without the views of the comparison, which stay as Slicer's do."""
    scene.SetSaveToXMLString(1)
    saved = {}
    hidden = [node for node in allNodes(scene) if not node.GetSaveWithScene()]
    try:
        for node in hidden:
            node.SetSaveWithScene(True)
        assert scene.Commit()
    finally:
        for node in hidden:
            node.SetSaveWithScene(False)
        scene.SetSaveToXMLString(0)
    for element in ElementTree.fromstring(scene.GetSceneXMLString()):
        saved[element.get("id")] = ElementTree.tostring(element, encoding="unicode").strip()
    for node in hidden:
        saved[node.GetID()] += " is not saved"
    # The views' own nodes and the slices that Slicer makes for the 3D view.
    own = [node.GetID() for node in allNodes(scene) if _isOfOurViews(node)]
    return {key: text for key, text in saved.items() if key not in own}


def _isOfOurViews(node) -> bool:
    texts = [node.GetID(), node.GetName() or "", node.GetDescription() or ""]
    return any(name in text for name in ("AGUNETRFirst", "AGUNETRSecond") for text in texts)


def allNodes(scene) -> list:
    """Every node of the scene."""
    return [scene.GetNthNode(index) for index in range(scene.GetNumberOfNodes())]

"""An attention map laid over slice views, and the views as they were again.

.. code-block:: python

    overlay = AttentionView(slicer.mrmlScene)
    overlay.show(mapNode, sliceCompositeNodes(slicer.mrmlScene), OverlayStyle(opacity=0.5))
    overlay.hide()

What the slice views and the map's display were like is remembered in the scene. A scene that is saved while a map is
shown shows it again when it is opened, and the map can be taken off then, too.
"""

from __future__ import annotations

from dataclasses import dataclass

import slicer

from .attention_nodes import HEAT, colourId, valueRange
from .result_sets import GATE, MODEL
from .view_state import RememberedState

MAP_ROLE = "map"
LEGEND_ROLE = "legend"
ALPHA_BLENDING = 0  # vtkMRMLSliceCompositeNode.Alpha


@dataclass(frozen=True)
class OverlayStyle:
    """How the map is drawn.

    :ivar opacity: 0 shows only the CT, 1 only the map.
    :ivar threshold: values below are transparent; 0: none are.
    :ivar colours: a key of :data:`.attention_nodes.COLOUR_IDS`.
    :ivar legend: show which colour is which value, where the application can.
    :ivar stretched: spread the colours over the values of this map, see :func:`.attention_nodes.valueRange`; else they
      stand for 0 to 1, so that maps can be compared by eye.
    """

    opacity: float = 0.5
    threshold: float = 0.0
    colours: str = HEAT
    legend: bool = True
    stretched: bool = False


class AttentionView:
    """Lays one map over slice views; there is one overlay at most in a scene.

    :param scene: the MRML scene.
    """

    def __init__(self, scene) -> None:
        self.scene = scene
        self.memory = RememberedState(scene, "attention")

    @property
    def shown(self) -> bool:
        """Whether there is something to take off."""
        return self.memory.active

    @property
    def mapNode(self):
        """The map that is shown, None where there is none or where it was deleted."""
        memory = self.memory.node
        return memory.GetNodeReference(MAP_ROLE) if memory else None

    def show(self, mapNode, compositeNodes, style: OverlayStyle | None = None) -> None:
        """Lay a map over slice views; another map, other views or another style take the place of the present ones.

        :param mapNode: the map's volume node.
        :param compositeNodes: the layers of the slice views that are to show it.
        """
        style = style or OverlayStyle()
        previous = self.mapNode
        memory = self.memory.begin()
        if previous is not mapNode:
            self._restoreDisplay()
        for node in self._composites():
            if node not in compositeNodes:
                self._release(node, previous)
        memory.SetNodeReferenceID(MAP_ROLE, mapNode.GetID())
        self._style(mapNode, style)
        for node in compositeNodes:
            wasModifying = node.StartModify()
            self.memory.set(node, "ForegroundVolumeID", mapNode.GetID())
            self.memory.set(node, "ForegroundOpacity", style.opacity)
            self.memory.set(node, "Compositing", ALPHA_BLENDING)
            node.EndModify(wasModifying)
        self._showLegend(mapNode, style.legend)

    def hide(self) -> None:
        """Take the map off; every view is as it was. Without a map nothing happens."""
        if not self.memory.active:
            return
        shown = self.mapNode
        for node in self._composites():
            self._release(node, shown)
        self._restoreDisplay()
        self.memory.restore()

    def _composites(self) -> list:
        return [node for node in self.memory.nodes() if node.IsA("vtkMRMLSliceCompositeNode")]

    def _release(self, compositeNode, shown) -> None:
        """Put a view back, unless the user chose another foreground meanwhile."""
        foreground = compositeNode.GetForegroundVolumeID()
        ours = not foreground or (shown is not None and foreground == shown.GetID())
        self.memory.forgetNode(compositeNode, putBack=ours)

    def _style(self, mapNode, style: OverlayStyle) -> None:
        if mapNode.GetDisplayNode() is None:
            mapNode.CreateDefaultDisplayNodes()
        displayNode = mapNode.GetDisplayNode()
        wasModifying = displayNode.StartModify()
        colours = colourId(self.scene, style.colours)
        if colours:
            self.memory.set(displayNode, "ColorNodeID", colours)
        low, high = valueRange(mapNode) if style.stretched else (0.0, 1.0)
        self.memory.set(displayNode, "AutoWindowLevel", 0)
        self.memory.set(displayNode, "Window", high - low)
        self.memory.set(displayNode, "Level", (high + low) / 2)
        self.memory.set(displayNode, "AutoThreshold", 0)
        self.memory.set(displayNode, "LowerThreshold", float(style.threshold))
        self.memory.set(displayNode, "UpperThreshold", 2.0)  # above every value of a gate
        self.memory.set(displayNode, "ApplyThreshold", int(style.threshold > 0))
        displayNode.EndModify(wasModifying)

    def _showLegend(self, mapNode, visible: bool) -> None:
        memory = self.memory.node
        legend = memory.GetNodeReference(LEGEND_ROLE)
        if legend is None and visible:
            legend = _newLegend(mapNode)
            if legend is None:
                return
            memory.SetNodeReferenceID(LEGEND_ROLE, legend.GetID())
        if legend:
            legend.SetVisibility(visible)

    def _restoreDisplay(self) -> None:
        memory = self.memory.node
        legend = memory.GetNodeReference(LEGEND_ROLE)
        if legend:
            memory.RemoveNodeReferenceIDs(LEGEND_ROLE)
            self.scene.RemoveNode(legend)
        for node in self.memory.nodes():
            if node.IsA("vtkMRMLVolumeDisplayNode"):
                self.memory.restoreNode(node)


def sliceCompositeNodes(scene) -> list:
    """The layers of every slice view."""
    count = scene.GetNumberOfNodesByClass("vtkMRMLSliceCompositeNode")
    return [scene.GetNthNodeByClass(index, "vtkMRMLSliceCompositeNode") for index in range(count)]


def _newLegend(mapNode):
    """A colour legend; None where the application has none, or where the user already added one to this map."""
    logicClass = getattr(slicer, "vtkSlicerColorLogic", None)
    if not hasattr(logicClass, "AddDefaultColorLegendDisplayNode"):
        return None
    known = mapNode.GetScene().GetTagByClassName("vtkMRMLColorLegendDisplayNode")
    if not known or logicClass.GetColorLegendDisplayNode(mapNode):
        return None
    legend = logicClass.AddDefaultColorLegendDisplayNode(mapNode)
    if legend:
        model, gate = mapNode.GetAttribute(MODEL), mapNode.GetAttribute(GATE)
        legend.SetTitleText(f"{model} {gate}" if model and gate else mapNode.GetName())
        legend.SetLabelFormat("%.2f")
        legend.SetNumberOfLabels(6)
        legend.SetUseColorNamesForLabels(False)
        # Small and at the left edge: by default it is large and lies where the spleen does.
        legend.SetSize(0.12, 0.35)
        legend.SetPosition(0.02, 0.6)
    return legend

"""A layout with the two charts over the slice views, and the way back to the layout before."""

from __future__ import annotations

import slicer

from AGUNETRSegmentLib.comparison_layout import layoutNodeOf
from AGUNETRSegmentLib.errors import SegmentationError
from AGUNETRSegmentLib.translation import _
from AGUNETRSegmentLib.view_state import RememberedState

from .curve_nodes import DICE, LOSS, CurveNodes

LAYOUT_ID = 47220  # beside the comparison's, see AGUNETRSegmentLib.comparison_layout
VIEW_NAMES = {LOSS: "AGUNETRLoss", DICE: "AGUNETRDice"}
PURPOSE = "curves"

_PLOT = """<item><view class="vtkMRMLPlotViewNode" singletontag="{name}">
 <property name="viewlabel" action="default">{label}</property>
</view></item>"""
_SLICE = """<item><view class="vtkMRMLSliceNode" singletontag="{name}"/></item>"""


def layoutDescription() -> str:
    """The layout as Slicer's layout node reads it."""
    plots = "".join(
        _PLOT.format(name=name, label=label)
        for name, label in zip(VIEW_NAMES.values(), ("L", "D"), strict=True))
    slices = "".join(_SLICE.format(name=name) for name in ("Red", "Green", "Yellow"))
    rows = "".join(f'<item><layout type="horizontal" split="true">{row}</layout></item>' for row in (plots, slices))
    return f'<layout type="vertical" split="true">{rows}</layout>'


class CurveLayout:
    """Shows the charts in views of their own.

    :param scene: the MRML scene.
    """

    def __init__(self, scene) -> None:
        self._scene = scene
        self._memory = RememberedState(scene, PURPOSE)

    @property
    def shown(self) -> bool:
        """Whether the layout is the shown one."""
        node = self._scene.GetFirstNodeByClass("vtkMRMLLayoutNode")
        return node is not None and node.GetViewArrangement() == LAYOUT_ID

    def show(self, curves: CurveNodes) -> None:
        """Show the charts of *curves*; the layout before is remembered.

        :raises SegmentationError: kind ``views``, where the application has no views.
        """
        layoutNode = layoutNodeOf(self._scene)
        if not layoutNode.AddLayoutDescription(LAYOUT_ID, layoutDescription()):
            layoutNode.SetLayoutDescription(LAYOUT_ID, layoutDescription())
        if not self.shown:
            self._memory.forgetNode(layoutNode)  # the user left it by himself: what he chose is the layout before
            self._memory.set(layoutNode, "ViewArrangement", LAYOUT_ID)
        for kind, name in VIEW_NAMES.items():
            view = self._scene.GetSingletonNode(name, "vtkMRMLPlotViewNode")
            if view is None:
                raise SegmentationError(
                    "views", _("The views of the curves could not be made."), _("Select another layout and try again."))
            view.SetSaveWithScene(False)
            view.SetPlotChartNodeID(curves.chart(kind).GetID())

    def hide(self) -> None:
        """Put the layout before back, unless the user chose another one meanwhile."""
        if not self.shown:
            return
        self._memory.restore()
        if self.shown:  # the scene that remembered it was closed
            layoutNodeOf(self._scene).SetViewArrangement(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)

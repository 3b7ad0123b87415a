"""The views of the comparison: a column for each of two segmentations, axial slices on top, 3D below."""

from __future__ import annotations

from dataclasses import dataclass

import slicer

from .errors import SegmentationError
from .translation import _

# Above Slicer's own numbers, which end at 100, and above those that extensions usually take (501, 701, ...).
LAYOUT_ID = 47210
# Links the two columns with each other and with no other view.
VIEW_GROUP = 4721
VIEW_NAMES = ("AGUNETRFirst", "AGUNETRSecond")
# Blue and orange are told apart in every form of colour blindness (palette of Okabe and Ito).
SIDE_COLOURS = ((0.0, 114 / 255, 178 / 255), (230 / 255, 159 / 255, 0.0))

_SLICE = """<item><view class="vtkMRMLSliceNode" singletontag="{name}">
 <property name="orientation" action="default">Axial</property>
 <property name="viewlabel" action="default">{label}</property>
 <property name="viewcolor" action="default">{colour}</property>
 <property name="viewgroup" action="default">{group}</property>
</view></item>"""
_VIEW = """<item><view class="vtkMRMLViewNode" singletontag="{name}">
 <property name="viewlabel" action="default">{label}</property>
 <property name="viewgroup" action="default">{group}</property>
</view></item>"""


@dataclass(frozen=True)
class Column:
    """The views of one segmentation: slice view, its layers, and 3D view."""

    sliceNode: object
    compositeNode: object
    viewNode: object

    def viewIds(self) -> list[str]:
        """The ids of the views that can show a segmentation."""
        return [self.sliceNode.GetID(), self.viewNode.GetID()]


def layoutDescription() -> str:
    """The layout as Slicer's layout node reads it."""
    rows = []
    for template in (_SLICE, _VIEW):
        views = "".join(
            template.format(name=name, label=number + 1, colour=_hexColour(SIDE_COLOURS[number]), group=VIEW_GROUP)
            for number, name in enumerate(VIEW_NAMES)
        )
        rows.append(f'<item><layout type="horizontal" split="true">{views}</layout></item>')
    return f'<layout type="vertical" split="true">{"".join(rows)}</layout>'


def layoutNodeOf(scene):
    """The node that says which layout is shown.

    :raises SegmentationError: kind ``views``, where the application has no views.
    """
    layoutNode = scene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    if layoutNode is None:
        raise SegmentationError(
            "views", _("There are no views to compare in."), _("Start Slicer with its main window."))
    return layoutNode


def registerLayout(layoutNode) -> None:
    """Make the layout known; a second time changes nothing."""
    if not layoutNode.AddLayoutDescription(LAYOUT_ID, layoutDescription()):
        layoutNode.SetLayoutDescription(LAYOUT_ID, layoutDescription())


def columns(scene) -> list[Column]:
    """The views of the layout, which must have been shown once.

    They stay in the scene as Slicer's own views do, but are not saved with it.

    :raises SegmentationError: kind ``views``, where the application did not make them.
    """
    found = []
    for name in VIEW_NAMES:
        sliceNode = scene.GetSingletonNode(name, "vtkMRMLSliceNode")
        viewNode = scene.GetSingletonNode(name, "vtkMRMLViewNode")
        if sliceNode is None or viewNode is None:
            raise SegmentationError(
                "views", _("The views of the comparison could not be made."), _("Select another layout and try again."))
        compositeNode = slicer.vtkMRMLSliceLogic.GetSliceCompositeNode(sliceNode)
        if compositeNode is None:
            compositeNode = slicer.vtkMRMLSliceCompositeNode()
            compositeNode.SetLayoutName(name)
            compositeNode = scene.AddNode(compositeNode)
        for node in (sliceNode, compositeNode, viewNode):
            node.SetSaveWithScene(False)
        found.append(Column(sliceNode, compositeNode, viewNode))
    return found


def ordinaryViewIds(scene) -> list[str]:
    """The ids of all slice and 3D views that are not the comparison's."""
    ids = []
    for className in ("vtkMRMLSliceNode", "vtkMRMLViewNode"):
        for index in range(scene.GetNumberOfNodesByClass(className)):
            node = scene.GetNthNodeByClass(index, className)
            if node.GetLayoutName() not in VIEW_NAMES:
                ids.append(node.GetID())
    return ids


def aimCamera(scene, viewNode, bounds) -> None:
    """Let a 3D view show world bounds from the front; its camera is not saved with the scene."""
    cameraNode = scene.GetSingletonNode(viewNode.GetLayoutName(), "vtkMRMLCameraNode")
    if cameraNode is None:  # the view takes the one that is there when it is drawn first
        cameraNode = slicer.vtkMRMLCameraNode()
        cameraNode.SetLayoutName(viewNode.GetLayoutName())
        cameraNode = scene.AddNode(cameraNode)
    cameraNode.SetSaveWithScene(False)
    centre = centreOf(bounds)
    extent = max(bounds[2 * axis + 1] - bounds[2 * axis] for axis in range(3))
    cameraNode.SetFocalPoint(centre)
    cameraNode.SetPosition([centre[0], centre[1] + 3.0 * extent, centre[2]])  # in front of the patient
    cameraNode.SetViewUp([0.0, 0.0, 1.0])
    cameraNode.ResetClippingRange()


def centreOf(bounds) -> list[float]:
    """The middle of bounds (least and greatest of each axis in turn)."""
    return [(bounds[2 * axis] + bounds[2 * axis + 1]) / 2 for axis in range(3)]


def _hexColour(colour) -> str:
    return "#" + "".join(f"{round(part * 255):02x}" for part in colour)

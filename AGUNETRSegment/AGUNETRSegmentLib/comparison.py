"""Two segmentations side by side: each in its own column of linked views, and back to what was shown before.

.. code-block:: python

    comparison = Comparison(slicer.mrmlScene, slicer.app.applicationLogic())
    comparison.start(firstSegmentationNode, secondSegmentationNode)
    comparison.setOutline(False)
    comparison.leave()

Whatever is changed for the comparison is remembered in the scene and put back by :meth:`Comparison.leave`: the layout,
which views show which segmentation, and how. Choosing another layout, deleting a compared segmentation or closing the
scene leaves the comparison, too.

A scene that is saved meanwhile opens everywhere in the layout that is shown there: the comparison's views and its
layout are not written, and the segmentations stay visible in all other views. The memory is written, so that
the module, once it is opened, resumes the comparison and can leave it.
"""

from __future__ import annotations

import slicer
import vtk

from .comparison_layout import (
    LAYOUT_ID,
    SIDE_COLOURS,
    aimCamera,
    centreOf,
    columns,
    layoutNodeOf,
    ordinaryViewIds,
    registerLayout,
)
from .errors import SegmentationError
from .result_pairs import volumeOf
from .result_sets import MODEL, RUN
from .translation import _
from .view_state import RememberedState

SIDE_ROLES = ("first", "second")
DIFFERENCE = "AGUNETR.difference"


class Comparison:
    """Shows and leaves the comparison; there is one at most in a scene.

    :param scene: the MRML scene.
    :param applicationLogic: gives the slice logics that fit a CT into its views; None: views are not fitted.
    :param changed: called without arguments after the comparison began or ended, whoever ended it.
    """

    def __init__(self, scene, applicationLogic=None, changed=None) -> None:
        self.scene = scene
        self.memory = RememberedState(scene, "comparison")
        self._applicationLogic = applicationLogic
        self._changed = changed or (lambda: None)
        self._observations = []
        self._leaving = False
        if self.memory.active:
            self._observe()

    @property
    def begun(self) -> bool:
        """Whether there is something to put back, also in a scene that was saved while comparing."""
        return self.memory.active

    @property
    def shown(self) -> bool:
        """Whether the comparison is what the views show."""
        layoutNode = self.scene.GetFirstNodeByClass("vtkMRMLLayoutNode")
        return len(self.nodes) == 2 and layoutNode is not None and layoutNode.GetViewArrangement() == LAYOUT_ID

    @property
    def arrangementBefore(self) -> int:
        """The number of the layout that leaving puts back; the four-up view where nothing is remembered."""
        layoutNode = self.scene.GetFirstNodeByClass("vtkMRMLLayoutNode")
        usual = slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView
        return self.memory.before(layoutNode, "ViewArrangement", usual) if layoutNode else usual

    @property
    def nodes(self) -> list:
        """The compared segmentation nodes: two, or fewer where one was deleted."""
        memory = self.memory.node
        found = [memory.GetNodeReference(role) for role in SIDE_ROLES] if memory else []
        return [node for node in found if node]

    @property
    def volumeNode(self):
        """The CT that both stand on, None where it was deleted."""
        return volumeOf(*self.nodes)

    @property
    def names(self) -> list[str]:
        """What the compared segmentations are called: their models, or the nodes' names where that would not do."""
        models = [node.GetAttribute(MODEL) for node in self.nodes]
        distinct = all(models) and len(set(models)) == len(models)
        return models if distinct else [node.GetName() for node in self.nodes]

    def start(self, firstNode, secondNode, outline: bool = True) -> None:
        """Show two segmentations side by side; another pair takes the place of the one that is shown.

        :param outline: draw outlines in the slices, else filled areas.
        :raises SegmentationError: kind ``input`` or ``views``; nothing is changed then.
        """
        self._check(firstNode, secondNode)
        layoutNode = layoutNodeOf(self.scene)
        if self.nodes != [firstNode, secondNode]:
            self._putBackSegmentations()
        self._unobserve()
        try:
            self._show(layoutNode, firstNode, secondNode, outline)
        except Exception:
            self.memory.restore()
            self._changed()
            raise
        self._observe()
        self._changed()

    def resume(self, outline: bool = True) -> None:
        """Show the comparison of a scene that was saved meanwhile; where a segmentation is gone, leave it."""
        nodes = self.nodes
        if len(nodes) == 2:
            # Leaving gives back the layout of today, not that of the day when the scene was saved.
            self.memory.forgetNode(layoutNodeOf(self.scene))
            self.start(*nodes, outline)
        else:
            self.leave()

    def setOutline(self, outline: bool) -> None:
        """Draw outlines in the slices, else filled areas."""
        for node in self.nodes:
            for displayNode in _displayNodes(node):
                self.memory.set(displayNode, "Visibility2DOutline", True)
                self.memory.set(displayNode, "Visibility2DFill", not outline)

    def leave(self) -> None:
        """Put everything back as it was before :meth:`start`; without a comparison nothing happens."""
        if self._leaving or not self.memory.active:
            return
        self._leaving = True  # putting the layout back is seen by the observer of the layout
        try:
            self._unobserve()
            layoutNode = self.scene.GetFirstNodeByClass("vtkMRMLLayoutNode")
            if layoutNode and layoutNode.GetViewArrangement() != LAYOUT_ID:
                saved = self.memory.before(layoutNode, "SaveWithScene", 1)
                self.memory.forgetNode(layoutNode)  # the user chose that layout
                layoutNode.SetSaveWithScene(saved)
            elif layoutNode:
                layoutNode.RemoveAllMaximizedViewNodes()  # a view of ours would fill the window in every layout
            self.memory.restore()
        finally:
            self._leaving = False
        self._changed()

    def close(self) -> None:
        """Stop watching the scene; what is shown stays, and the next Comparison of the scene can leave it."""
        self._unobserve()

    def frame(self) -> None:
        """Fit the CT into the slice views, and both views and cameras to the segmentations.

        Called once more when the window has given the views their size.
        """
        if not self.shown:
            return
        bounds = self._bounds()
        for column in columns(self.scene):
            logic = self._applicationLogic.GetSliceLogic(column.sliceNode) if self._applicationLogic else None
            if logic:
                logic.FitSliceToBackground()
            if bounds:
                column.sliceNode.JumpSliceByOffsetting(*centreOf(bounds))
                aimCamera(self.scene, column.viewNode, bounds)

    def hideOthers(self) -> None:
        """Keep all segmentations but the compared ones out of the comparison's views; for those that came since."""
        own = [viewId for column in columns(self.scene) for viewId in column.viewIds()]
        for node in _segmentations(self.scene):
            if node not in self.nodes and not node.GetAttribute(DIFFERENCE):
                self._allowViews(node, [], own)

    def columnOf(self, node):
        """The column that shows the segmentation of the same model and run as *node*; None where none does."""
        if not self.shown:
            return None
        wanted = node.GetAttribute(MODEL), node.GetAttribute(RUN)
        for column, compared in zip(columns(self.scene), self.nodes, strict=False):
            if (compared.GetAttribute(MODEL), compared.GetAttribute(RUN)) == wanted:
                return column
        return None

    def _check(self, firstNode, secondNode) -> None:
        if firstNode is None or secondNode is None or firstNode is secondNode:
            raise SegmentationError(
                "input", _("Two different segmentations are needed for a comparison."), _("Select both."))
        for node in (firstNode, secondNode):
            if node.GetAttribute(DIFFERENCE):
                raise SegmentationError(
                    "input",
                    _('"{name}" only marks differences.').format(name=node.GetName()),
                    _("Select the segmentation of a model."),
                )

    def _show(self, layoutNode, firstNode, secondNode, outline: bool) -> None:
        registerLayout(layoutNode)
        if layoutNode.GetViewArrangement() == LAYOUT_ID and not self.memory.active:
            # Left over, for example from a scene that was closed while nobody watched it.
            layoutNode.SetViewArrangement(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
        memory = self.memory.begin()
        for role, node in zip(SIDE_ROLES, (firstNode, secondNode), strict=True):
            memory.SetNodeReferenceID(role, node.GetID())
        # Elsewhere nobody knows this layout, and the views of a scene that is opened there would stay empty.
        self.memory.set(layoutNode, "SaveWithScene", 0)
        layoutNode.RemoveAllMaximizedViewNodes()  # one that fills the window would cover the comparison
        self.memory.set(layoutNode, "ViewArrangement", LAYOUT_ID)
        sides = columns(self.scene)
        own = [viewId for column in sides for viewId in column.viewIds()]
        for column, node, name, colour in zip(sides, self.nodes, self.names, SIDE_COLOURS, strict=True):
            self._prepareViews(column, volumeOf(node) or self.volumeNode, name, colour)
            for displayNode in _displayNodes(node):
                self.memory.set(displayNode, "Visibility", 1)
            self._allowViews(node, column.viewIds(), own)
        self.setOutline(outline)
        self.hideOthers()
        self.frame()

    def _prepareViews(self, column, volumeNode, name: str, colour) -> None:
        column.sliceNode.SetOrientation("Axial")
        column.sliceNode.SetLayoutColor(*colour)
        for viewNode in (column.sliceNode, column.viewNode):
            viewNode.SetLayoutLabel(name)
        self.memory.set(column.compositeNode, "BackgroundVolumeID", volumeNode.GetID() if volumeNode else None)
        self.memory.set(column.compositeNode, "LinkedControl", 1)
        self.memory.set(column.compositeNode, "HotLinkedControl", 1)
        self.memory.set(column.viewNode, "LinkedControl", 1)

    def _allowViews(self, node, allowed: list[str], own: list[str]) -> None:
        """Show *node* in the views where it was shown before, and of the comparison's views in *allowed* alone."""
        for displayNode in _displayNodes(node):
            # An empty list means all views; naming them keeps the node visible in a scene that is saved meanwhile.
            before = self.memory.before(displayNode, "ViewNodeIDs") or list(displayNode.GetViewNodeIDs())
            views = [viewId for viewId in before or ordinaryViewIds(self.scene) if viewId not in own] + allowed
            if views:
                self.memory.set(displayNode, "ViewNodeIDs", views)
            else:
                self.memory.set(displayNode, "Visibility", 0)

    def _putBackSegmentations(self) -> None:
        for node in self.memory.nodes():
            if node.IsA("vtkMRMLSegmentationDisplayNode"):
                self.memory.restoreNode(node)

    def _bounds(self) -> list[float] | None:
        """World bounds around both segmentations; of the CT where both are empty."""
        box = vtk.vtkBoundingBox()
        for node in self.nodes:
            bounds = [0.0] * 6
            node.GetRASBounds(bounds)
            if all(bounds[2 * axis] <= bounds[2 * axis + 1] for axis in range(3)):
                box.AddBounds(bounds)
        bounds = [0.0] * 6
        if not box.IsValid() and self.volumeNode is None:
            return None
        (box.GetBounds if box.IsValid() else self.volumeNode.GetRASBounds)(bounds)
        return bounds

    def _observe(self) -> None:
        self._unobserve()
        layoutNode = self.scene.GetFirstNodeByClass("vtkMRMLLayoutNode")
        for observed, event, method in (
            (self.scene, self.scene.NodeRemovedEvent, self._onNodeRemoved),
            (self.scene, self.scene.StartCloseEvent, self._onSceneClose),
            (layoutNode, vtk.vtkCommand.ModifiedEvent, self._onLayoutModified),
        ):
            if observed:
                self._observations.append((observed, observed.AddObserver(event, method)))

    def _unobserve(self) -> None:
        for observed, tag in self._observations:
            observed.RemoveObserver(tag)
        self._observations = []

    def _onNodeRemoved(self, _caller, _event) -> None:
        if len(self.nodes) < 2:
            self.leave()

    def _onSceneClose(self, _caller, _event) -> None:
        self.leave()

    def _onLayoutModified(self, layoutNode, _event) -> None:
        if layoutNode.GetViewArrangement() != LAYOUT_ID:
            self.leave()


def _segmentations(scene) -> list:
    count = scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")
    return [scene.GetNthNodeByClass(index, "vtkMRMLSegmentationNode") for index in range(count)]


def _displayNodes(node) -> list:
    nodes = [node.GetNthDisplayNode(index) for index in range(node.GetNumberOfDisplayNodes())]
    if not any(nodes):
        node.CreateDefaultDisplayNodes()
        nodes = [node.GetDisplayNode()]
    return [displayNode for displayNode in nodes if displayNode]

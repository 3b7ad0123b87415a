"""The panel's attention maps: which one lies over the slices, and how."""

from __future__ import annotations

import slicer
import slicer.util

from .attention_view import AttentionView, OverlayStyle, sliceCompositeNodes
from .comparison_layout import VIEW_NAMES
from .parameters import AttentionViews
from .result_pairs import mapToShow
from .result_sets import GATE, INPUT_ROLE, resultSets
from .translation import _


class AttentionSection:
    """Keeps the overlay as the widgets say.

    :param ui: the widgets by name.
    :param logic: the module's logic.
    :param panel: the panel, see :class:`.segment_panel.SegmentPanel`.
    """

    def __init__(self, ui, logic, panel) -> None:
        self._ui = ui
        self._panel = panel
        self._applied = None
        self._hasNewRun = False  # came while another module was shown
        self.overlay = AttentionView(slicer.mrmlScene)
        ui.attentionMapSelector.addAttribute("vtkMRMLScalarVolumeNode", GATE)

    def setParameterNode(self, parameterNode) -> None:
        """Take a scene's choice."""
        self._applied = None
        if parameterNode:
            self._chooseMap(self._hasNewRun)
            self._hasNewRun = False

    def resultsChanged(self, imported=None, _result=None) -> None:
        """Results came or went: a new run's map is what is shown next."""
        if self._panel.parameterNode:
            self._chooseMap(anew=imported is not None)
        elif imported is not None:
            self._hasNewRun = True

    def runChosen(self, chosen) -> None:
        """The user looks at another run: its map of the same gate is what is shown, where there is one."""
        node = mapToShow(chosen, self._map()) if self._panel.parameterNode else None
        if node:
            self._options().map = node

    def update(self) -> None:
        """Lay the map over the slices as the widgets say, or take it off."""
        if not self._panel.parameterNode:
            return
        mapNode = self._map()
        self._showState(mapNode)
        wanted = self._wanted(mapNode)
        # Only what changed here changes the views: what the user did to a slice view meanwhile stays.
        # Without a map something may still be shown: of one that was deleted while another module was shown.
        if wanted == self._applied and (wanted or not self.overlay.shown):
            return
        self._applied = wanted
        if wanted is None:
            self.overlay.hide()
        else:
            compositeIds, style = wanted[1:]
            self.overlay.show(mapNode, [slicer.mrmlScene.GetNodeByID(nodeId) for nodeId in compositeIds], style)

    def close(self) -> None:
        """Nothing to take down: what is shown stays, and the module finds it when it comes again."""

    def _options(self):
        return self._panel.parameterNode.attention

    def _map(self):
        """The chosen map, where it is in the scene."""
        node = self._options().map
        return node if node and node.GetScene() else None

    def _chooseMap(self, anew: bool = False) -> None:
        """Choose a map of the run that the user looks at, where none is chosen or *anew*."""
        if self._map() and not anew:
            return
        shown = self._panel.shownRun
        runs = [*([shown] if shown else []), *([] if anew else resultSets(slicer.mrmlScene))]
        node = next((node for node in (mapToShow(run, self._map()) for run in runs) if node), None)
        if node:
            self._options().map = node

    def _wanted(self, mapNode) -> tuple | None:
        """What is to be shown: the map's id, the ids of the views' layers, and the style; None: nothing."""
        options = self._options()
        if not options.shown or mapNode is None:
            return None
        own = options.views is AttentionViews.OWN
        composites = self._ownViews(mapNode) if own else sliceCompositeNodes(slicer.mrmlScene)
        style = OverlayStyle(
            options.opacity, options.threshold, options.colours.value, options.legend, options.stretched)
        return mapNode.GetID(), tuple(node.GetID() for node in composites), style

    def _ownViews(self, mapNode) -> list:
        """The layers of the map's own views: while comparing its model's column, else the views that show its CT."""
        column = self._panel.sections["compare"].comparison.columnOf(mapNode)
        if column:
            return [column.compositeNode]
        volumeId = mapNode.GetNodeReferenceID(INPUT_ROLE)
        return [node for node in sliceCompositeNodes(slicer.mrmlScene)
                if node.GetLayoutName() not in VIEW_NAMES and node.GetBackgroundVolumeID() in (volumeId, None)]

    def _showState(self, mapNode) -> None:
        ui = self._ui
        ui.attentionShownCheckBox.enabled = mapNode is not None
        if mapNode:
            ui.attentionShownCheckBox.toolTip = _("Lay the map over the slices; off leaves the views as they were.")
        else:
            ui.attentionShownCheckBox.toolTip = _(
                "No map is selected. Segment with a gated model, with attention maps on in the options.")

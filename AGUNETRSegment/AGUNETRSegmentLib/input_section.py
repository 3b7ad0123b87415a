"""The panel's inputs: the CT, a reference segmentation and a region."""

from __future__ import annotations

import slicer

from .result_sets import GATE
from .sequence_frames import FrameSource
from .translation import _
from .volume_check import VolumeNotes, volumeProblem


class InputSection:
    """Says what is unusual about the CT before it is segmented.

    :param ui: the widgets by name.
    :param logic: the module's logic.
    :param panel: the panel, see :class:`.segment_panel.SegmentPanel`.
    """

    def __init__(self, ui, logic, panel) -> None:
        self._ui = ui
        self._panel = panel
        self._notes = VolumeNotes()
        ui.inputLabel.setBuddy(ui.inputSelector)
        ui.referenceLabel.setBuddy(ui.referenceSelector)
        ui.regionLabel.setBuddy(ui.regionSelector)
        # Not bound by SlicerParameterName: the typed parameter would have to name the ROI's class, which Slicer only
        # knows after the module Markups was loaded, and modules are loaded in the order of their names.
        ui.regionSelector.connect("currentNodeChanged(vtkMRMLNode*)", self._onRegionChanged)
        # Opening a section brings back what was hidden while it was shut.
        ui.inputsCollapsibleButton.connect("contentsCollapsed(bool)", self._onCollapsed)

    def setParameterNode(self, parameterNode) -> None:
        """Show another parameter node's region; the other widgets are bound."""
        if parameterNode:
            self._ui.regionSelector.setCurrentNode(parameterNode.region)

    def problem(self) -> str:
        """Why the CT cannot be segmented; empty where it can."""
        volumeNode = self._panel.parameterNode.inputVolume
        return volumeProblem(volumeNode) if volumeNode else _("Select a CT volume.")

    def update(self) -> None:
        """Show what is to be said about the CT."""
        self._hideMaps()
        parameterNode = self._panel.parameterNode
        volumeNode = parameterNode.inputVolume if parameterNode else None
        note, frames = "", None
        if volumeNode:
            note = volumeProblem(volumeNode) or self._notes.note(volumeNode)
            frames = FrameSource.of(volumeNode)
        self._ui.inputNoteLabel.text = note
        isOpen = not self._ui.inputsCollapsibleButton.collapsed
        self._ui.inputNoteLabel.visible = isOpen and bool(note)
        self._ui.allFramesCheckBox.visible = isOpen and frames is not None
        if frames:
            self._ui.allFramesCheckBox.text = _("Every frame of the sequence ({count})").format(count=frames.count)
        if parameterNode and self._ui.regionSelector.currentNode() is not parameterNode.region:
            self._ui.regionSelector.setCurrentNode(parameterNode.region)

    def close(self) -> None:
        """Nothing to take down."""

    def _hideMaps(self) -> None:
        """Attention maps are scalar volumes like the CT; they are not offered in its place.

        By their ids: the selector's own filter by attributes can only ask for one, not refuse one.
        """
        scene = slicer.mrmlScene
        count = scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode")
        volumes = [scene.GetNthNodeByClass(index, "vtkMRMLScalarVolumeNode") for index in range(count)]
        maps = [node.GetID() for node in volumes if node.GetAttribute(GATE)]
        offered = self._ui.inputSelector.sortFilterProxyModel()
        if list(offered.hiddenNodeIDs) != maps:
            offered.hiddenNodeIDs = maps

    def _onCollapsed(self, _collapsed: bool) -> None:
        self.update()

    def _onRegionChanged(self, node) -> None:
        parameterNode = self._panel.parameterNode
        if parameterNode and parameterNode.region is not node:
            parameterNode.region = node

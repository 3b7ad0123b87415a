"""The panel's comparison: two segmentations side by side, and from one difference to the next."""

from __future__ import annotations

import qt
import slicer
import slicer.util

from .comparison import Comparison
from .comparison_layout import LAYOUT_ID, columns
from .difference_navigation import DifferenceTour
from .difference_nodes import addDifference, differenceNode, removeDifference
from .errors import SegmentationError
from .parameters import SegmentStyle
from .result_pairs import pairToCompare
from .result_sets import resultSets
from .translation import _

# The window gives new views their size only after the click was handled.
FRAME_AFTER_MILLISECONDS = 50
LAYOUT_SETTING = "MainWindow/layout"


class CompareSection:
    """Begins and leaves the comparison, and keeps it as the widgets say.

    Whether a comparison is shown is not a parameter: the scene remembers it, see :mod:`.comparison`.

    :param ui: the widgets by name.
    :param logic: the module's logic.
    :param panel: the panel, see :class:`.segment_panel.SegmentPanel`.
    """

    def __init__(self, ui, logic, panel) -> None:
        self._ui = ui
        self._panel = panel
        self._tour = None
        self._outline = None
        self._hasNewRun = False  # came while another module was shown
        self._problem = ""
        self._updating = False
        self.comparison = Comparison(slicer.mrmlScene, slicer.app.applicationLogic(), self._onComparisonChanged)
        ui.compareButton.connect("clicked(bool)", self._onCompareButton)
        ui.nextDifferenceButton.connect("clicked(bool)", self._onNextDifferenceButton)

    def setParameterNode(self, parameterNode) -> None:
        """Take a scene's choice; a scene that was saved while comparing shows its comparison again."""
        if parameterNode:
            self._choosePair(self._hasNewRun)
            self._hasNewRun = False
            if self.comparison.begun and not self.comparison.shown:
                self._try(self.comparison.resume, self._options().style is SegmentStyle.OUTLINE)
                self._frameLater()

    def resultsChanged(self, imported=None, _result=None) -> None:
        """Results came or went: new ones are what is compared next."""
        if self._panel.parameterNode:
            self._choosePair(anew=imported is not None)
        elif imported is not None:
            self._hasNewRun = True
        if self.comparison.shown:
            self.comparison.hideOthers()

    def runChosen(self, chosen) -> None:
        """The user looks at another run: its models are what is compared, where there are two."""
        self._usePair(pairToCompare(chosen))

    def update(self) -> None:
        """Show what is compared, and bring the views to what the widgets say."""
        if self._updating:
            return
        self._updating = True
        try:
            if self.comparison.shown and self._panel.parameterNode:
                self._tryAgain(self._synchronise)
            self._showState()
        finally:
            self._updating = False

    def close(self) -> None:
        """Stop watching the scene; what is shown stays, and the module finds it when it comes again."""
        self._correctNextStart()
        self.comparison.close()

    def _correctNextStart(self) -> None:
        """An application that closes has noted its layout for the next start; that start will not know ours."""
        settings = slicer.app.userSettings()
        if str(settings.value(LAYOUT_SETTING)) == str(LAYOUT_ID):
            settings.setValue(LAYOUT_SETTING, self.comparison.arrangementBefore)

    def _options(self):
        return self._panel.parameterNode.compare

    def _pair(self) -> list:
        """The chosen segmentations that are in the scene."""
        if not self._panel.parameterNode:
            return []
        options = self._options()
        return [node for node in (options.first, options.second) if node and node.GetScene()]

    def _choosePair(self, anew: bool = False) -> None:
        """Choose the models of the run that the user looks at, where nothing is chosen or *anew*."""
        if self._pair() and not anew:
            return
        shown = self._panel.shownRun
        runs = [*([shown] if shown else []), *([] if anew else resultSets(slicer.mrmlScene))]
        self._usePair(next((pair for pair in map(pairToCompare, runs) if pair), None))

    def _usePair(self, pair) -> None:
        if pair and self._panel.parameterNode:
            with slicer.util.NodeModify(self._panel.parameterNode):
                self._options().first, self._options().second = pair

    def _onCompareButton(self, checked: bool) -> None:
        if checked:
            self._try(lambda: self.comparison.start(
                *(self._pair() if len(self._pair()) == 2 else (None, None)),
                self._options().style is SegmentStyle.OUTLINE))
            self._frameLater()
        else:
            self.comparison.leave()
        self._panel.update()

    def _onNextDifferenceButton(self, _checked: bool = False) -> None:
        def jump():
            self._showDifference()
            # The other views are not seen now, and are as they were after the comparison.
            own = [column.sliceNode for column in columns(slicer.mrmlScene)]
            self._ui.differenceLabel.text = self._tour.next(slicer.mrmlScene, self.comparison.names, own)

        self._try(jump)

    def _onComparisonChanged(self) -> None:
        """The comparison began or ended, perhaps because the user chose another layout."""
        if not self.comparison.shown:
            self._tour = self._outline = None
            removeDifference(slicer.mrmlScene)
            self._ui.differenceLabel.text = ""
        if not self._updating:
            self._panel.update()

    def _frameLater(self) -> None:
        qt.QTimer.singleShot(FRAME_AFTER_MILLISECONDS, self.comparison.frame)

    def _synchronise(self) -> None:
        outline = self._options().style is SegmentStyle.OUTLINE
        pair = self._pair()
        if len(pair) == 2 and pair[0] is not pair[1] and pair != self.comparison.nodes:
            self.comparison.start(*pair, outline)
        if outline != self._outline:  # what the user changes elsewhere meanwhile stays
            self.comparison.setOutline(outline)
            self._outline = outline
        if self._options().difference:
            self._showDifference()
        elif differenceNode(slicer.mrmlScene):
            removeDifference(slicer.mrmlScene)

    def _showDifference(self) -> None:
        """Compute the difference where the segmentations changed, and mark it where that is wanted."""
        nodes = self.comparison.nodes
        scene = slicer.mrmlScene
        isCurrent = self._tour is not None and self._tour.isCurrent(*nodes)
        if not isCurrent:
            self._tour = DifferenceTour(*nodes, self.comparison.volumeNode)
            self._ui.differenceLabel.text = self._tour.summary(self.comparison.names)
        if self._options().difference and not (isCurrent and differenceNode(scene)):
            addDifference(scene, self._tour.masks, self._tour.found, self.comparison.names,
                          [column.sliceNode.GetID() for column in columns(scene)])

    def _showState(self) -> None:
        ui, shown = self._ui, self.comparison.shown
        ready = shown or len(set(self._pair())) == 2
        ui.compareButton.checked = shown
        ui.compareButton.enabled = ready
        if shown:
            ui.compareButton.toolTip = _("Leave the comparison; all views become what they were before.")
        elif ready:
            ui.compareButton.toolTip = _("Show both segmentations side by side in linked views.")
        else:
            ui.compareButton.toolTip = _("Select two different segmentations, or segment with two models.")
        ui.nextDifferenceButton.enabled = shown
        if shown:
            ui.nextDifferenceButton.toolTip = _("Show the next difference in both slice views, the largest first.")
        else:
            ui.nextDifferenceButton.toolTip = _("Compare two segmentations first.")

    def _try(self, action, *arguments) -> None:
        try:
            action(*arguments)
        except SegmentationError as error:
            self._panel.say(str(error))

    def _tryAgain(self, action) -> None:
        """As above for what every update does: a problem that lasts is said once."""
        try:
            action()
            self._problem = ""
        except SegmentationError as error:
            if str(error) != self._problem:
                self._problem = str(error)
                self._panel.say(self._problem)

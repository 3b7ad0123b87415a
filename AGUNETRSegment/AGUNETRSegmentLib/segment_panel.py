"""The panel: its sections in order, and what they share."""

from __future__ import annotations

import qt
import slicer

from .attention_section import AttentionSection
from .batch_section import BatchSection
from .compare_section import CompareSection
from .errors import SegmentationError
from .input_section import InputSection
from .models_section import ModelsSection
from .options_section import OptionsSection
from .result_sets import resultSets
from .results_section import ResultsSection
from .run_section import RunSection
from .scene_watch import SceneWatch
from .section_panel import SectionPanel
from .setup_section import SetupSection
from .translation import _

# In the order of the panel.
SECTIONS = {
    "setup": SetupSection,
    "input": InputSection,
    "models": ModelsSection,
    "options": OptionsSection,
    "run": RunSection,
    "results": ResultsSection,
    "compare": CompareSection,
    "attention": AttentionSection,
    "batch": BatchSection,
}


class SegmentPanel(SectionPanel):
    """Makes the sections of ``AGUNETRSegment.ui`` and offers them what they share.

    A section with ``resultsChanged(imported, result)`` is told when results came or went; one with
    ``problem()`` gives the reason why no run can begin, an empty text where one can.

    :ivar models: the worker's entries of the installed models, as its ``models`` event names them.
    :ivar brokenModels: folder and reason of those that cannot be used.
    :ivar modelsAreKnown: whether the worker has named them.
    """

    def __init__(self, ui, logic) -> None:
        super().__init__(ui, logic)
        self.models: list[dict] = []
        self.brokenModels: list[dict] = []
        self.modelsAreKnown: bool = False
        self._isAskingForModels = False
        for name, sectionClass in SECTIONS.items():
            self.sections[name] = sectionClass(ui, logic, self)
        self._shownResults = self._resultsInScene()
        self._sceneWatch = SceneWatch(slicer.mrmlScene, self._onSceneChanged, qt.QTimer.singleShot)

    @property
    def busy(self) -> bool:
        """Whether a segmentation is under way."""
        return self.logic.running

    def refreshModels(self, quietly: bool = False) -> None:
        """Ask the worker which models there are; ``models`` is then set anew and every section updated.

        :param quietly: leave the status line as it is, because it says something else that matters.
        """
        if not quietly:
            self.say(_("Looking for models..."))
        self._isAskingForModels = True
        try:
            self.logic.listModels(lambda answer: self._onModels(answer, quietly), self._onNoModels)
        except SegmentationError as error:
            self._onNoModels(error)
        self.update()

    def refreshModelsOnce(self) -> None:
        """Look for models where that was not done yet, and nobody waits for the answer."""
        if not self.modelsAreKnown and not self._isAskingForModels:
            self.refreshModels()

    def resultsChanged(self, imported=None, result: dict | None = None) -> None:
        """Tell the sections that results came or went.

        :param imported: the new nodes (ImportedResult), None where results went or the scene is another.
        :param result: the parsed ``result.json`` that belongs to them.
        """
        self._shownResults = self._resultsInScene()
        self.tell("resultsChanged", imported, result)
        self.update()

    @property
    def shownRun(self):
        """The run that the user looks at in the results (ResultSet); None where there is none."""
        return self.sections["results"].shown

    def runChosen(self, chosen) -> None:
        """Tell the sections that the user looks at another run: its results are what they offer.

        :param chosen: the ResultSet.
        """
        self.tell("runChosen", chosen)
        self.update()

    def close(self) -> None:
        """Take the panel down: no observer, timer or process stays."""
        self._sceneWatch.close()
        self._closeSections()

    def _onSceneChanged(self) -> None:
        """Nodes came or went: perhaps the user deleted results, or the scene brought some."""
        complete = not self.logic.running and not self.sections["batch"].loading  # new ones are told of when all came
        if complete and self._resultsInScene() != self._shownResults:
            self.resultsChanged()
        else:
            self.update()

    @staticmethod
    def _resultsInScene() -> list[tuple[str, list[str]]]:
        return [(results.run, [node.GetID() for node in results.nodes()]) for results in resultSets(slicer.mrmlScene)]

    def _onNoModels(self, error: SegmentationError) -> None:
        self._isAskingForModels = False
        self.fail(error)

    def _onModels(self, answer: dict, quietly: bool = False) -> None:
        self._isAskingForModels, self.modelsAreKnown = False, True
        self.models = list(answer.get("models", []))
        self.brokenModels = list(answer.get("broken", []))
        for broken in self.brokenModels:
            self.log("warning", _("Not usable: {folder}: {reason}").format(**broken))
        if not quietly or not self.models:
            self.say("" if self.models else _("No model is installed."))
        self.update()

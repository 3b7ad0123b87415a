"""What every panel made of sections does: parameter node, keeping sections up to date, saying what happens."""

from __future__ import annotations

import vtk

from .errors import SegmentationError


class SectionPanel:
    """A panel made of sections.

    A section is a class with ``setParameterNode(parameterNode)``, ``update()`` and ``close()``; the one called ``run``
    also has ``log(level, text)``.

    :param ui: the widgets by name; ``statusLabel`` is the status line.
    :param logic: the module's logic.
    :ivar parameterNode: the scene's parameter node; None while the module is not shown or the scene closes.
    :ivar sections: the sections by name, in the order of the panel.
    """

    def __init__(self, ui, logic) -> None:
        self.ui = ui
        self.logic = logic
        self.parameterNode = None
        self.sections: dict[str, object] = {}
        self._guiTag = None
        self._observerTag = None
        self._updating = False
        self._updateAgain = False
        self._closed = False

    def setParameterNode(self, parameterNode) -> None:
        """Connect the widgets to a parameter node, or to none."""
        if self.parameterNode:
            self.parameterNode.disconnectGui(self._guiTag)
            self.parameterNode.RemoveObserver(self._observerTag)
        self.parameterNode = parameterNode
        if parameterNode:
            self._beforeConnecting(parameterNode)
            self._guiTag = parameterNode.connectGui(self.ui)
            self._observerTag = parameterNode.AddObserver(vtk.vtkCommand.ModifiedEvent, self._onModified)
        for section in self.sections.values():
            section.setParameterNode(parameterNode)
        self.update()

    def update(self) -> None:
        """Let every section show the state of things; cheap, called after any change."""
        if self._closed:
            return
        if self._updating:  # a section changed the parameter node while it showed it
            self._updateAgain = True
            return
        self._updating = True
        try:
            for _attempt in range(3):  # sections that keep contradicting each other must not hang the application
                self._updateAgain = False
                for section in self.sections.values():
                    section.update()
                if not self._updateAgain:
                    break
        finally:
            self._updating = False

    def tell(self, occasion: str, *arguments) -> None:
        """Call the method named *occasion* of the sections that have one, in their order."""
        for section in self.sections.values():
            if hasattr(section, occasion):
                getattr(section, occasion)(*arguments)

    def say(self, text: str) -> None:
        """Show one sentence in the status line."""
        self.ui.statusLabel.text = text

    def log(self, level: str, text: str) -> None:
        """Add a line to the log view.

        :param level: ``info``, ``warning`` or ``error``.
        """
        self.sections["run"].log(level, text)

    def fail(self, error: SegmentationError) -> None:
        """Show what went wrong and what to do; the details go to the log."""
        self.say(str(error))
        if error.details:
            self.log("error", error.details)
        self.update()

    def _closeSections(self) -> None:
        """Let go of the parameter node, then of every section; nothing is shown any more."""
        self.setParameterNode(None)
        self._closed = True
        for section in self.sections.values():
            section.close()

    def _beforeConnecting(self, parameterNode) -> None:
        """What a panel puts into a parameter node before the widgets show it."""

    def _onModified(self, _caller, _event) -> None:
        self.update()

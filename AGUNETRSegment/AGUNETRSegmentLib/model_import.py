"""Importing and removing models: the engine does it in a child process, which verifies every file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .engine_command import EngineCommand
from .errors import SegmentationError
from .translation import _

SECONDS = 1800.0  # a large model on a slow network drive


class ModelImport:
    """One change to the models at a time.

    :param command: runs the engine's commands.
    """

    def __init__(self, command: EngineCommand) -> None:
        self._command = command

    @property
    def running(self) -> bool:
        """Whether a change is under way."""
        return self._command.running

    def importModel(
        self, source: Path, imported: Callable[[dict], None], failed: Callable[[SegmentationError], None]
    ) -> None:
        """Import a zip or folder; *imported* takes the new model's entry.

        :raises SegmentationError: the child could not be started.
        """

        def finished(events: list[dict]) -> None:
            model = next((event.get("model") for event in events if event.get("event") == "model"), None)
            if isinstance(model, dict) and model.get("name"):
                imported(model)
            else:
                failed(_noAnswer())

        self._command.start(["models", "import", str(source)], finished, failed, SECONDS)

    def removeModel(
        self, name: str, removed: Callable[[str], None], failed: Callable[[SegmentationError], None]
    ) -> None:
        """Remove an imported model; *removed* takes its name.

        :raises SegmentationError: the child could not be started.
        """

        def finished(events: list[dict]) -> None:
            if any(event.get("event") == "removed" for event in events):
                removed(name)
            else:
                failed(_noAnswer())

        self._command.start(["models", "remove", name], finished, failed)

    def stop(self) -> None:
        """End what runs; an import that was not finished leaves nothing behind that counts as a model."""
        self._command.stop()


def _noAnswer() -> SegmentationError:
    return SegmentationError(
        "unexpected", _("The change of the models gave no answer."), _("Press Refresh to see which models there are.")
    )

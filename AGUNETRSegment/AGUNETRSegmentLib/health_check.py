"""Does it work here? The engine's ``doctor`` in a child process: PyTorch is imported and every GPU computes there.

An installation that is half there, a GPU for which PyTorch has no kernels or a driver that hangs shows only when it is
tried, and trying it in a child cannot take the application down.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from .engine_command import EngineCommand
from .errors import SegmentationError
from .translation import _

SECONDS = 300.0  # the engine gives each library two minutes


@dataclass(frozen=True)
class HealthReport:
    """What the health check found.

    :ivar able: whether segmentation can run.
    :ivar findings: ``name``, ``state`` (``good``, ``hint``, ``broken``), ``found`` and ``advice`` of each check.
    :ivar versions: of the packages in the child, by name.
    """

    able: bool
    findings: Sequence[Mapping] = field(default_factory=tuple)
    versions: Mapping[str, str] = field(default_factory=dict)


class HealthCheck:
    """Runs the check and keeps its last report.

    :param command: runs the engine's commands.
    :ivar report: the last report; None where none is known.
    """

    def __init__(self, command: EngineCommand) -> None:
        self._command = command
        self.report: HealthReport | None = None

    @property
    def running(self) -> bool:
        """Whether a check is under way."""
        return self._command.running

    def start(self, done: Callable[[HealthReport], None], failed: Callable[[SegmentationError], None]) -> None:
        """Check; one of the callbacks follows.

        :raises SegmentationError: the child could not be started.
        """
        self.report = None

        def finished(events: list[dict]) -> None:
            try:
                self.report = parseReport(events)
            except SegmentationError as error:
                failed(error)
                return
            done(self.report)

        self._command.start(["doctor"], finished, failed, SECONDS)

    def stop(self) -> None:
        """End a check that runs."""
        self._command.stop()


def parseReport(events: Sequence[Mapping]) -> HealthReport:
    """The report in what the command printed.

    :raises SegmentationError: there is none.
    """
    for event in events:
        findings = event.get("findings")
        if event.get("event") == "doctor" and isinstance(findings, list):
            return HealthReport(
                bool(event.get("able")),
                tuple(finding for finding in findings if isinstance(finding, Mapping)),
                dict(event.get("versions") or {}),
            )
    raise SegmentationError(
        "unexpected", _("The health check gave no report."), _("Copy the diagnostics when you ask for help.")
    )

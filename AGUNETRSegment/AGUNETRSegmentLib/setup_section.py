"""The panel's Setup: whether PyTorch, the other packages and models are there and work, and how to get them."""

from __future__ import annotations

from pathlib import Path

import qt
import slicer

from .diagnostics import diagnosticsText
from .engine_command import EngineCommand
from .errors import SegmentationError
from .health_check import HealthCheck, HealthReport
from .installation_question import folderQuestion, installQuestion, repairQuestion
from .package_installation import PackageInstallation, installedVersions
from .setup_state import (
    BROKEN,
    HINT,
    MISSING,
    READY,
    UNKNOWN,
    SetupFacts,
    SetupLine,
    modelsLine,
    otherFindings,
    packagesLine,
    torchLine,
)
from .translation import _

CHECKED_SETTING = "AGUNETR/checkedInstallation"
ICON_PIXELS = 16


class SetupSection:
    """Shows the three lines; installs, repairs, checks and tells, each on a click and after a question.

    :param ui: the widgets by name.
    :param logic: the module's logic.
    :param panel: the panel, see :class:`.segment_panel.SegmentPanel`.
    :param installation: what installs; a test hands in its own.
    :param health: the health check; a test hands in its own.
    """

    def __init__(self, ui, logic, panel, installation=None, health=None) -> None:
        self._ui, self._logic, self._panel = ui, logic, panel
        self._installation = installation or PackageInstallation()
        self._health = health or HealthCheck(EngineCommand(qt.QTimer.singleShot))
        self._torchVersion: str | None = None
        self._missing: list[str] | None = None
        self._lookedAt = False
        self._checkedBefore = False
        self._installing = False
        self._wasReady: bool | None = None
        self._problem = ""
        for button, slot in (
            (ui.installButton, self._onInstall),
            (ui.installFromFolderButton, self._onInstallFromFolder),
            (ui.repairTorchButton, self._onRepair),
            (ui.checkSetupButton, self._onCheck),
            (ui.copyDiagnosticsButton, self._onCopyDiagnostics),
        ):
            button.connect("clicked(bool)", slot)

    def setParameterNode(self, parameterNode) -> None:
        """Look at what is installed when the panel is shown; the scene has no part in it."""
        if parameterNode and not self._installing:
            self.look()

    def update(self) -> None:
        """Show the lines, and start the first health check once the worker has told its models."""
        lines = self.lines()
        for name, line in lines.items():
            self._showLine(name, line)
        ready = all(line.ready for line in lines.values())
        if ready != self._wasReady:  # never against the user: only when it turns
            self._ui.setupCollapsibleButton.collapsed = ready
            self._wasReady = ready
        busy = self._installing or self._health.running
        inUse = self._packagesAreInUse()
        for button in (self._ui.installButton, self._ui.installFromFolderButton, self._ui.repairTorchButton):
            button.enabled = not busy and not inUse
        self._ui.checkSetupButton.enabled = not busy
        self._ui.setupProgressBar.visible = busy
        self._checkTheFirstTime()

    def close(self) -> None:
        """End a check that runs."""
        self._health.stop()

    def problem(self) -> str:
        """Why no run can begin; empty where nothing is known to be in its way."""
        if self._installing:
            return _("Packages are being installed.")
        for line in (torchLine(self._facts()), packagesLine(self._facts())):
            if not line.ready:
                return _("{reason} (Open Setup.)").format(reason=line.text)
        return ""

    def lines(self) -> dict[str, SetupLine]:
        """What the three lines say, by name."""
        facts = self._facts()
        return {"torch": torchLine(facts), "packages": packagesLine(facts), "models": modelsLine(facts)}

    def look(self) -> None:
        """Look anew at what is installed, without trying it."""
        self._lookedAt = True
        self._torchVersion = self._installation.torchVersion()
        try:
            self._missing = self._installation.missing()
        except SegmentationError as error:
            self._missing = None
            self._say(str(error))

    def _packagesAreInUse(self) -> bool:
        """Whether a process computes with what an installation would replace."""
        batch = self._panel.sections.get("batch")
        return self._logic.running or bool(batch and batch.running)

    def _facts(self) -> SetupFacts:
        report = self._health.report
        known = self._panel.modelsAreKnown
        return SetupFacts(
            self._torchVersion,
            self._missing,
            len(self._panel.models) if known else None,
            len(self._panel.brokenModels) if known else 0,
            report.findings if report else (),
        )

    def _showLine(self, name: str, line: SetupLine) -> None:
        label = getattr(self._ui, f"{name}SetupLabel")
        icon = getattr(self._ui, f"{name}StateLabel")
        label.text = line.text
        pixmap, meaning = (get() for get in _STATES[line.state])
        if icon.toolTip != meaning:
            icon.toolTip = meaning
            icon.accessibleName = meaning
            icon.setPixmap(icon.style().standardIcon(pixmap).pixmap(qt.QSize(ICON_PIXELS, ICON_PIXELS)))

    def _say(self, text: str) -> None:
        self._ui.setupStatusLabel.text = text
        self._ui.setupStatusLabel.visible = bool(text)

    # Checking

    def _checkTheFirstTime(self) -> None:
        """Try once what was never tried: a PyTorch that is only half there looks installed."""
        if self._checkedBefore or self._installing or self._health.running or self._logic.busy:
            return
        if not self._panel.modelsAreKnown or self._missing is None or self.problem():
            return
        self._checkedBefore = True
        if not slicer.app.testingEnabled() and self._settings().value(CHECKED_SETTING) != self._fingerprint():
            self._startCheck()

    def _fingerprint(self) -> str:
        """What must not have changed for the last good check to count."""
        return f"{slicer.app.slicerHome} {slicer.app.revision} torch {self._torchVersion} {' '.join(self._missing)}"

    @staticmethod
    def _settings():
        return slicer.app.userSettings()

    def _onCheck(self) -> None:
        self.look()
        self._startCheck()

    def _startCheck(self) -> None:
        self._say(_("Trying PyTorch and the other packages in a process of their own..."))
        try:
            self._health.start(self._onChecked, self._onCheckFailed)
        except SegmentationError as error:
            self._onCheckFailed(error)
            return
        self._panel.update()

    def _onChecked(self, report: HealthReport) -> None:
        if report.able and self._missing is not None:
            self._settings().setValue(CHECKED_SETTING, self._fingerprint())
        elif not report.able:
            self._settings().remove(CHECKED_SETTING)
        sentences = otherFindings(self._facts())
        verdict = _("Segmentation can run on this computer.") if report.able else _("Segmentation cannot run yet.")
        self._say("\n".join([verdict, *sentences]))
        if report.able:
            self._panel.refreshModelsOnce()  # before the packages came, nobody could name them
        self._panel.update()

    def _onCheckFailed(self, error: SegmentationError) -> None:
        self._tellProblem(error)
        self._panel.update()

    # Installing

    def _onInstall(self) -> None:
        plan = self._plan()
        if plan is None:
            return
        if not plan.torch and not plan.packages:
            self._say(_("Everything is installed. Press Check to try it."))
            return
        if slicer.util.confirmOkCancelDisplay(installQuestion(plan), _("AGUNETR - Install packages")):
            self._do(lambda: self._installation.install(plan, self._onInstallerLine))

    def _onInstallFromFolder(self) -> None:
        plan = self._plan()
        if plan is None:
            return
        if not plan.torch and not plan.packages:
            self._say(_("Everything is installed. Press Check to try it."))
            return
        path = qt.QFileDialog.getExistingDirectory(
            self._ui.installFromFolderButton.window(), _("Folder that holds the wheels"))
        if not path:
            return
        folder = Path(path)
        if slicer.util.confirmOkCancelDisplay(
            folderQuestion(plan, folder), _("AGUNETR - Install from a folder")
        ):
            self._do(lambda: self._installation.installFromFolder(folder, plan, self._onInstallerLine))

    def _onRepair(self) -> None:
        if slicer.util.confirmOkCancelDisplay(
            repairQuestion(self._torchVersion), _("AGUNETR - Repair PyTorch")
        ):
            self._do(lambda: self._installation.repairTorch(self._onInstallerLine))

    def _plan(self):
        try:
            return self._installation.plan()
        except SegmentationError as error:
            self._tellProblem(error)
            return None

    def _do(self, install) -> None:
        """Install; the health check then says whether it was of use."""
        self._logic.stop()  # the worker holds files of the packages; the next run starts another
        self._installing = True
        self._problem = ""
        self._say(_("Installing..."))
        self._panel.update()
        error = None
        try:
            install()
        except SegmentationError as caught:
            error = caught
        finally:
            self._installing = False
            self.look()
        if error:
            self._tellProblem(error)
            self._panel.update()
        else:
            self._startCheck()

    def _onInstallerLine(self, line: str) -> None:
        # The installers let the application draw between two lines, so this is seen.
        if line.strip():
            self._say(line.strip()[:200])

    # Telling

    def _tellProblem(self, error: SegmentationError) -> None:
        self._problem = str(error)
        self._say(str(error))
        if error.details:
            self._panel.log("error", error.details)

    def _onCopyDiagnostics(self) -> None:
        slicer.app.clipboard().setText(self.diagnostics())
        self._say(_("The diagnostics are on the clipboard."))

    def diagnostics(self) -> str:
        """Everything that helps to help, without anything personal."""
        report = self._health.report
        application = {
            "Slicer": f"{slicer.app.applicationVersion} revision {slicer.app.revision}",
            "Built for": f"{slicer.app.os} {slicer.app.arch}",
        }
        return diagnosticsText(
            application,
            self.lines(),
            report.findings if report else (),
            installedVersions(),
            "\n".join(self._installation.output),
            self._problem,
        )


# What a state looks like, by the application's own icons, and what it is called. Functions: Qt and the language are
# there only when the panel is.
_STATES = {
    READY: (lambda: qt.QStyle.SP_DialogApplyButton, lambda: _("Ready")),
    HINT: (lambda: qt.QStyle.SP_MessageBoxInformation, lambda: _("Works; something would help")),
    UNKNOWN: (lambda: qt.QStyle.SP_MessageBoxQuestion, lambda: _("Not tried yet")),
    MISSING: (lambda: qt.QStyle.SP_MessageBoxWarning, lambda: _("Missing")),
    BROKEN: (lambda: qt.QStyle.SP_MessageBoxCritical, lambda: _("Does not work")),
}

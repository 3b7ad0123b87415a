"""The panel's packages: what training needs beside segmenting, installed on a click where it is missing."""

from __future__ import annotations

from pathlib import Path

import slicer.util

from AGUNETRSegmentLib.errors import SegmentationError
from AGUNETRSegmentLib.installation_question import installQuestion
from AGUNETRSegmentLib.package_installation import InstallationPlan, PackageInstallation
from AGUNETRSegmentLib.setup_state import requirementName
from AGUNETRSegmentLib.translation import _

REQUIREMENTS_FILE = Path(__file__).resolve().parents[1] / "Resources" / "AGUNETRTrain-requirements.txt"


class PackagesSection:
    """Shown only where something is missing.

    :param ui: the widgets by name.
    :param logic: the module's logic.
    :param panel: the panel, see :class:`.train_panel.TrainPanel`.
    :param installations: those of segmenting and of training, in their order; a test hands in its own.
    """

    def __init__(self, ui, logic, panel, installations=None) -> None:
        self._ui, self._panel = ui, panel
        self._installations = installations or [PackageInstallation(), PackageInstallation(REQUIREMENTS_FILE)]
        self._missing: list[str] = []
        self._told = ""
        self._installing = False
        ui.installPackagesButton.connect("clicked(bool)", self._onInstall)

    def setParameterNode(self, parameterNode) -> None:
        """Look at what is installed when the panel is shown; the scene has no part in it."""
        if parameterNode and not self._installing:
            self._look()

    def update(self) -> None:
        """Show what is missing."""
        button = self._ui.installPackagesButton
        self._ui.packagesWidget.visible = bool(self._missing or self._told)
        button.visible = bool(self._missing)
        button.enabled = not self._installing and not self._panel.training.running
        self._ui.packagesLabel.text = self._told or _("Training needs packages that Slicer does not have: {names}."
                                                      ).format(names=", ".join(self._missing))

    def problem(self) -> str:
        """Why no training can begin."""
        if self._installing:
            return _("Packages are being installed.")
        return _("Install the missing packages first: {names}.").format(
            names=", ".join(self._missing)) if self._missing else ""

    def close(self) -> None:
        """Nothing is left."""

    def _look(self) -> None:
        self._told = ""
        try:
            torch = self._installations[0].torchVersion()
            missing = [requirementName(name) for one in self._installations for name in one.missing()]
        except SegmentationError as error:  # this Slicer cannot tell: training itself will say what it lacks
            self._missing, self._told = [], str(error)
            return
        optional = {"openvino"}  # makes segmenting faster, not training
        self._missing = (["torch"] if torch is None else []) + [name for name in missing if name not in optional]

    def _onInstall(self, _checked: bool = False) -> None:
        try:
            plans = [one.plan() for one in self._installations]
        except SegmentationError as error:
            self._tell(error)
            return
        whole = InstallationPlan(
            plans[0].torch, tuple(name for plan in plans for name in plan.packages), plans[0].folder,
            plans[0].freeBytes)
        if slicer.util.confirmOkCancelDisplay(installQuestion(whole), _("AGUNETR - Install packages")):
            self._install()

    def _install(self) -> None:
        self._installing = True
        self._told = _("Installing...")
        self._panel.update()
        failure = None
        try:
            for one in self._installations:
                plan = one.plan()  # anew: the one before may have brought what this one needs
                if plan.torch or plan.packages:
                    one.install(plan, self._onLine)
        except SegmentationError as error:
            failure = error
        finally:
            self._installing = False
            self._look()
        if failure:
            self._tell(failure)
        self._panel.update()

    def _onLine(self, line: str) -> None:
        # The installers let the application draw between two lines, so this is seen.
        if line.strip():
            self._ui.packagesLabel.text = line.strip()[:200]

    def _tell(self, error: SegmentationError) -> None:
        self._told = str(error)
        if error.details:
            self._panel.log("error", error.details)
        self._panel.update()

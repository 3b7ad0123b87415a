"""Installing what the engine needs: PyTorch by the PyTorch extension, the rest by slicer.packaging.

Nothing here asks the user; the Setup section does, with what :meth:`PackageInstallation.plan` says, before it calls.
Nothing here runs when the module is loaded, and in Slicer's testing mode nothing is installed at all.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import slicer

from .errors import SegmentationError
from .package_constraints import canonicalName, constrainedPip, writeConstraints
from .pip_reasons import failureReason
from .printed_lines import printedLines
from .pytorch_extension import installTorch, pyTorchLogic, uninstallTorch
from .setup_state import OPTIONAL, TORCH_REQUIREMENT, requiredOnly, requirementName, torchIsTooOld
from .translation import _
from .windows_paths import charactersTooMany, longPathsAreOn

REQUIREMENTS_FILE = Path(__file__).resolve().parents[1] / "Resources" / "AGUNETRSegment-requirements.txt"
REQUESTER = "AGUNETR"
OUTPUT_LINES = 2000


@dataclass(frozen=True)
class InstallationPlan:
    """What an installation would do.

    :ivar torch: whether PyTorch is installed.
    :ivar packages: requirements that are not met.
    :ivar folder: where packages go.
    :ivar freeBytes: what is free there.
    """

    torch: bool
    packages: tuple[str, ...]
    folder: Path
    freeBytes: int


class PackageInstallation:
    """Looks at and changes the packages of Slicer's Python.

    :param requirementsFile: what is needed beside PyTorch.
    :param packaging: gives ``slicer.packaging``; a test hands in its own.
    :param torchLogic: gives the PyTorch extension's logic.
    :ivar output: the lines that the last installation printed.
    """

    def __init__(
        self, requirementsFile: Path = REQUIREMENTS_FILE, packaging: Callable | None = None,
        torchLogic: Callable = pyTorchLogic,
    ) -> None:  # fmt: skip
        self._requirementsFile = requirementsFile
        self._packaging = packaging or _slicerPackaging
        self._torchLogic = torchLogic
        self.output: list[str] = []

    @staticmethod
    def torchVersion() -> str | None:
        """The installed PyTorch's version by its own words, without importing it."""
        importlib.invalidate_caches()
        try:
            return importlib.metadata.version("torch") or None
        except importlib.metadata.PackageNotFoundError:
            return None

    def missing(self) -> list[str]:
        """The requirements that are not met.

        :raises SegmentationError: this Slicer cannot tell.
        """
        importlib.invalidate_caches()
        packaging = self._packaging()
        wanted = packaging.load_requirements(self._requirementsFile)
        return [str(requirement) for requirement in wanted if not packaging.pip_check(requirement)]

    def plan(self) -> InstallationPlan:
        """What :meth:`install` would do.

        :raises SegmentationError: it could not do it: the folder is not writable or too deep, this Slicer is too old.
        """
        version = self.torchVersion()
        torch = version is None or torchIsTooOld(version)
        folder = Path(sysconfig.get_paths()["purelib"])
        if not os.access(folder, os.W_OK):
            raise SegmentationError(
                "permission", _('Slicer\'s folder cannot be written to ("{path}").').format(path=folder),
                _("Install Slicer in a folder of your own, or start it once as administrator to install."))
        tooMany = charactersTooMany(str(folder), longPathsAreOn()) if torch else 0
        if tooMany:
            raise SegmentationError(
                "path",
                _('Slicer lies too deep for PyTorch: paths in "{path}" would be {count} characters too long.').format(
                    path=folder, count=tooMany),
                _("Switch on long paths in Windows, or install Slicer in a shorter folder, such as C:\\Slicer."))
        return InstallationPlan(torch, tuple(self.missing()), folder, shutil.disk_usage(folder).free)

    def install(self, plan: InstallationPlan, heard: Callable[[str], None]) -> None:
        """Install what the plan names.

        :param heard: takes each line of the installers' output.
        :raises SegmentationError: it failed; what was installed before stays.
        """
        self._begin()
        if plan.torch:
            logic = self._torchLogic()
            if self.torchVersion() is not None:
                self._removeTorch(lambda: uninstallTorch(logic), heard)
            self._installTorch(logic, heard)
        # After PyTorch, never before: the other packages would bring one along that is not made for this computer.
        packaging = self._packaging()
        wanted = packaging.load_requirements(self._requirementsFile)
        self._run(heard, lambda constraints: packaging.pip_ensure(
            wanted, constraints=constraints, prompt_install=False, requester=REQUESTER))
        self._refuseHalfDone(self.missing())

    def installFromFolder(self, folder: Path, plan: InstallationPlan, heard: Callable[[str], None]) -> list[str]:
        """Install from a folder of wheels, without any network; also PyTorch, which then is what lies in the folder.

        :returns: the names of optional packages that the folder does not hold.
        :raises SegmentationError: it failed.
        """
        self._begin()
        try:
            names = {canonicalName(path.name.split("-")[0]) for path in folder.iterdir() if path.suffix == ".whl"}
        except OSError as error:
            raise SegmentationError(
                "input", _('The folder "{folder}" cannot be read: {reason}.').format(
                    folder=folder, reason=error.strerror or error),
                _("Copy the wheels into a folder of your own and choose that one.")) from error
        if not names:
            raise SegmentationError(
                "input", _('"{folder}" holds no wheels (files that end in .whl).').format(folder=folder),
                _("Choose the folder that the wheels were downloaded into; the README says how."))
        left = [
            requirementName(requirement) for requirement in plan.packages
            if requirementName(requirement) in OPTIONAL and requirementName(requirement) not in names
        ]
        wanted = [requirement for requirement in plan.packages if requirementName(requirement) not in left]
        packaging = self._packaging()
        if plan.torch:
            wanted.insert(0, f"torch{TORCH_REQUIREMENT}")
            if self.torchVersion() is not None:
                self._removeTorch(lambda: packaging.pip_uninstall(["torch"]), heard)
        if wanted:
            arguments = ["--no-index", "--find-links", str(folder), *wanted]
            self._run(heard, lambda constraints: packaging.pip_install(
                arguments, constraints=constraints, requester=REQUESTER), keepTorch=not plan.torch)
        self._refuseHalfDone([item for item in self.missing() if requirementName(item) not in left])
        return left

    def repairTorch(self, heard: Callable[[str], None]) -> None:
        """Remove PyTorch and install it anew: pip takes a half installed one for installed.

        :raises SegmentationError: it failed, or this process has PyTorch loaded, so that its files must stay.
        """
        self._begin()
        logic = self._torchLogic()
        self._removeTorch(lambda: uninstallTorch(logic), heard)
        self._installTorch(logic, heard)

    def _begin(self) -> None:
        self.output = []
        if slicer.app.testingEnabled():
            raise SegmentationError("testing", _("Slicer is in testing mode: nothing is installed."))

    def _removeTorch(self, remove: Callable[[], object], heard: Callable[[str], None]) -> None:
        if "torch" in sys.modules:
            raise SegmentationError(
                "restart", _("Another module has loaded PyTorch into this Slicer, so its files cannot be replaced."),
                _("Start Slicer again and install before you use another module."))
        self._run(heard, lambda _constraints: remove())

    def _installTorch(self, logic, heard: Callable[[str], None]) -> None:
        done: list[bool] = []
        self._run(heard, lambda _constraints: done.append(installTorch(logic)), keepTorch=False)
        if not done[0]:
            raise SegmentationError("cancelled", _("PyTorch was not installed: the PyTorch extension was told not to."))

    def _run(self, heard: Callable[[str], None], action: Callable[[Path], object], keepTorch: bool = True) -> None:
        """Do one step with constrained pips, keeping what it prints; its failure becomes a sentence."""

        def keep(line: str) -> None:
            self.output.append(line)
            del self.output[:-OUTPUT_LINES]
            heard(line)

        with tempfile.TemporaryDirectory(prefix="AGUNETR-pip-", ignore_cleanup_errors=True) as folder:
            constraints = writeConstraints(Path(folder), installedVersions(), keepTorch)
            try:
                with constrainedPip(constraints), printedLines(keep):
                    action(constraints)
            except SegmentationError:
                raise
            except Exception as error:  # of another module's making: whatever it is, the user gets the reason
                code = error.returncode if isinstance(error, subprocess.CalledProcessError) else None
                if getattr(error, "restartRequired", False):
                    raise SegmentationError(
                        "restart", _("Slicer must be started again before PyTorch can be installed."),
                        _("Start Slicer again, then press Install.")) from error
                text = "\n".join(self.output)
                if not text.strip() or code is None:
                    text = f"{text}\nERROR: {error}"
                reason = failureReason(text, code)
                raise SegmentationError(reason.kind, reason.message, reason.remedy, "\n".join(self.output)) from error

    @staticmethod
    def _refuseHalfDone(missing: Sequence[str]) -> None:
        """pip may say that all went well when it skipped something."""
        left = requiredOnly(missing)
        if left:
            raise SegmentationError(
                "half done", _("Still missing: {names}.").format(names=", ".join(map(requirementName, left))),
                _("Start Slicer again; if it stays so, copy the diagnostics and ask for help."))


def installedVersions() -> dict[str, str]:
    """The versions of all installed packages by name."""
    importlib.invalidate_caches()
    found: dict[str, str] = {}
    for distribution in importlib.metadata.distributions():
        name, version = distribution.metadata["Name"], distribution.metadata["Version"]
        if name and version:  # a half removed package has neither
            found.setdefault(canonicalName(name), version)
    return found


def _slicerPackaging():
    try:
        return importlib.import_module("slicer.packaging")
    except ModuleNotFoundError as error:
        raise SegmentationError(
            "dependencies", _("This Slicer cannot install the packages that AGUNETR needs."),
            _("Use Slicer 5.12 or newer.")) from error

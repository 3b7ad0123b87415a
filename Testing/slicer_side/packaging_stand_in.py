"""``slicer.packaging`` and the PyTorch extension as far as the Setup section asks for them; nothing is installed."""

# -*- i18n: disabled -*-

from __future__ import annotations

import importlib.metadata
import os
import subprocess
from pathlib import Path

from AGUNETRSegmentLib.package_constraints import PIP_VARIABLE
from AGUNETRSegmentLib.setup_state import requirementName


class Packaging:
    """``slicer.packaging`` with an imagined set of installed packages.

    :ivar calls: what was asked for, as tuples.
    :ivar output: what the next pip prints; ``fails`` makes it fail.
    """

    def __init__(self, installed=()) -> None:
        self.installed = set(installed)
        self.calls: list[tuple] = []
        self.output = "Collecting monai\nSuccessfully installed monai"
        self.fails = False
        self.forgets: set[str] = set()
        self.constraints = ""

    def load_requirements(self, path) -> list[str]:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
        return [line for line in lines if line and not line.startswith("#")]

    def pip_check(self, requirement) -> bool:
        return requirementName(str(requirement)) in self.installed

    def pip_ensure(self, requirements, constraints=None, prompt_install=True, requester=None):
        self.calls.append(("ensure", [str(item) for item in requirements], prompt_install))
        self._pip([str(item) for item in requirements], constraints)

    def pip_install(self, requirements, constraints=None, requester=None):
        self.calls.append(("install", list(requirements)))
        self._pip([item for item in requirements if item[0] not in "-/"], constraints)

    def pip_uninstall(self, requirements):
        self.calls.append(("uninstall", list(requirements)))

    def _pip(self, requirements, constraints) -> None:
        self.constraints = Path(constraints).read_text(encoding="utf-8")
        print(self.output)
        if self.fails:
            raise subprocess.CalledProcessError(1, "pip install")
        self.installed |= {requirementName(item) for item in requirements} - self.forgets


class PyTorch:
    """The logic of the PyTorch extension."""

    def __init__(self, calls=None, fails=False, answer="torch") -> None:
        self.calls = [] if calls is None else calls
        self.fails, self.answer = fails, answer

    def installTorch(self, askConfirmation=False, forceComputationBackend=None, torchVersionRequirement=None):
        self.calls.append(("torch", torchVersionRequirement, os.environ.get(PIP_VARIABLE)))
        print("Collecting torch")
        if self.fails:
            print("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device")
            raise subprocess.CalledProcessError(1, "light_the_torch install torch")
        return self.answer

    def uninstallTorch(self, askConfirmation=False, forceComputationBackend=None):
        self.calls.append(("uninstallTorch",))


class RealLook(Packaging):
    """Says of each requirement whether this interpreter has the package, whatever its version."""

    def pip_check(self, requirement) -> bool:
        try:
            return bool(importlib.metadata.version(requirementName(str(requirement))))
        except importlib.metadata.PackageNotFoundError:
            return False

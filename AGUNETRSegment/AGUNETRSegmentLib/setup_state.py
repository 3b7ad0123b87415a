"""What the three lines of the Setup section say: of versions, missing packages, models and the health check."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .package_constraints import canonicalName
from .translation import _

READY, HINT, UNKNOWN, MISSING, BROKEN = "ready", "hint", "unknown", "missing", "broken"
TORCH_NEEDED = (2, 8)
TORCH_REQUIREMENT = ">=2.8"
OPTIONAL = frozenset({"openvino"})


@dataclass(frozen=True)
class SetupLine:
    """One line of the section.

    :ivar state: ``ready``; ``hint``: works, something would help; ``unknown``: there, but not tried yet; ``missing``;
      ``broken``: there, and does not work.
    :ivar text: one or two sentences, with what to do where something is to be done.
    """

    state: str
    text: str

    @property
    def ready(self) -> bool:
        """Whether segmentation can run as far as this line knows."""
        return self.state in (READY, HINT, UNKNOWN)


@dataclass(frozen=True)
class SetupFacts:
    """What is known without having tried it.

    :ivar torchVersion: of the installed PyTorch by its own words; None where there is none.
    :ivar missing: requirements that are not met, as the requirements file writes them; None while not looked for.
    :ivar models: how many usable models there are; None while the worker has not said.
    :ivar brokenModels: how many folders hold no usable model.
    :ivar findings: of the health check (``agunetr doctor``), empty where it has not run.
    """

    torchVersion: str | None = None
    missing: Sequence[str] | None = None
    models: int | None = None
    brokenModels: int = 0
    findings: Sequence[Mapping] = field(default_factory=tuple)

    @property
    def checked(self) -> bool:
        """Whether the health check has run."""
        return bool(self.findings)


def requirementName(requirement: str) -> str:
    """The package's name in ``"monai>=1.6.1; marker"``."""
    return canonicalName(re.match(r"\s*([A-Za-z0-9._-]+)", requirement).group(1))


def torchIsTooOld(version: str) -> bool:
    """Whether a version such as ``2.2.2+cpu`` is below the oldest usable one; unreadable ones are not."""
    numbers = re.match(r"(\d+)\.(\d+)", version)
    return bool(numbers) and tuple(map(int, numbers.groups())) < TORCH_NEEDED


def requiredOnly(missing: Sequence[str]) -> list[str]:
    """The missing packages without which nothing works."""
    return [requirement for requirement in missing if requirementName(requirement) not in OPTIONAL]


def torchLine(facts: SetupFacts) -> SetupLine:
    """PyTorch."""
    broken = _finding(facts, "PyTorch", "broken")
    found = str(broken.get("found", "")) if broken else ""
    # Files without a record of them: pip and Slicer see nothing there, and cannot install over it in peace.
    if broken and (facts.torchVersion is not None or "half installed" in found):
        return SetupLine(BROKEN, _("PyTorch {found}. Press Repair PyTorch.").format(found=_sentence(found)))
    if facts.torchVersion is None:
        return SetupLine(MISSING, _("PyTorch is not installed. Press Install."))
    if torchIsTooOld(facts.torchVersion):
        return SetupLine(
            BROKEN,
            _("PyTorch {version} is too old, {needed} or newer is needed. Press Repair PyTorch.").format(
                version=facts.torchVersion, needed=".".join(map(str, TORCH_NEEDED))
            ),
        )
    if not facts.checked:
        return SetupLine(UNKNOWN, _("PyTorch {version} is there; not tried yet.").format(version=facts.torchVersion))
    gpus = [finding for finding in facts.findings if str(finding.get("name", "")).startswith("GPU")]
    hints = [finding for finding in gpus if finding.get("state") != "good" and not _noGpuAtAll(finding)]
    if hints:
        return SetupLine(
            HINT,
            _("PyTorch {version} works on the CPU. {found}. {advice}").format(
                version=facts.torchVersion, found=_sentence(hints[0].get("found")), advice=hints[0].get("advice", "")
            ),
        )
    return SetupLine(
        READY,
        _("PyTorch {version} works; it computes on {device}.").format(
            version=facts.torchVersion, device=_deviceTitle(facts, gpus)
        ),
    )


def packagesLine(facts: SetupFacts) -> SetupLine:
    """The other packages."""
    if facts.missing is None:
        return SetupLine(UNKNOWN, _("The other packages were not looked for yet."))
    required = requiredOnly(facts.missing)
    if required:
        names = ", ".join(requirementName(requirement) for requirement in required)
        return SetupLine(MISSING, _("Not installed: {names}. Press Install.").format(names=names))
    broken = _finding(facts, "libraries", "broken")
    if broken:
        return SetupLine(
            BROKEN, _("The other packages do not work: {found}. Press Install.").format(found=broken.get("found", ""))
        )
    if facts.missing:
        return SetupLine(HINT, _("The other packages are there. OpenVINO, which is not, makes CPUs faster."))
    openvino = _finding(facts, "OpenVINO", "hint")
    if openvino:
        return SetupLine(
            HINT,
            _("The other packages are there. OpenVINO: {found}.").format(found=_sentence(openvino.get("found"))),
        )
    return SetupLine(READY, _("The other packages are there."))


def modelsLine(facts: SetupFacts) -> SetupLine:
    """The models."""
    if facts.models is None:
        return SetupLine(UNKNOWN, _("The models were not looked for yet."))
    if facts.models == 0:
        return SetupLine(MISSING, _("No model can be used. Import one under Models."))
    text = (
        _("1 model is there.") if facts.models == 1 else _("{count} models are there.").format(count=facts.models)
    )
    if facts.brokenModels:
        more = _("{count} folders hold none that can be used; the log says why.").format(count=facts.brokenModels)
        return SetupLine(HINT, f"{text} {more}")
    return SetupLine(READY, text)


def otherFindings(facts: SetupFacts) -> list[str]:
    """What else the health check would change, a line each; the three lines say the rest."""
    shown = ("PyTorch", "libraries", "OpenVINO", "GPU", "device", "precision", "model")
    return [
        _("{name}: {found}. {advice}").format(
            name=finding.get("name", ""), found=_sentence(finding.get("found")), advice=finding.get("advice", "")
        )
        for finding in facts.findings
        if finding.get("state") != "good" and not str(finding.get("name", "")).startswith(shown)
    ]


def _finding(facts: SetupFacts, name: str, state: str | None = None) -> Mapping | None:
    for finding in facts.findings:
        if finding.get("name") == name and state in (None, finding.get("state")):
            return finding
    return None


def _deviceTitle(facts: SetupFacts, gpus: Sequence[Mapping]) -> str:
    """Where networks compute unless the user chooses, for people."""
    device = str((_finding(facts, "device") or {}).get("found", ""))
    if device.startswith("mps"):
        return _("Apple's GPU")
    if device.startswith("cuda") and gpus:
        return str(gpus[0].get("found", "")).split(",")[0]
    return _("the CPU")


def _noGpuAtAll(finding: Mapping) -> bool:
    """A machine without a GPU is no fault of the installation."""
    return finding.get("name") == "GPU" and finding.get("found") == "none found"


def _sentence(text: object) -> str:
    return str(text or "").strip().rstrip(".")

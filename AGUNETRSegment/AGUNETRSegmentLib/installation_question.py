"""What is asked before anything is installed: what, from where, how large, into which folder."""

from __future__ import annotations

from pathlib import Path

from .package_constraints import BUNDLED
from .setup_state import requirementName
from .translation import _

GIGABYTE = 1e9
TORCH_ON_DISK = 7e9  # with a GPU's libraries; about 1 GB without


def installQuestion(plan) -> str:
    """The question for an :class:`.package_installation.InstallationPlan` over the network."""
    parts = [_("AGUNETR needs packages that Slicer does not have. Install them now?")]
    what = []
    if plan.torch:
        what.append(
            _("PyTorch, by the PyTorch extension: 0.2 to 3 GB to download, depending on the GPU. Slicer does not "
              "react at times while it is downloaded."))  # fmt: skip
    if plan.packages:
        names = ", ".join(map(requirementName, plan.packages))
        what.append(_("{names}: about 0.1 GB to download, from the package index that pip uses.").format(names=names))
    parts += [f"- {line}" for line in what]
    return "\n\n".join([parts[0], "\n".join(parts[1:]), *_place(plan)])


def folderQuestion(plan, folder: Path) -> str:
    """The question for an installation from a folder of wheels."""
    names = [*(["torch"] if plan.torch else []), *map(requirementName, plan.packages)]
    parts = [_('Install {names} from "{folder}"? No network is used.').format(names=", ".join(names), folder=folder)]
    if plan.torch:
        parts.append(
            _("PyTorch is then the one that lies in the folder, installed by pip: the PyTorch extension, which would "
              "choose the one for this computer, needs the network."))  # fmt: skip
    return "\n\n".join([*parts, *_place(plan)])


def repairQuestion(version: str | None) -> str:
    """The question before PyTorch is removed and installed anew."""
    return "\n\n".join([
        _("Remove PyTorch {version} and install it anew? Other extensions use the same one.").format(
            version=version or ""),
        _("The PyTorch extension downloads 0.2 to 3 GB, depending on the GPU."),
    ])  # fmt: skip


def _place(plan) -> list[str]:
    parts = [
        _('They go into "{folder}", where {free:.0f} GB are free. Slicer\'s own packages ({kept} and others) stay as '
          "they are.").format(folder=plan.folder, free=plan.freeBytes / GIGABYTE, kept=_someKept())]  # fmt: skip
    if plan.torch and plan.freeBytes < TORCH_ON_DISK:
        parts.append(_("That may be too little: PyTorch with a GPU's libraries takes about 7 GB."))
    return parts


def _someKept() -> str:
    return ", ".join(sorted(BUNDLED & {"numpy", "scipy", "simpleitk"}))

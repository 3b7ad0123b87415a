"""The PyTorch extension, which knows the right PyTorch for this computer; spoken to by what it offers here and now.

Its installer has changed its arguments before. Only those that it has are passed, and nothing of it is imported before
somebody asks for an installation: importing PyTorch into the application is its way to say whether it is there.
"""

from __future__ import annotations

import importlib
import inspect

from .errors import SegmentationError
from .setup_state import TORCH_REQUIREMENT
from .translation import _


def pyTorchLogic():
    """The extension's logic.

    :raises SegmentationError: the extension is not installed, or is one that this module cannot use.
    """
    try:
        logicClass = importlib.import_module("PyTorchUtils").PyTorchUtilsLogic
    except ModuleNotFoundError as error:
        raise SegmentationError(
            "dependencies",
            _("The PyTorch extension is not installed."),
            _("Install it in the Extensions Manager and start Slicer again, or install from a folder of wheels."),
        ) from error
    except AttributeError as error:
        raise SegmentationError(
            "dependencies",
            _("This version of the PyTorch extension is unknown to AGUNETR."),
            _("Install PyTorch in the module PyTorch Utils, then press Check."),
        ) from error
    return logicClass()


def installTorch(logic) -> bool:
    """Install PyTorch for this computer; False where the extension's own question was answered with no.

    What it prints is not returned: listen to it. Whatever it raises is passed on.
    """
    wanted = {"askConfirmation": False, "torchVersionRequirement": TORCH_REQUIREMENT}
    try:
        return logic.installTorch(**_known(logic.installTorch, wanted)) is not None
    except ImportError:
        return True  # installed, but it does not start in this process: the health check says whether it does at all


def uninstallTorch(logic) -> None:
    """Remove PyTorch, so that a damaged one does not count as installed."""
    logic.uninstallTorch(**_known(logic.uninstallTorch, {"askConfirmation": False}))


def _known(function, arguments: dict) -> dict:
    """Those of the arguments that the function takes."""
    parameters = inspect.signature(function).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return arguments
    names = {parameter.name for parameter in parameters}
    return {name: value for name, value in arguments.items() if name in names}

"""Installing: in the right order, with Slicer's own packages pinned, and with the reason when it fails."""

# -*- i18n: disabled -*-

from __future__ import annotations

import os
import subprocess
import sys
import types
from pathlib import Path

import pytest
import slicer
from packaging_stand_in import Packaging, PyTorch

from AGUNETRSegmentLib import package_installation, pytorch_extension
from AGUNETRSegmentLib.errors import SegmentationError
from AGUNETRSegmentLib.package_constraints import (
    BUNDLED,
    PIP_VARIABLE,
    constrainedPip,
    constraintLines,
    writeConstraints,
)
from AGUNETRSegmentLib.package_installation import InstallationPlan, PackageInstallation

NEEDED = ("monai", "einops", "safetensors", "openvino")


@pytest.fixture(autouse=True)
def application(monkeypatch):
    """Not in testing mode, with some packages installed, and with no PyTorch imported by a test that ran before."""
    stand = types.SimpleNamespace(testingEnabled=lambda: False)
    monkeypatch.setattr(slicer, "app", stand, raising=False)
    versions = {"numpy": "2.4.6", "torch": "2.13.0+cu130", "einops": "0.8.2"}
    monkeypatch.setattr(package_installation, "installedVersions", lambda: versions)
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.delenv(PIP_VARIABLE, raising=False)
    return stand


def installer(packaging=None, torch=None, version=None):
    packaging, torch = packaging or Packaging(), torch or PyTorch()
    made = PackageInstallation(packaging=lambda: packaging, torchLogic=lambda: torch)
    made.torchVersion = lambda: version
    return made


PLAN = InstallationPlan(True, tuple(f"{name}>=1" for name in NEEDED), Path("packages"), int(9e9))
heard: list[str] = []


def failure(call) -> SegmentationError:
    with pytest.raises(SegmentationError) as caught:
        call()
    assert caught.value.message.endswith(".") and "\n" not in str(caught.value)
    return caught.value


def test_pytorch_by_its_extension_then_the_rest_by_slicer_and_nothing_asks_again():
    calls: list = []
    packaging, torch = Packaging(), PyTorch(calls)
    packaging.calls = calls
    made = installer(packaging, torch)
    lines: list[str] = []
    made.install(PLAN, lines.append)
    assert [call[0] for call in calls] == ["torch", "ensure"] and calls[1][2] is False
    assert calls[0][1] == ">=2.8"
    assert not any("torch" in item for item in calls[1][1]), "PyTorch never comes from pip"
    assert "Collecting torch" in lines and lines == made.output


def test_what_slicer_came_with_stays(tmp_path):
    calls: list = []
    packaging = Packaging()
    installer(packaging, PyTorch(calls)).install(PLAN, heard.append)
    assert packaging.constraints == "numpy==2.4.6\ntorch==2.13.0+cu130\n", "also PyTorch, but not what is asked for"
    assert calls[0][2].startswith("file:///"), "the PyTorch extension's pip obeys, too"
    assert PIP_VARIABLE not in os.environ
    assert {"numpy", "scipy", "simpleitk", "pydicom", "requests"} <= BUNDLED
    assert constraintLines({"SimpleITK": "2.5.5", "typing_extensions": "4.15.0", "torch": "2.13"}, keepTorch=False) == [
        "simpleitk==2.5.5", "typing-extensions==4.15.0"]


def test_the_constraints_reach_a_real_pip(tmp_path):
    """pip splits the variable at blanks; a folder's name may have some."""
    folder = tmp_path / "with a blank"
    folder.mkdir()
    with constrainedPip(writeConstraints(folder, {"numpy": "0.0.1"})):
        done = subprocess.run(
            [sys.executable, "-m", "pip", "install", "--dry-run", "--no-index", "--no-deps", "numpy"],
            capture_output=True, encoding="utf-8", timeout=120)  # fmt: skip
    if "No module named pip" in done.stderr:
        pytest.skip("no pip here")
    assert done.returncode != 0 and "numpy==0.0.1" in done.stdout + done.stderr


def test_a_variable_of_the_user_is_kept(monkeypatch, tmp_path):
    monkeypatch.setenv(PIP_VARIABLE, "mine.txt")
    with constrainedPip(writeConstraints(tmp_path, {})):
        assert os.environ[PIP_VARIABLE].startswith("mine.txt file:///")
    assert os.environ[PIP_VARIABLE] == "mine.txt"


def test_the_reason_is_told_and_the_variable_gone():
    error = failure(lambda: installer(torch=PyTorch(fails=True)).install(PLAN, heard.append))
    assert error.kind == "space" and "No space left" in error.details
    assert PIP_VARIABLE not in os.environ
    packaging = Packaging()
    packaging.fails, packaging.output = True, "ERROR: No matching distribution found for monai>=1.6.1"
    error = failure(lambda: installer(packaging, version="2.13.0").install(
        InstallationPlan(False, PLAN.packages, Path("x"), 1), heard.append))
    assert "monai" in error.message and "exit status" not in error.message


def test_a_pip_that_says_all_is_well_is_not_believed():
    packaging = Packaging()
    packaging.forgets = {"einops"}
    error = failure(lambda: installer(packaging).install(PLAN, heard.append))
    assert "einops" in error.message


def test_the_extension_may_be_told_no_or_ask_for_a_restart():
    assert failure(lambda: installer(torch=PyTorch(answer=None)).install(PLAN, heard.append)).kind == "cancelled"
    torch = PyTorch()

    class RestartFirst(Exception):
        restartRequired = True

    def installTorch(**_arguments):
        raise RestartFirst

    torch.installTorch = installTorch
    assert failure(lambda: installer(torch=torch).install(PLAN, heard.append)).kind == "restart"


def test_nothing_is_installed_in_testing_mode(application, tmp_path):
    application.testingEnabled = lambda: True
    packaging, torch = Packaging(), PyTorch()
    made = installer(packaging, torch)
    for call in (
        lambda: made.install(PLAN, heard.append),
        lambda: made.installFromFolder(tmp_path, PLAN, heard.append),
        lambda: made.repairTorch(heard.append),
    ):
        assert failure(call).kind == "testing"
    assert packaging.calls == torch.calls == []


def test_from_a_folder_of_wheels(tmp_path):
    for name in ("torch-2.13.0-cp312-none-any.whl", "monai-1.6.1-py3-none-any.whl", "einops-0.8.2-py3-none-any.whl",
                 "safetensors-0.8.0-x.whl"):  # fmt: skip
        (tmp_path / name).touch()
    packaging, torch = Packaging(), PyTorch()
    left = installer(packaging, torch).installFromFolder(tmp_path, PLAN, heard.append)
    ((_, arguments),) = packaging.calls
    assert arguments[:3] == ["--no-index", "--find-links", str(tmp_path)] and arguments[3] == "torch>=2.8"
    assert left == ["openvino"] and not any("openvino" in item for item in arguments), "what is only faster may lack"
    assert torch.calls == [], "the extension would want the network"
    assert packaging.constraints == "numpy==2.4.6\n"


def test_a_folder_that_cannot_be_read_is_a_sentence(application, tmp_path):
    error = failure(lambda: installer().installFromFolder(tmp_path / "taken away", PLAN, heard.append))
    assert error.kind == "input" and "taken away" in error.message and "cannot be read" in error.message


def test_a_folder_without_wheels(tmp_path):
    error = failure(lambda: installer().installFromFolder(tmp_path, PLAN, heard.append))
    assert str(tmp_path) in error.message


def test_repair_removes_first_and_refuses_where_files_are_in_use(monkeypatch):
    torch = PyTorch()
    installer(torch=torch, version="2.13.0").repairTorch(heard.append)
    assert [call[0] for call in torch.calls] == ["uninstallTorch", "torch"]
    monkeypatch.setitem(sys.modules, "torch", types.ModuleType("torch"))
    assert failure(lambda: installer(torch=torch).repairTorch(heard.append)).kind == "restart"


def test_a_torch_that_is_too_old_goes_first():
    torch = PyTorch()
    installer(torch=torch, version="2.2.2").install(PLAN, heard.append)
    assert [call[0] for call in torch.calls] == ["uninstallTorch", "torch"]


def test_the_plan_looks_before_anything_is_asked(monkeypatch, tmp_path):
    monkeypatch.setattr(package_installation.sysconfig, "get_paths", lambda: {"purelib": str(tmp_path)})
    plan = installer(Packaging(("monai", "einops"))).plan()
    assert plan.torch and plan.folder == tmp_path and plan.freeBytes > 0
    assert [item.split(">")[0] for item in plan.packages] == ["safetensors", "openvino"]
    monkeypatch.setattr(package_installation, "charactersTooMany", lambda *_: 12)
    assert "12 characters" in failure(installer().plan).message
    assert installer(version="2.13.0").plan().torch is False, "no long path is at stake"
    monkeypatch.setattr(package_installation.os, "access", lambda *_: False)
    assert failure(installer().plan).kind == "permission"


def test_without_the_pytorch_extension(monkeypatch):
    monkeypatch.setitem(sys.modules, "PyTorchUtils", None)
    assert "Extensions Manager" in failure(pytorch_extension.pyTorchLogic).remedy
    monkeypatch.setitem(sys.modules, "PyTorchUtils", types.ModuleType("PyTorchUtils"))
    assert "unknown" in failure(pytorch_extension.pyTorchLogic).message


def test_an_installer_with_other_arguments_is_used_as_it_is():
    class Later:
        def installTorch(self, torchVersionRequirement=None):
            return torchVersionRequirement

        def uninstallTorch(self):
            return None

    assert pytorch_extension.installTorch(Later())
    pytorch_extension.uninstallTorch(Later())


def test_the_requirements_are_the_engines():
    """Whatever the engine's package wants and Slicer does not bring is in Slicer's requirements, no exact version."""
    import tomllib

    root = Path(package_installation.REQUIREMENTS_FILE).parents[2]
    lines = Packaging().load_requirements(package_installation.REQUIREMENTS_FILE)
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    canonical = package_installation.canonicalName
    wanted = {canonical(item.split(">")[0]) for item in project["dependencies"]}
    named = {package_installation.requirementName(line) for line in lines}
    assert wanted - BUNDLED - {"torch", "tqdm"} <= named  # tqdm draws bars in terminals
    assert not any("==" in line.split(";")[0] for line in lines) and "torch" not in named

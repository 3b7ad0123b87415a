"""The Setup section by clicking: what it shows, installing, checking and the clipboard. Nothing is really installed."""

# -*- i18n: disabled -*-

from __future__ import annotations

import json
import os
import stat
import sys
import types

import pytest

pytest.importorskip("PySide6")
import host  # noqa: E402
from packaging_stand_in import Packaging, PyTorch  # noqa: E402

GOOD = {
    "event": "doctor", "able": True, "versions": {"torch": "2.13.0"},
    "findings": [
        {"name": "PyTorch", "state": "good", "found": "2.13.0 starts", "advice": ""},
        {"name": "device", "state": "good", "found": "cpu: The CPU was taken.", "advice": ""},
        {"name": "memory", "state": "hint", "found": "1.0 of 4.0 GB available", "advice": "Close other programs."},
    ],
}  # fmt: skip
HALF = {
    "event": "doctor", "able": False,
    "findings": [{"name": "PyTorch", "state": "broken", "found": "2.13.0 is half installed: 7 of its files are missing",
                  "advice": "Uninstall."}],
}  # fmt: skip
PACKAGES = ("monai", "einops", "safetensors", "openvino")


class Computer:
    """What is installed, and what the health check will find."""

    def __init__(self, folder) -> None:
        self.packaging, self.torch = Packaging(PACKAGES), PyTorch()
        self.answer, self.asked = folder / "doctor.json", folder / "asked"
        self.finds(GOOD)

    def finds(self, report) -> None:
        self.answer.write_text(json.dumps(report), encoding="utf-8")

    @property
    def checks(self) -> int:
        """How many health checks have run."""
        return len(self.asked.read_text().splitlines()) if self.asked.exists() else 0


@pytest.fixture
def computer(tmp_path, monkeypatch):
    made = Computer(tmp_path)
    for name in ("load_requirements", "pip_check", "pip_ensure", "pip_install", "pip_uninstall"):
        assert hasattr(made.packaging, name)
    monkeypatch.setitem(sys.modules, "slicer.packaging", made.packaging)
    torch = types.ModuleType("PyTorchUtils")
    torch.PyTorchUtilsLogic = lambda: made.torch
    monkeypatch.setitem(sys.modules, "PyTorchUtils", torch)
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    return made


@pytest.fixture
def opened(computer, tmp_path, monkeypatch):
    """Opens the module, with a Slicer Python that answers the health check at once."""
    with host.application(tmp_path) as app:
        program = tmp_path / "first" / "PythonSlicer"
        program.parent.mkdir()
        program.write_text(
            f'#!/bin/sh\nif [ "$3" = doctor ]; then echo x >> "{computer.asked}"; cat "{computer.answer}"; '
            f'else exec "{sys.executable}" "$@"; fi\n')  # fmt: skip
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")

        def open_():
            widget = app.openModule("AGUNETRSegment")
            app.wait(lambda: widget.panel.modelsAreKnown, seconds=120)
            return app, widget

        yield open_


def settled(app, widget) -> None:
    app.wait(lambda: widget.panel.sections["setup"]._health.running, False, seconds=60)
    app.processEvents()


def test_the_first_start_tries_once_and_then_takes_it_as_tried(computer, opened):
    app, widget = opened()
    settled(app, widget)
    ui = widget.ui
    assert computer.checks == 1 and ui.setupCollapsibleButton.collapsed
    assert ui.torchStateLabel.toolTip == "Ready" and "works" in ui.torchSetupLabel.text
    assert ui.modelsStateLabel.toolTip == "Ready"
    assert "Close other programs" in ui.setupStatusLabel.text
    app.leaveModule()
    app.openModule("AGUNETRSegment")
    settled(app, widget)
    assert computer.checks == 1
    host.click(ui.checkSetupButton)
    settled(app, widget)
    assert computer.checks == 2


def test_models_that_could_not_be_named_before_are_named_after_a_good_check(opened):
    app, widget = opened()
    settled(app, widget)
    widget.panel.modelsAreKnown, widget.panel.models = False, []  # as where the packages were missing at the start
    widget.panel.update()
    host.click(widget.ui.checkSetupButton)
    settled(app, widget)
    app.wait(lambda: widget.panel.modelsAreKnown, seconds=120)
    assert widget.panel.models


def test_half_an_installation_is_found_and_repaired(computer, opened):
    computer.finds(HALF)
    app, widget = opened()
    settled(app, widget)
    ui = widget.ui
    assert ui.setupCollapsibleButton.collapsed is False, "what has to be done is in sight"
    assert ui.torchStateLabel.toolTip == "Does not work" and "half installed" in ui.torchSetupLabel.text
    assert "half installed" in ui.segmentButton.toolTip and not ui.segmentButton.enabled
    computer.finds(GOOD)
    host.answer("Cancel")
    host.click(ui.repairTorchButton)
    assert computer.torch.calls == []
    host.answer("Ok")
    host.click(ui.repairTorchButton)
    settled(app, widget)
    assert [call[0] for call in computer.torch.calls] == ["uninstallTorch", "torch"]
    assert ui.setupCollapsibleButton.collapsed and "can run" in ui.setupStatusLabel.text


def test_missing_packages_are_installed_after_a_question(computer, opened):
    computer.packaging.installed = {"openvino"}
    app, widget = opened()
    ui = widget.ui
    assert computer.checks == 0, "there is nothing to try yet"
    assert "monai, einops, safetensors" in ui.packagesSetupLabel.text
    assert "Open Setup" in ui.segmentButton.toolTip
    host.answer("Ok")
    host.click(ui.installButton)
    settled(app, widget)
    assert "numpy" in app.dialogs[-1][1] and "GB" in app.dialogs[-1][1]
    assert [call[0] for call in computer.packaging.calls] == ["ensure"] and computer.torch.calls == []
    assert ui.packagesStateLabel.toolTip == "Ready" and ui.setupCollapsibleButton.collapsed
    host.click(ui.installButton)
    assert "Everything is installed" in ui.setupStatusLabel.text


def test_a_failure_is_told_with_its_reason_and_kept_for_the_diagnostics(computer, opened):
    import slicer

    computer.packaging.installed = set()
    computer.packaging.fails = True
    computer.packaging.output = "Collecting monai\nERROR: [Errno 28] No space left on device"
    app, widget = opened()
    host.answer("Ok")
    host.click(widget.ui.installButton)
    assert "disk is full" in widget.ui.setupStatusLabel.text
    assert widget.ui.installButton.enabled and computer.checks == 0
    assert "No space left" in widget.ui.logTextEdit.plainText
    host.click(widget.ui.copyDiagnosticsButton)
    text = slicer.app.clipboard().text()
    for part in ("The disk is full", "No space left on device", "Python", "packages: missing", "torch "):
        assert part in text


def test_from_a_folder_of_wheels(computer, opened, tmp_path):
    computer.packaging.installed = set()
    app, widget = opened()
    host.answer("")
    host.click(widget.ui.installFromFolderButton)
    assert computer.packaging.calls == []
    host.answer(str(tmp_path), "Ok")
    host.click(widget.ui.installFromFolderButton)
    assert "holds no wheels" in widget.ui.setupStatusLabel.text
    for name in PACKAGES:
        (tmp_path / f"{name}-1.0-py3-none-any.whl").touch()
    host.answer(str(tmp_path), "Ok")
    host.click(widget.ui.installFromFolderButton)
    settled(app, widget)
    ((_, arguments),) = computer.packaging.calls
    assert "--no-index" in arguments and "can run" in widget.ui.setupStatusLabel.text


def test_every_control_says_what_it_does(opened):
    _app, widget = opened()
    for name in ("installButton", "installFromFolderButton", "checkSetupButton", "repairTorchButton",
                 "copyDiagnosticsButton", "torchSetupLabel", "importModelZipButton", "modelsTable",
                 "openModelFolderButton", "showModelCardButton", "removeModelButton"):  # fmt: skip
        assert getattr(widget.ui, name).toolTip

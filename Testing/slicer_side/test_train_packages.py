"""The packages of training: offered where they are missing, installed after a question, told of where it fails."""

from __future__ import annotations

import os
import re

import pytest

pytest.importorskip("slicer")
pytest.importorskip("PySide6")

import host
from train_panel_builder import PACKAGES, openedTrain

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-in is a shell script")


def test_nothing_is_offered_where_all_is_there(tmp_path, monkeypatch):
    with openedTrain(tmp_path, monkeypatch) as train:
        assert not train.ui.packagesWidget.visible and train.ui.startButton.enabled


def test_what_is_missing_is_named_asked_for_and_installed(tmp_path, monkeypatch):
    with openedTrain(tmp_path, monkeypatch, PACKAGES[:4]) as train:
        ui = train.ui
        assert ui.packagesLabel.text.startswith("Training needs packages that Slicer does not have: pytorch-ignite")
        assert not ui.startButton.enabled and "Install the missing packages first" in ui.startButton.toolTip
        host.answer("Cancel")
        host.click(ui.installPackagesButton)
        assert not train.packaging.calls
        train.packaging.fails, train.packaging.output = True, "ERROR: [Errno 28] No space left on device"
        host.answer("Ok")
        host.click(ui.installPackagesButton)
        assert "full" in ui.packagesLabel.text or "space" in ui.packagesLabel.text
        train.packaging.fails, train.packaging.output = False, "Successfully installed"
        host.answer("Ok")
        host.click(ui.installPackagesButton)
        assert "pytorch-ignite" in train.app.dialogs[-1][1]
        assert not ui.packagesWidget.visible and ui.startButton.enabled


def test_the_requirements_are_those_of_the_extra(project_root):
    text = (project_root / "AGUNETRTrain" / "Resources" / "AGUNETRTrain-requirements.txt").read_text(encoding="utf-8")
    project = (project_root / "pyproject.toml").read_text(encoding="utf-8")
    extra = re.search(r"^train = \[(.+)\]$", project, re.MULTILINE).group(1)
    assert [line for line in text.splitlines() if not line.startswith("#")] == re.findall(r'"([^"]+)"', extra)

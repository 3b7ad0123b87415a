"""The Models section by clicking, with the engine's own library behind it: tick, import, remove, card, folder."""

# -*- i18n: disabled -*-

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

pytest.importorskip("PySide6")
pytest.importorskip("torch", reason="importing verifies the network")
import host  # noqa: E402
import slicer.util  # noqa: E402

EMBEDDED = Path(__file__).resolve().parents[2] / "AGUNETRSegment" / "Resources" / "Models" / "compact-base"
NAMES = ["compact-base", "compact-gated"]


@pytest.fixture
def opened(tmp_path, monkeypatch):
    """The module with its two models, and an empty folder for the user's."""
    monkeypatch.setenv("AGUNETR_MODELS", str(tmp_path / "mine"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with host.application(tmp_path) as app:
        widget = app.openModule("AGUNETRSegment")
        app.wait(lambda: widget.panel.modelsAreKnown, seconds=120)
        yield app, widget


def renamed(folder: Path, name: str) -> Path:
    """A copy of a model that came with the module, under another name."""
    copy = Path(shutil.copytree(EMBEDDED, folder / name))
    path = copy / "configs" / "metadata.json"
    metadata = json.loads(path.read_text(encoding="utf-8"))
    metadata["agunetr"]["name"] = name
    path.write_text(json.dumps(metadata), encoding="utf-8")
    return copy


def changed(app, widget) -> None:
    """Wait for an import or removal and for the list that follows."""
    app.wait(lambda: widget.panel.sections["models"]._changes.running, False, seconds=240)
    app.wait(lambda: widget.logic.busy, False, seconds=120)
    app.processEvents()


def rows(widget) -> list[str]:
    table = widget.ui.modelsTable
    return [table.item(row, 0).text() for row in range(table.rowCount)]


def test_base_and_gated_are_ticked_at_the_first_start_and_stay_as_the_user_ticks_them(opened):
    app, widget = opened
    assert rows(widget) == NAMES and list(widget.panel.parameterNode.models) == NAMES
    table = widget.ui.modelsTable
    assert [table.item(1, column).text() for column in (1, 2)] == ["gated, v2", "18 MB"]
    host.tick(table, 0)
    host.tick(table, 1)
    assert list(widget.panel.parameterNode.models) == []
    assert "Tick at least one model" in widget.ui.segmentButton.toolTip or "CT" in widget.ui.segmentButton.toolTip
    app.leaveModule()
    app.openModule("AGUNETRSegment")
    assert list(widget.panel.parameterNode.models) == [], "nothing is ticked behind the user's back"
    host.tick(table, 1)
    assert list(widget.panel.parameterNode.models) == ["compact-gated"]


def test_a_model_that_is_not_installed_here_is_told(opened):
    _app, widget = opened
    widget.panel.parameterNode.models = ["compact-base", "from-elsewhere"]
    assert "from-elsewhere" in widget.ui.modelsNoteLabel.text
    host.tick(widget.ui.modelsTable, 1)
    assert sorted(widget.panel.parameterNode.models) == sorted([*NAMES, "from-elsewhere"]), "kept for its own computer"
    widget.panel.parameterNode.models = ["from-elsewhere"]
    assert not widget.ui.segmentButton.enabled


def test_import_card_folder_and_remove(opened, tmp_path):
    app, widget = opened
    ui = widget.ui
    assert not ui.removeModelButton.enabled
    source = renamed(tmp_path / "usb", "my-model")
    host.answer("", str(source))
    host.click(ui.importModelFolderButton)
    assert rows(widget) == NAMES, "cancelled"
    host.click(ui.importModelFolderButton)
    changed(app, widget)
    assert rows(widget) == [*NAMES, "my-model"] and "my-model was imported" in ui.modelsNoteLabel.text
    assert "my-model" in widget.panel.parameterNode.models

    cards = []
    host.answer(lambda dialog: cards.append(slicer.util.findChildren(dialog, "modelCardBrowser")[0].toPlainText()))
    host.click(ui.showModelCardButton)
    assert "Research use only" in cards[0]
    host.click(ui.openModelFolderButton)
    assert app.opened[-1].endswith("mine/my-model")

    host.answer("Cancel")
    host.click(ui.removeModelButton)
    assert (tmp_path / "mine" / "my-model").is_dir()
    host.answer("Ok")
    host.click(ui.removeModelButton)
    changed(app, widget)
    assert rows(widget) == NAMES and not (tmp_path / "mine" / "my-model").exists()
    assert "my-model" not in widget.panel.parameterNode.models


def test_what_is_no_model_is_refused_in_a_sentence_and_a_broken_one_can_be_removed(opened, tmp_path):
    app, widget = opened
    ui = widget.ui
    (tmp_path / "notes.zip").write_bytes(b"not a zip")
    host.answer(str(tmp_path / "notes.zip"))
    host.click(ui.importModelZipButton)
    changed(app, widget)
    assert "notes.zip cannot be imported" in ui.modelsNoteLabel.text and rows(widget) == NAMES

    broken = renamed(tmp_path / "mine", "half")
    os.truncate(broken / "models" / "model.safetensors", 1000)
    host.click(ui.refreshModelsButton)
    app.wait(lambda: widget.logic.busy, False, seconds=120)
    table = ui.modelsTable
    assert rows(widget) == [*NAMES, "half"] and table.item(2, 1).text() == "cannot be used"
    assert "half" in ui.modelsNoteLabel.text and "Cannot be used" in table.item(2, 0).toolTip()
    table.selectRow(2)
    assert ui.removeModelButton.enabled and not ui.showModelCardButton.enabled
    host.answer("Ok")
    host.click(ui.removeModelButton)
    changed(app, widget)
    assert rows(widget) == NAMES and not broken.exists()


def test_models_that_came_with_the_module_stay(opened):
    _app, widget = opened
    widget.ui.modelsTable.selectRow(0)
    assert not widget.ui.removeModelButton.enabled and "came with AGUNETR" in widget.ui.removeModelButton.toolTip
    assert widget.ui.showModelCardButton.enabled

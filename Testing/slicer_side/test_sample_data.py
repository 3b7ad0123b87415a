"""The phantom in the module Sample Data: for a click, and for scripts that ask for it by name."""

from __future__ import annotations

import sys
import types
import urllib.request
from pathlib import Path

import pytest

pytest.importorskip("slicer")
pytest.importorskip("PySide6")

import host


@pytest.fixture
def registered(monkeypatch, tmp_path):
    """What the module registers: the sources, and the rules that rewrite addresses."""
    sources, rules, sampleData = [], {}, types.ModuleType("SampleData")
    sampleData.SampleDataLogic = types.SimpleNamespace(
        registerCustomSampleDataSource=lambda **source: sources.append(source),
        registerUrlRewriteRule=rules.__setitem__)
    monkeypatch.setitem(sys.modules, "SampleData", sampleData)
    with host.application(tmp_path) as app:
        monkeypatch.setattr("slicer.util.selectModule", lambda name: None)
        monkeypatch.setattr("slicer.util.getModuleWidget", lambda name: None)
        app.openModule("AGUNETRSegment")
        yield sources[0], rules["AGUNETR"]


def test_the_phantom_is_offered(registered):
    source, _rule = registered
    assert source["sampleName"] == "AGUNETRPhantom" and Path(source["thumbnailFileName"]).is_file()
    assert {len(source[name]) for name in ("uris", "fileNames", "nodeNames", "loadFileTypes")} == {2}


def test_a_script_gets_files_that_are_drawn_once(registered, monkeypatch):
    from AGUNETRSegmentLib import sample_data

    class Pencil(sample_data.EngineCommand):
        """In place of the child process: only writes the files."""

        def start(self, arguments, finished, failed, seconds=300.0):
            folder = Path(arguments[arguments.index("--output") + 1])
            folder.mkdir(exist_ok=True)
            drawn.append([(folder / name).write_text(name) for name in ("ct.nii.gz", "spleen.nii.gz")])
            self._schedule(0, lambda: finished([]))

    drawn, (source, rule) = [], registered
    monkeypatch.setattr(sample_data, "EngineCommand", Pencil)
    files = [Path(urllib.request.url2pathname(rule(uri).removeprefix("file://"))) for uri in source["uris"]]
    assert [file.read_text() for file in files] == ["ct.nii.gz", "spleen.nii.gz"] and len(drawn) == 1
    assert rule("https://example.org/ct.nrrd") == "https://example.org/ct.nrrd"


def test_a_phantom_that_cannot_be_drawn_is_one_sentence(registered, monkeypatch):
    from AGUNETRSegmentLib import sample_data
    from AGUNETRSegmentLib.errors import SegmentationError

    problem = SegmentationError("start", "Slicer's Python was not found.", "Install Slicer again.")
    monkeypatch.setattr(
        sample_data.EngineCommand, "start", lambda self, arguments, finished, failed, seconds=300.0: failed(problem))
    source, rule = registered
    with pytest.raises(SegmentationError, match="was not found. Install Slicer again"):
        rule(source["uris"][0])

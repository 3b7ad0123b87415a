"""The phantom in the module Sample Data: for a click, and for scripts that ask for it by name."""

from __future__ import annotations

import sys
import types
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

pytest.importorskip("slicer")
pytest.importorskip("PySide6")

import host
import slicer


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


def test_the_phantom_comes_without_the_files_it_was_read_from_and_damaged_ones_are_a_sentence(registered, monkeypatch):
    from AGUNETRSegmentLib import sample_data

    def draw(folder, finished, _failed):
        for name, values in zip(("ct.nii.gz", "spleen.nii.gz"), contents, strict=True):
            sitk.WriteImage(sitk.GetImageFromArray(values), str(folder / name))
        finished()

    def loadSegmentation(_path, properties):  # a reader that the host has not
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", properties["name"])
        node.GetSegmentation().AddEmptySegment()
        node.AddDefaultStorageNode()
        return node

    outcome, contents = [], [np.full((6, 7, 8), 40, np.int16), np.ones((6, 7, 8), np.uint8)]
    monkeypatch.setattr("slicer.util.loadSegmentation", loadSegmentation)
    monkeypatch.setattr(sample_data, "_draw", draw)
    sample_data.loadPhantom(loaded=lambda *nodes: outcome.extend(nodes), failed=lambda error: pytest.fail(str(error)))
    assert [node.GetName() for node in outcome] == ["AGUNETRPhantom", "AGUNETRPhantom spleen"]
    assert not any(node.GetStorageNode() for node in outcome), "saving the scene would write to where nothing is"
    monkeypatch.setattr(sample_data, "_draw", lambda folder, finished, failed: finished())
    sample_data.loadPhantom(loaded=pytest.fail, failed=outcome.append)
    assert "cannot be read" in str(outcome[-1]) and not list(Path(slicer.app.temporaryPath).glob("AGUNETR-phantom-*"))

"""What is said about a volume before it is segmented; the rules on its values are the engine's."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("slicer")

import slicer.util
from bare_slicer import newScene
from scene_builder import addTransform, addVolume, orientationMatrix, rotation

from agunetr.inference.checks import why_not_hounsfield
from AGUNETRSegmentLib.volume_check import VolumeNotes, firstVolume, volumeProblem, whyNotHounsfield

AXIAL = orientationMatrix((0, 1, 2), (-1, -1, 1))


def ct(shape=(24, 60, 60)) -> np.ndarray:
    """A cylinder of soft tissue in air."""
    k, j, i = np.mgrid[: shape[0], : shape[1], : shape[2]]
    inside = (j - shape[1] / 2) ** 2 + (i - shape[2] / 2) ** 2 < (shape[1] / 2.5) ** 2
    return np.where(inside, 40 + 10 * np.sin(k + i), -1000).astype(np.float32)


IMAGES = {
    "ct": ct(),
    "shifted": ct() + 1024,
    "padded": np.where(ct() < -900, -3024, ct() + 1024),
    "picture": np.clip(ct() + 100, 0, 255),
    "mr": np.abs(ct()) * 3 + 10,
    "narrow": ct() * 0.01 - 60,
    "bright": np.where(ct() > -900, 9000, -1000),
    "no-tissue": np.where(ct() > -900, 500, -1000),
    "large": np.kron(ct((20, 20, 20)), np.ones((5, 5, 5), np.float32)),
}


@pytest.mark.parametrize("name", IMAGES)
def test_the_panel_and_the_engine_agree(name):
    image = IMAGES[name].astype(np.float32)
    assert bool(whyNotHounsfield(image)) == bool(why_not_hounsfield(image)) == (name not in ("ct", "large"))


def test_values_that_are_no_numbers_do_no_harm():
    image = ct()
    image[0] = np.nan
    assert whyNotHounsfield(image) == ""
    assert "no voxel" in whyNotHounsfield(np.full((4, 4, 4), np.nan, np.float32))


def test_a_note_is_kept_until_the_voxels_change(monkeypatch):
    asked = []
    names = VolumeNotes.note.__globals__  # of this very class: a test of the module's reload imports the library anew
    original = names["whyNotHounsfield"]
    monkeypatch.setitem(names, "whyNotHounsfield", lambda array: asked.append(1) or original(array))
    volumeNode = addVolume(newScene(), AXIAL)
    slicer.util.updateVolumeFromArray(volumeNode, ct().astype(np.int16))
    notes = VolumeNotes()
    assert notes.note(volumeNode) == notes.note(volumeNode) == "" and len(asked) == 1
    slicer.util.updateVolumeFromArray(volumeNode, np.full((8, 9, 10), 7, np.int16))
    note = notes.note(volumeNode)
    assert "does not look like a CT" in note and "8 slices" in note and note.endswith("may be wrong.")


def test_thick_slices_are_noticed():
    volumeNode = addVolume(newScene(), orientationMatrix((0, 1, 2), (-1, -1, 1), spacing=(1.0, 1.0, 10.0)))
    slicer.util.updateVolumeFromArray(volumeNode, ct().astype(np.int16))
    assert "10.0 mm apart" in VolumeNotes().note(volumeNode)


def test_a_linear_transform_is_no_problem_and_an_attention_map_is():
    scene = newScene()
    volumeNode = addVolume(scene, AXIAL)
    volumeNode.SetAndObserveTransformNodeID(addTransform(scene, rotation(20)).GetID())
    assert volumeProblem(volumeNode) == ""
    volumeNode.SetAttribute("AGUNETR.gate", "enc1")
    assert "attention map" in volumeProblem(volumeNode)


def test_the_first_volume_is_neither_a_map_nor_a_label_map():
    scene = newScene()
    assert firstVolume(scene) is None
    addVolume(scene, AXIAL, name="map").SetAttribute("AGUNETR.gate", "enc1")
    addVolume(scene, AXIAL, name="labels", className="vtkMRMLLabelMapVolumeNode")
    volumeNode = addVolume(scene, AXIAL)
    assert firstVolume(scene) is volumeNode

"""Writes the demo's Slicer scene: CT, segmentations, attention maps and measurements in one ``.mrb`` file.

Runs on the bare Slicer core, in a process of its own::

    python Testing/demo/scene.py CT_FILE RESULT_FOLDER SCENE.mrb

RESULT_FOLDER is what ``agunetr segment`` wrote: ``result.json`` and the files that it names. Opened in Slicer, the
scene shows the CT in the three slice views at the middle of the spleen and the surfaces in the 3D view; the attention
maps are there as volumes with a heat colour map, in no view yet.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path

import slicer
import slicer.util
import vtk

ROOT = Path(__file__).resolve().parents[2]
for folder in (ROOT / "AGUNETRSegment", Path(__file__).resolve().parent):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

from bare_slicer import newScene  # noqa: E402

from AGUNETRSegmentLib.nodes import exportVolume, importResult  # noqa: E402

# orientation, label and bar colour of the application's own slice views, so that the scene does not change them
SLICE_VIEWS = {
    "Red": ("Axial", "R", (0.952941, 0.290196, 0.2)),
    "Yellow": ("Sagittal", "Y", (0.929412, 0.835294, 0.298039)),
    "Green": ("Coronal", "G", (0.431373, 0.690196, 0.294118)),
}


def writeScene(ctFile: Path, resultFolder: Path, sceneFile: Path) -> Path:
    """Write a scene bundle; an existing file of that name is replaced only when the new one is complete.

    :param ctFile: the CT that was segmented (NIfTI, NRRD or MHA).
    :param resultFolder: folder with ``result.json``, masks and attention maps.
    :param sceneFile: the ``.mrb`` to write; its folder exists.
    :returns: *sceneFile*.
    :raises ValueError: the CT cannot be read.
    :raises SegmentationError: the results do not fit the CT.
    :raises OSError: the scene cannot be written.
    """
    ctFile, resultFolder, sceneFile = Path(ctFile), Path(resultFolder), Path(sceneFile)
    scene = newScene()
    volumeNode = slicer.modules.volumes.logic().AddArchetypeVolume(str(ctFile), "CT", 0) if ctFile.is_file() else None
    if volumeNode is None:
        raise ValueError(f"{ctFile} cannot be read as an image; give a NIfTI, NRRD or MHA file.")
    result = json.loads((resultFolder / "result.json").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory(prefix="agunetr-demo-") as temporary:
        job = exportVolume(volumeNode, Path(temporary))
        imported = importResult(scene, result, resultFolder, job)
    _tellApart(list(imported.segmentations.values()))
    _arrangeViews(scene, volumeNode, next(iter(imported.segmentations.values()), None))
    _writeBundle(scene, sceneFile)
    return sceneFile


def readScene(sceneFile: Path):
    """Read a scene bundle back, as Slicer does when it opens one.

    :returns: the ``vtkMRMLScene``.
    :raises ValueError: the bundle holds no scene, or Slicer's core cannot read it.
    """
    scene = newScene()
    with tempfile.TemporaryDirectory(prefix="agunetr-demo-") as temporary:
        with zipfile.ZipFile(sceneFile) as bundle:
            bundle.extractall(temporary)
        files = list(Path(temporary).glob("*/*.mrml"))
        if len(files) != 1:
            raise ValueError(f"{sceneFile} holds {len(files)} scene descriptions instead of one.")
        scene.SetURL(str(files[0]))
        if not scene.Connect():
            raise ValueError(f"{sceneFile} cannot be read: {scene.GetErrorMessage()}")
    return scene


def _tellApart(segmentationNodes: list) -> None:
    """All have the spleen's colour: fill the first in slices, outline the others, and show one surface in 3D."""
    for number, segmentationNode in enumerate(segmentationNodes):
        display = segmentationNode.GetDisplayNode()
        display.SetVisibility2DFill(number == 0)
        display.SetVisibility2DOutline(True)
        display.SetOpacity2DFill(0.35)
        display.SetVisibility3D(True)
        display.SetOpacity3D(1.0 if number == 0 else 0.5)
        display.SetPreferredDisplayRepresentationName3D(
            slicer.vtkSegmentationConverter.GetSegmentationClosedSurfaceRepresentationName()
        )


def _arrangeViews(scene, volumeNode, segmentationNode) -> None:
    """Slice views on the CT at the middle of the spleen, and a camera in front of it."""
    display = volumeNode.GetDisplayNode()
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(-160, 240)  # soft tissue
    bounds = [0.0] * 6
    volumeNode.GetRASBounds(bounds)
    if segmentationNode is not None and segmentationNode.GetSegmentation().ContainsRepresentation(
        slicer.vtkSegmentationConverter.GetSegmentationClosedSurfaceRepresentationName()
    ):
        segmentationNode.GetRASBounds(bounds)
    centre = [(bounds[2 * axis] + bounds[2 * axis + 1]) / 2 for axis in range(3)]
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene)
    for name, (orientation, label, colour) in SLICE_VIEWS.items():
        logic = slicer.vtkMRMLSliceLogic()
        logic.SetMRMLScene(scene)
        sliceNode = logic.AddSliceNode(name)
        sliceNode.SetOrientation(orientation)
        sliceNode.SetLayoutLabel(label)
        sliceNode.SetLayoutColor(*colour)
        sliceNode.SetDimensions(512, 512, 1)
        compositeNode = logic.GetSliceCompositeNode()
        compositeNode.SetBackgroundVolumeID(volumeNode.GetID())
        logic.FitSliceToBackground()
        sliceNode.JumpSliceByCentering(*centre)
        scene.keptAlive.append(logic)
    viewNode = slicer.vtkMRMLViewNode()
    viewNode.SetName("View1")
    viewNode.SetLayoutName("1")
    scene.AddNode(viewNode)
    cameraNode = slicer.vtkMRMLCameraNode()
    cameraNode.SetName("Camera")
    cameraNode.SetLayoutName("1")
    scene.AddNode(cameraNode)
    cameraNode.SetFocalPoint(centre)
    cameraNode.SetPosition([centre[0], centre[1] + 450.0, centre[2]])  # in front of the patient
    cameraNode.SetViewUp([0.0, 0.0, 1.0])


def _writeBundle(scene, sceneFile: Path) -> None:
    """Write beside the final name, then rename: a bundle that is there is complete."""
    # The name inside the bundle is the file's own, so the temporary file keeps it, in a folder of its own.
    folder = Path(tempfile.mkdtemp(prefix=".agunetr-", dir=sceneFile.parent))
    try:
        scene.SetRootDirectory(str(folder))
        temporary = folder / sceneFile.name
        if not scene.WriteToMRB(str(temporary), None) or not temporary.is_file():
            raise OSError(f"{sceneFile} could not be written; check that its folder is writable and the disk not full.")
        os.replace(temporary, sceneFile)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Write a Slicer scene of a CT and its segmentation results.")
    parser.add_argument("ct", type=Path, help="the CT file")
    parser.add_argument("results", type=Path, help="folder with result.json")
    parser.add_argument("scene", type=Path, help="the .mrb file to write")
    arguments = parser.parse_args()
    writeScene(arguments.ct, arguments.results, arguments.scene)
    scene = readScene(arguments.scene)
    print(
        f"{arguments.scene}: {scene.GetNumberOfNodesByClass('vtkMRMLSegmentationNode')} segmentations, "
        f"{scene.GetNumberOfNodesByClass('vtkMRMLScalarVolumeNode')} volumes, "
        f"{scene.GetNumberOfNodesByClass('vtkMRMLTableNode')} table"
    )


if __name__ == "__main__":
    vtk.vtkObject.GlobalWarningDisplayOff()  # the bare core warns of plug-ins that only the application has
    main()

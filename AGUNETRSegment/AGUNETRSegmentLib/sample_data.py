"""Sample data that needs no internet: the phantom, a CT of an imagined abdomen that the engine draws."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import qt
import slicer
import slicer.util

from .engine_command import EngineCommand
from .errors import SegmentationError
from .translation import _

NAME = "AGUNETRPhantom"
THUMBNAIL = Path(__file__).resolve().parents[1] / "Resources" / "Icons" / "AGUNETRPhantom.png"
# Coarse enough to be segmented within seconds on any computer, fine enough to look like a CT.
SPACING_MM = ("1.5", "1.5", "3")
PATIENT = "4"  # one whose spleen the embedded models find nearly whole


def registerSampleData() -> None:
    """Offer the phantom in the module Sample Data; it is drawn on this computer, nothing is downloaded."""
    try:
        import SampleData
    except ImportError:  # an application of its own that leaves this module out
        return
    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category="AGUNETR",
        sampleName=NAME,
        thumbnailFileName=str(THUMBNAIL),
        # Sample Data wants an address of every source; the custom downloader does without it.
        uris=f"agunetr:{NAME}",
        fileNames=f"{NAME}.nii.gz",
        nodeNames=NAME,
        customDownloader=loadPhantom,
    )


def loadPhantom(_source=None, loaded: Callable[[object, object], None] | None = None,
                failed: Callable[[SegmentationError], None] | None = None) -> None:
    """Draw the phantom in a child process and load its CT and its spleen; returns at once.

    :param _source: the sample data source, as the module Sample Data hands it over.
    :param loaded: takes the volume node and the segmentation node of the true spleen.
    :param failed: takes what went wrong; default: a message box.
    """
    folder = Path(tempfile.mkdtemp(prefix="AGUNETR-phantom-", dir=slicer.app.temporaryPath))

    def onFinished(_events: list[dict]) -> None:
        try:
            nodes = _load(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        if loaded:
            loaded(*nodes)

    def onFailed(error: SegmentationError) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        (failed or _show)(error)

    patient = ["--seed", PATIENT, "--contrast", "portal", "--spacing", *SPACING_MM]
    arguments = ["phantom", "--output", str(folder), *patient]
    try:
        EngineCommand(qt.QTimer.singleShot).start(arguments, onFinished, onFailed)
    except SegmentationError as error:
        onFailed(error)


def _load(folder: Path) -> tuple[object, object]:
    volumeNode = slicer.util.loadVolume(str(folder / "ct.nii.gz"), {"name": NAME})
    segmentationNode = slicer.util.loadSegmentation(str(folder / "spleen.nii.gz"), {"name": f"{NAME} spleen"})
    segmentation = segmentationNode.GetSegmentation()
    segmentation.GetNthSegment(0).SetName("spleen")
    for node in (volumeNode, segmentationNode):
        storageNode = node.GetStorageNode()
        if storageNode:  # the files are about to go, so saving the scene must ask for a place
            storageNode.ResetFileNameList()
            storageNode.SetFileName(None)
    return volumeNode, segmentationNode


def _show(error: SegmentationError) -> None:
    slicer.util.errorDisplay(_("The phantom could not be made. {problem}").format(problem=error))

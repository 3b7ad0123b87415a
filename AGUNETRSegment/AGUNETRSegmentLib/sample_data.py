"""Sample data that needs no internet: the phantom, a CT of an imagined abdomen that the engine draws."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import qt
import slicer
import slicer.util

from .engine_command import EngineCommand
from .errors import SegmentationError
from .translation import _

NAME = "AGUNETRPhantom"
SPLEEN_NAME = f"{NAME} spleen"
SCHEME = "agunetr:"
CT_FILE, SPLEEN_FILE = "ct.nii.gz", "spleen.nii.gz"
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
        # What a script gets that asks Sample Data for the sample: it downloads addresses, so ours become files first.
        uris=[SCHEME + CT_FILE, SCHEME + SPLEEN_FILE],
        fileNames=[f"{NAME}.nii.gz", f"{NAME}-spleen.nii.gz"],
        nodeNames=[NAME, SPLEEN_NAME],
        loadFileTypes=["VolumeFile", "SegmentationFile"],
        # What a click on the picture does: nobody has to wait.
        customDownloader=loadPhantom,
    )
    SampleData.SampleDataLogic.registerUrlRewriteRule("AGUNETR", drawnFile)


def drawnFile(address: str) -> str:
    """The address of a file that Sample Data can copy in place of one of ours; other addresses stay as they are.

    For ``SampleData.downloadSample("AGUNETRPhantom")``: the phantom is drawn at the first use, in a child process, and
    waited for; the application stays responsive.

    :raises SegmentationError: it could not be drawn.
    """
    if not address.startswith(SCHEME):
        return address
    folder = Path(slicer.app.temporaryPath) / NAME
    path = folder / address.removeprefix(SCHEME)
    if not path.is_file():
        outcome: list = []
        _draw(folder, lambda: outcome.append(None), outcome.append)
        while not outcome:
            slicer.app.processEvents()
            time.sleep(0.03)  # a tight loop would starve the threads that read the child's output
        if outcome[0]:
            raise outcome[0]
    return path.as_uri()


def loadPhantom(_source=None, loaded: Callable[[object, object], None] | None = None,
                failed: Callable[[SegmentationError], None] | None = None) -> None:
    """Draw the phantom in a child process and load its CT and its spleen; returns at once.

    :param _source: the sample data source, as the module Sample Data hands it over.
    :param loaded: takes the volume node and the segmentation node of the true spleen.
    :param failed: takes what went wrong; default: a message box.
    """
    folder = Path(tempfile.mkdtemp(prefix="AGUNETR-phantom-", dir=slicer.app.temporaryPath))

    def onFinished() -> None:
        try:
            nodes = _load(folder)
        except Exception as error:  # whatever Slicer's readers raise
            onFailed(SegmentationError(
                "unexpected", _("Its files cannot be read: {problem}.").format(problem=error),
                _("Try again; look into Slicer's error log.")))
            return
        shutil.rmtree(folder, ignore_errors=True)
        if loaded:
            loaded(*nodes)

    def onFailed(error: SegmentationError) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        (failed or _show)(error)

    _draw(folder, onFinished, onFailed)


def _draw(folder: Path, finished: Callable[[], None], failed: Callable[[SegmentationError], None]) -> None:
    """Draw the phantom's files into a folder, in a child process; one of the callbacks follows."""
    patient = ["--seed", PATIENT, "--contrast", "portal", "--spacing", *SPACING_MM]
    arguments = ["phantom", "--overwrite", "--output", str(folder), *patient]
    try:
        EngineCommand(qt.QTimer.singleShot).start(arguments, lambda _events: finished(), failed)
    except SegmentationError as error:
        failed(error)


def _load(folder: Path) -> tuple[object, object]:
    volumeNode = slicer.util.loadVolume(str(folder / CT_FILE), {"name": NAME})
    segmentationNode = slicer.util.loadSegmentation(str(folder / SPLEEN_FILE), {"name": SPLEEN_NAME})
    segmentation = segmentationNode.GetSegmentation()
    segmentation.GetNthSegment(0).SetName("spleen")
    for node in (volumeNode, segmentationNode):
        storageNode = node.GetStorageNode()
        if storageNode:  # the files are about to go, so saving the scene must ask for a place
            slicer.mrmlScene.RemoveNode(storageNode)
    return volumeNode, segmentationNode


def _show(error: SegmentationError) -> None:
    slicer.util.errorDisplay(_("The phantom could not be made. {problem}").format(problem=error))

"""A test case comes into the scene: its scan, its reference, and what the run's networks found in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import slicer
import slicer.util
from vtk.util import numpy_support

from AGUNETRSegmentLib.background_work import BackgroundWork
from AGUNETRSegmentLib.errors import SegmentationError
from AGUNETRSegmentLib.geometry import localMatrix, onLattice
from AGUNETRSegmentLib.image_files import readImage
from AGUNETRSegmentLib.scene_changes import Additions
from AGUNETRSegmentLib.segmentation_nodes import addSegmentation
from AGUNETRSegmentLib.subject_hierarchy import placeBeside
from AGUNETRSegmentLib.terminology import modelColour
from AGUNETRSegmentLib.translation import _
from AGUNETRSegmentLib.worker_job import ignore

from .run_reading import RunRecord

MARK = "AGUNETRTrain.mask"
"""On a segmentation: the file that it was read from, so that it is not loaded twice."""


@dataclass(frozen=True)
class CaseFiles:
    """Where the files of a case lie.

    :ivar masks: what they are called to the file: ``reference`` first, then the jobs that scored the case.
    """

    name: str
    image: Path
    masks: dict[str, Path]


def caseFiles(record: RunRecord, name: str) -> CaseFiles:
    """The files of a case of a run.

    :raises SegmentationError: kind ``input``, the run does not name them, or they lie on another computer.
    """
    try:
        entry = json.loads((record.folder / "data.json").read_text(encoding="utf-8"))["cases"][name]
        image, label = Path(entry["image"]), Path(entry["label"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SegmentationError(
            "input", _('The run in "{folder}" does not say where the scan of {case} lies.').format(
                folder=record.folder, case=name), _("Its data.json is missing or damaged; start the run again.")
        ) from error
    if not image.is_file():
        raise SegmentationError(
            "input", _('The scan of {case} is not there: "{path}".').format(case=name, path=image),
            _("The run may have been made on another computer; copy its data to the same place."))
    found = {job.plan.name: record.folder / job.plan.name / "test" / f"{name}.nii.gz" for job in record.jobs}
    masks = {"reference": label, **found}
    return CaseFiles(name, image, {title: path for title, path in masks.items() if path.is_file()})


class CaseLoading:
    """Loads one case at a time; masks are read beside the application.

    :param scene: the MRML scene.
    :param loaded: takes the scan's volume node and the new segmentation nodes.
    :param failed: takes a :class:`SegmentationError`; of the masks nothing is in the scene then.
    :param schedule: as of :class:`AGUNETRSegmentLib.background_work.BackgroundWork`.
    """

    def __init__(self, scene, loaded: Callable, failed: Callable[[SegmentationError], None], schedule=None) -> None:
        self._scene, self._loaded, self._failed = scene, loaded, failed
        self._background = BackgroundWork(schedule)

    @property
    def working(self) -> bool:
        """Whether a case is being loaded."""
        return self._background.working

    def start(self, files: CaseFiles) -> None:
        """Begin; one of the callbacks follows. What the scene shows from the same files is not loaded again."""
        try:
            volumeNode = self._volumeOf(files.image) or slicer.util.loadVolume(str(files.image), {"name": files.name})
        except RuntimeError:
            self._failed(SegmentationError(
                "input", _('The scan "{path}" cannot be loaded.').format(path=files.image),
                _("Check that it is a CT that Slicer can read.")))
            return
        segmentations = slicer.util.getNodesByClass("vtkMRMLSegmentationNode", self._scene)
        there = {node.GetAttribute(MARK) for node in segmentations}
        wanted = {title: path for title, path in files.masks.items() if str(path) not in there}
        matrix, shape = localMatrix(volumeNode), volumeNode.GetImageData().GetDimensions()[::-1]
        self._background.start(
            lambda: {title: _readMask(path, matrix, shape) for title, path in wanted.items()},
            lambda masks: self._add(volumeNode, files, wanted, masks), self._failWith)

    def close(self) -> None:
        """Give up what is being loaded; nobody is told."""
        self._background.abandon(ignore)
        self._background.wait()

    def _volumeOf(self, path: Path):
        for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode", self._scene):
            storageNode = node.GetStorageNode()
            if storageNode and storageNode.GetFileName() and Path(storageNode.GetFileName()) == path:
                return node
        return None

    def _add(self, volumeNode, files: CaseFiles, wanted: dict[str, Path], masks: dict[str, np.ndarray]) -> None:
        additions, nodes = Additions(self._scene), []
        try:
            if volumeNode.GetScene() is not self._scene:
                raise SegmentationError("cancelled", _("The scan left the scene, so its masks were not loaded."))
            with additions.noted():
                for title, mask in masks.items():
                    nodes.append(self._addOne(volumeNode, files, title, str(wanted[title]), mask))
        except Exception as error:
            additions.remove()
            self._failWith(error)
        else:
            self._loaded(volumeNode, nodes)

    def _addOne(self, volumeNode, files: CaseFiles, title: str, path: str, mask: np.ndarray):
        shownTitle = _("reference") if title == "reference" else title
        name = self._scene.GenerateUniqueName(_("{case} {title} spleen").format(case=files.name, title=shownTitle))
        # The reference keeps the spleen's own colour, each job has another one.
        colour = modelColour(list(files.masks).index(title))
        node = addSegmentation(
            self._scene, mask, volumeNode, name, surface=False, colour=colour,
            mark=lambda made: made.SetAttribute(MARK, path))
        display = node.GetDisplayNode()
        if display:
            display.SetVisibility2DFill(False)  # outlines: several lie over each other
        placeBeside(self._scene, node, volumeNode)
        return node

    def _failWith(self, error: Exception) -> None:
        if not isinstance(error, SegmentationError):  # the module itself is at fault, or the disk: still one sentence
            error = SegmentationError(
                "unexpected", _("The case could not be loaded: {problem}.").format(problem=error),
                _("Score the case again: remove its files in the job's folder and start the run."))
        self._failed(error)


def _readMask(path: Path, matrix: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """A mask on the voxels of the scan, uint8, ``(k, j, i)``.

    :raises SegmentationError: kind ``result``, it cannot be read or stands elsewhere.
    """
    found = readImage(path)
    mask = None
    if found is not None:
        image, ijkToRas = found
        voxels = numpy_support.vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1])
        mask = onLattice(voxels, ijkToRas, matrix, shape)
    if mask is None:
        raise SegmentationError(
            "result", _('The mask "{path}" does not fit the scan.').format(path=path),
            _("It is damaged, or the scan was replaced since the run."))
    return (mask != 0).astype(np.uint8)

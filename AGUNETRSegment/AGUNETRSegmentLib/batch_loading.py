"""A finished case of a batch comes into the scene: its CT, and its results beside it like those of any run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import slicer
import slicer.util

from .background_work import BackgroundWork
from .batch_table import BatchCase
from .errors import SegmentationError
from .nodes import ResultImport, surfaceMatrix
from .result_files import readResult
from .translation import _
from .turns import Turns
from .volume_job import VolumeJob, checkVolume


class BatchLoading:
    """Loads one case at a time; result files are read beside the application, nodes come one a turn of its event loop.

    :param scene: the MRML scene.
    :param loaded: takes the CT's volume node, the :class:`.nodes.ImportedResult` and the parsed ``result.json``.
    :param failed: takes a :class:`SegmentationError`; of the results nothing is in the scene then.
    :param schedule: as of :class:`.background_work.BackgroundWork`.
    """

    def __init__(self, scene, loaded: Callable, failed: Callable[[SegmentationError], None], schedule=None) -> None:
        self._scene, self._loaded, self._failed = scene, loaded, failed
        self._background, self._turns = BackgroundWork(schedule), Turns(schedule)
        self._resultImport: ResultImport | None = None

    @property
    def working(self) -> bool:
        """Whether a case is being loaded."""
        return self._background.working or self._turns.working

    def start(self, case: BatchCase, surface: bool) -> None:
        """Begin; one of the callbacks follows. A CT that the scene shows from the same file is not loaded again.

        :param case: a finished one, see :attr:`.batch_table.BatchCase.isFinished`.
        :param surface: make surfaces for 3D views.
        """
        try:
            folder = Path(case.output)
            result = _readJson(folder / "result.json")
            volumeNode = self._volumeOf(case.path) or _load(case)
            shape = volumeNode.GetImageData().GetDimensions()[::-1] if volumeNode.GetImageData() else (0, 0, 0)
            job = VolumeJob(volumeNode, volumeNode.GetName(), Path(case.path), shape, checkVolume(volumeNode))
        except SegmentationError as error:
            self._failed(error)
            return
        surfacesOn = surfaceMatrix(job) if surface else None
        self._background.start(
            lambda: readResult(result, folder, job, surfacesOn),
            lambda models: self._import(result, folder, job, surface, models), self._failWith)

    def close(self) -> None:
        """Give up what is being loaded; nobody is told."""
        self._background.abandon(lambda: None)
        self._background.wait()
        self._turns.stop()
        self._undo()

    def _volumeOf(self, path: str):
        """The volume of the scene that was loaded from this file, None where there is none."""
        for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode", self._scene):
            storageNode = node.GetStorageNode()
            if storageNode and storageNode.GetFileName() and Path(storageNode.GetFileName()) == Path(path):
                return node
        return None

    def _import(self, result: dict, folder: Path, job: VolumeJob, surface: bool, models: list) -> None:
        def step():
            if job.volumeNode.GetScene() is not self._scene:
                raise SegmentationError("cancelled", _("The CT left the scene, so its results were not loaded."))
            if self._resultImport is None:
                self._resultImport = ResultImport(self._scene, result, folder, job, surface, models=models)
            return self._resultImport.step()

        def imported(nodes) -> None:
            self._resultImport = None
            self._loaded(job.volumeNode, nodes, result)

        self._turns.start(step, imported, self._failWith)

    def _undo(self) -> None:
        """Take out what came of results that are not complete."""
        if self._resultImport:
            self._resultImport.undo()
            self._resultImport = None

    def _failWith(self, error: Exception) -> None:
        self._undo()
        if not isinstance(error, SegmentationError):  # the module itself is at fault, or the disk: still one sentence
            error = SegmentationError(
                "unexpected", _("The results could not be loaded: {problem}.").format(problem=error),
                _("Segment this CT again, with results replaced."))
        self._failed(error)


def _readJson(path: Path) -> dict:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SegmentationError(
            "result", _('The results "{path}" cannot be read: {reason}.').format(path=path, reason=reason),
            _("Segment this CT again.")) from error
    if not isinstance(found, dict):
        raise SegmentationError(
            "result", _('"{path}" holds no results.').format(path=path), _("Segment this CT again."))
    return found


def _load(case: BatchCase):
    """The CT's volume node. Of a folder the series of its first file, as the engine reads a folder of one series."""
    path, properties = Path(case.path), {"name": case.name}
    try:
        if path.is_dir():
            properties["singleFile"] = False
            path = min(file for file in path.rglob("*") if file.is_file())
        return slicer.util.loadVolume(str(path), properties)
    except (OSError, RuntimeError, ValueError) as error:
        raise SegmentationError(
            "input", _('The CT "{path}" cannot be loaded.').format(path=case.path),
            _("Check that it is still there; load a DICOM series in the module DICOM.")) from error

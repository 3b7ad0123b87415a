"""One run from a volume of the scene to result nodes: export, worker, import, and nothing left behind."""

from __future__ import annotations

import shutil
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import slicer

from .errors import SegmentationError
from .nodes import ImportedResult, VolumeJob, exportVolume, importResult
from .translation import _
from .worker_client import JobCallbacks, Progress, WorkerClient


def _ignore(*_values) -> None:
    """The callback of who does not listen."""


@dataclass(frozen=True)
class RunCallbacks:
    """Who is told of a run. Exactly one of *finished* and *failed* is called, once, at its end.

    :ivar progress: takes a :class:`Progress`.
    :ivar finished: takes the :class:`ImportedResult` and the parsed ``result.json``.
    :ivar failed: takes a :class:`SegmentationError`; the scene is then as it was.
    """

    progress: Callable[[Progress], None] = _ignore
    finished: Callable[[ImportedResult, dict], None] = _ignore
    failed: Callable[[SegmentationError], None] = _ignore


class SegmentationRunner:
    """Segments volumes of a scene, one at a time, without blocking the caller.

    :param scene: the MRML scene that results go into.
    :param client: the worker's client.
    :param temporaryFolder: where job folders are made; each is removed at the end of its run.
    """

    def __init__(self, scene, client: WorkerClient, temporaryFolder: Path | str) -> None:
        self._scene = scene
        self._client = client
        self._temporaryFolder = Path(temporaryFolder)
        self._folder: Path | None = None
        self._closeObserver: int | None = None

    @property
    def running(self) -> bool:
        """Whether a run is under way."""
        return self._folder is not None

    def start(self, volumeNode, models: Sequence[str], options: Mapping, callbacks: RunCallbacks) -> None:
        """Begin to segment a volume; the callbacks tell the rest.

        :param volumeNode: the CT.
        :param models: names of models, at least one.
        :param options: fields of the engine's options, for example ``{"attention": ["all"]}``.
        :raises SegmentationError: the run could not begin (unsuitable volume, busy, no worker); no callback follows.
        """
        if self.running or self._client.busy:
            raise SegmentationError(
                "busy", _("The worker is busy with another request."), _("Wait for it or cancel it."))
        if not models:
            raise SegmentationError("input", _("No model is selected."), _("Tick at least one model."))
        self._folder = self._makeFolder()
        try:
            job = exportVolume(volumeNode, self._folder)
            self._client.segment(job.path, models, self._folder / "result", options, JobCallbacks(
                progress=callbacks.progress,
                result=lambda result: self._finish(result, job, callbacks),
                error=lambda error: self._fail(error, callbacks)))
        except BaseException:
            self._tidyUp()
            raise
        # The nodes that results would stand beside go with the scene.
        self._closeObserver = self._scene.AddObserver(
            slicer.vtkMRMLScene.StartCloseEvent, lambda _caller, _event: self.cancel())

    def cancel(self) -> None:
        """Give up the run, if any; its *failed* callback follows within two seconds, kind ``cancelled``."""
        if self.running:
            self._client.cancel()

    def _makeFolder(self) -> Path:
        try:
            self._temporaryFolder.mkdir(parents=True, exist_ok=True)
            return Path(tempfile.mkdtemp(prefix="AGUNETR-", dir=self._temporaryFolder))
        except OSError as error:
            raise SegmentationError(
                "output", _('No folder can be made in "{path}": {reason}.').format(
                    path=self._temporaryFolder, reason=error.strerror or error),
                _("Choose another temporary folder in the application settings.")) from error

    def _finish(self, result: dict, job: VolumeJob, callbacks: RunCallbacks) -> None:
        try:
            imported = importResult(self._scene, result, self._folder / "result", job)
        except SegmentationError as error:
            self._fail(error, callbacks)
        except Exception as error:  # the importer itself is at fault: still one sentence, and the details to report
            self._fail(SegmentationError(
                "unexpected", _("The result could not be added to the scene: {problem}.").format(problem=error),
                _("Please report this with the text of the log."), traceback.format_exc()), callbacks)
        else:
            self._tidyUp()
            callbacks.finished(imported, result)

    def _fail(self, error: SegmentationError, callbacks: RunCallbacks) -> None:
        self._tidyUp()
        callbacks.failed(error)

    def _tidyUp(self) -> None:
        folder, self._folder = self._folder, None
        if folder:
            shutil.rmtree(folder, ignore_errors=True)
        if self._closeObserver is not None:
            self._scene.RemoveObserver(self._closeObserver)
            self._closeObserver = None

"""One run from a volume of the scene to result nodes: export, worker, import, and nothing left behind.

A volume that shows a sequence can be segmented frame by frame; then all the frames are imported at the end, or none.
"""

from __future__ import annotations

import shutil
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import slicer

from .background_work import BackgroundWork
from .errors import SegmentationError
from .export_reference import prepareReference
from .nodes import ImportedResult, ResultImport, surfaceMatrix
from .result_files import readResult
from .sequence_frames import FrameSource
from .sequence_results import FrameImport, FrameResult, mergedResult
from .translation import _
from .turns import Turns
from .volume_job import VolumeJob, prepareExport
from .worker_client import JobCallbacks, Progress, WorkerClient
from .worker_job import cancelled, ignore


@dataclass(frozen=True)
class RunCallbacks:
    """Who is told of a run. Exactly one of *finished* and *failed* is called, once, at its end.

    :ivar progress: takes a :class:`Progress`.
    :ivar finished: takes the :class:`ImportedResult` and the parsed ``result.json``.
    :ivar failed: takes a :class:`SegmentationError`; the scene is then as it was.
    """

    progress: Callable[[Progress], None] = ignore
    finished: Callable[[ImportedResult, dict], None] = ignore
    failed: Callable[[SegmentationError], None] = ignore


@dataclass
class _Run:
    """A run that is under way."""

    volumeNode: object
    models: list[str]
    options: dict
    callbacks: RunCallbacks
    reference: object
    surface: bool
    source: FrameSource | None  # None: a single volume
    frames: list  # the volumes of the sequence; one None for the volume itself
    folder: Path
    results: list[FrameResult] = field(default_factory=list)
    resultImport: ResultImport | FrameImport | None = None  # while results are being added to the scene
    endedBecause: str = ""
    folderIsInUse: bool = False  # by work that was given up and removes it at its end
    observers: list[int] = field(default_factory=list)


class SegmentationRunner:
    """Segments volumes of a scene, one at a time, without blocking the caller.

    A run is given up when its volume leaves the scene or the scene is closed: nobody waits for it any more.

    :param scene: the MRML scene that results go into.
    :param client: the worker's client.
    :param temporaryFolder: where job folders are made; each is removed at the end of its run.
    :param schedule: ``schedule(milliseconds, function)`` calls *function* later, once, on this thread
      (``qt.QTimer.singleShot``): large files are then written and read beside the application. Without it they are
      written and read at once.
    """

    def __init__(self, scene, client: WorkerClient, temporaryFolder: Path | str, schedule=None) -> None:
        self._scene = scene
        self._client = client
        self._temporaryFolder = Path(temporaryFolder)
        self._schedule, self._background, self._turns = schedule, BackgroundWork(schedule), Turns(schedule)
        self._run: _Run | None = None

    @property
    def running(self) -> bool:
        """Whether a run is under way."""
        return self._run is not None

    def start(self, volumeNode, models: Sequence[str], options: Mapping, callbacks: RunCallbacks, reference=None,
              surface: bool = True, allFrames: bool = False) -> None:
        """Begin to segment a volume; the callbacks tell the rest.

        :param volumeNode: the CT.
        :param models: names of models, at least one.
        :param options: fields of the engine's options, for example ``{"attention": ["all"]}``.
        :param reference: a segmentation node to score the results against, or None.
        :param surface: make surfaces for 3D views.
        :param allFrames: segment every frame where the volume shows a sequence.
        :raises SegmentationError: the run could not begin (unsuitable volume, busy); no callback follows.
        """
        if self.running or self._client.segmenting:
            raise SegmentationError(
                "busy", _("The worker is busy with another request."), _("Wait for it or cancel it."))
        if not models:
            raise SegmentationError("input", _("No model is selected."), _("Tick at least one model."))
        source = FrameSource.of(volumeNode) if allFrames and volumeNode else None
        frames = source.frames() if source else [None]
        self._run = _Run(
            volumeNode, list(models), dict(options), callbacks, reference, surface, source, frames, self._makeFolder())
        self._watch(self._run)
        try:
            self._beginFrame()
        except BaseException:
            self._tidyUp()
            raise

    def cancel(self) -> None:
        """Give up the run, if any; its *failed* callback follows within two seconds, kind ``cancelled``."""
        run = self._run
        if run and self._schedule and (run.resultImport or self._abandonWork(run)):
            self._turns.stop()
            # Not at once: the scene may be in the middle of a change.
            self._schedule(0, lambda: self._fail(cancelled()) if self._run is run else None)
        elif run:
            self._client.cancel()

    def stop(self) -> None:
        """Give up the run, if any, at once. For the end of the application; the client is stopped by its owner."""
        run = self._run
        if run:
            self._abandonWork(run)
            self._fail(cancelled())
        self._background.wait()

    def _abandonWork(self, run: _Run) -> bool:
        run.folderIsInUse = self._background.abandon(lambda: _removeFolder(run.folder)) or run.folderIsInUse
        return run.folderIsInUse

    def _beginFrame(self) -> None:
        run = self._run
        number = len(run.results)
        folder = run.folder / f"frame-{number + 1}"
        folder.mkdir()
        export = prepareExport(run.volumeNode, folder, run.frames[number])
        reference = prepareReference(run.reference, export.job, folder) if run.reference else None

        def write() -> None:
            export.write()
            if reference:
                reference.write()

        self._background.start(
            write, lambda _nothing: self._ask(export.job, reference.path if reference else None), self._failWith)

    def _ask(self, job: VolumeJob, reference: Path | None) -> None:
        run = self._run
        folder = job.path.parent / "result"
        try:
            self._client.segment(job.path, run.models, folder, run.options, JobCallbacks(
                self._onProgress, lambda result: self._onResult(job, result, folder), self._fail), reference)
        except SegmentationError as error:  # no worker can be started
            self._fail(error)

    def _watch(self, run: _Run) -> None:
        """Give up when what the results would stand beside goes."""
        def onNodeRemoved(_caller, _event) -> None:
            if run.volumeNode.GetScene() is not self._scene and not run.endedBecause:
                run.endedBecause = _("The CT left the scene, so the segmentation was stopped.")
                self.cancel()

        events = slicer.vtkMRMLScene
        run.observers.append(self._scene.AddObserver(events.StartCloseEvent, lambda _caller, _event: self.cancel()))
        if run.volumeNode.GetScene() is self._scene:
            run.observers.append(self._scene.AddObserver(events.NodeRemovedEvent, onNodeRemoved))

    def _makeFolder(self) -> Path:
        try:
            self._temporaryFolder.mkdir(parents=True, exist_ok=True)
            return Path(tempfile.mkdtemp(prefix="AGUNETR-", dir=self._temporaryFolder))
        except OSError as error:
            raise SegmentationError(
                "output", _('No folder can be made in "{path}": {reason}.').format(
                    path=self._temporaryFolder, reason=error.strerror or error),
                _("Choose another temporary folder in the application settings.")) from error

    def _onProgress(self, progress: Progress) -> None:
        run = self._run
        if run.source:
            frame = _("Frame {number} of {count}").format(number=len(run.results) + 1, count=len(run.frames))
            progress = replace(progress, stage=f"{frame}: {progress.stage}")
        run.callbacks.progress(progress)

    def _onResult(self, job: VolumeJob, result: dict, folder: Path) -> None:
        run = self._run
        job.path.unlink(missing_ok=True)  # as large as the CT, and not needed any more
        self._onProgress(Progress("import", 0, 1))
        surfacesOn = surfaceMatrix(job) if run.surface else None
        self._background.start(
            lambda: readResult(result, folder, job, surfacesOn),
            lambda models: self._onRead(FrameResult(job, result, folder, models)), self._failWith)

    def _onRead(self, result: FrameResult) -> None:
        run = self._run
        run.results.append(result)
        try:
            if len(run.results) < len(run.frames):
                self._beginFrame()
                return
            if run.source:
                run.resultImport = FrameImport(self._scene, run.source, run.results, run.surface)
            else:
                scoredAgainst = run.reference.GetName() if run.reference else ""
                run.resultImport = ResultImport(
                    self._scene, result.result, result.folder, result.job, run.surface, scoredAgainst, result.models)
        except Exception as error:
            self._failWith(error)
        else:
            self._turns.start(run.resultImport.step, self._onImported, self._failWith)

    def _onImported(self, imported: ImportedResult) -> None:
        run = self._run
        shown = run.resultImport.shown if run.source else 0
        run.resultImport = None
        self._finish(imported, mergedResult(run.results, shown) if run.source else run.results[0].result)

    def _finish(self, imported: ImportedResult, merged: dict) -> None:
        run = self._run
        self._tidyUp()
        run.callbacks.finished(imported, merged)

    def _failWith(self, error: Exception) -> None:
        if not isinstance(error, SegmentationError):  # the module itself is at fault: still one sentence, and details
            error = SegmentationError(
                "unexpected", _("The result could not be added to the scene: {problem}.").format(problem=error),
                _("Please report this with the text of the log."), "".join(traceback.format_exception(error)))
        self._fail(error)

    def _fail(self, error: SegmentationError) -> None:
        run = self._run
        if run.endedBecause and error.kind == "cancelled":
            error = SegmentationError("cancelled", run.endedBecause)
        self._tidyUp()
        run.callbacks.failed(error)

    def _tidyUp(self) -> None:
        run, self._run = self._run, None
        self._turns.stop()
        if run.resultImport:
            run.resultImport.undo()
        if not run.folderIsInUse:
            _removeFolder(run.folder)
        for tag in run.observers:
            self._scene.RemoveObserver(tag)


def _removeFolder(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)

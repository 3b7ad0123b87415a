"""One CT after the other through the network, while a thread reads the next one and another writes the last one.

::

    read     | 1 | 2 |   | 3 |   | 4 |
    network      | 1     | 2     | 3     | 4     |
    write                | 1 |   | 2 |   | 3 |   | 4 |

At most one CT that waits for the network, the one in it, and one that is being written are in memory. SimpleITK and
PyTorch let other threads run while they work. The steps and so the results are those of single calls.
"""

from __future__ import annotations

import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agunetr.errors import Cancelled, Notice
from agunetr.inference.input_state import describe_input
from agunetr.inference.job import ScanJob
from agunetr.inference.reading import read_volume
from agunetr.inference.volume import Volume
from agunetr.many_scans.cases import CANCELLED, DONE, FAILED, LEFT_OUT, NOT_STARTED, SKIPPED, Case, Outcome
from agunetr.many_scans.finished import finished_result
from agunetr.many_scans.no_ct import NoCtError, refuse_no_ct

if TYPE_CHECKING:
    from agunetr.inference.inferer import CancelQuery, Progress
    from agunetr.inference.segmenter import Segmentation, Segmenter, SegmentOptions
    from agunetr.models.bundle import ModelBundle

ProgressOf = Callable[[Case], "AbstractContextManager[Progress]"]


@dataclass(frozen=True)
class _Scan:
    """A CT that was read."""

    volume: Volume
    notices: list[Notice]
    described: dict[str, Any]


class CasePipeline:
    """Segments cases with the same models and options.

    Args:
        bundles: the models.
        options: how to segment.
        segmenter: used in the caller's thread only.
        overwrite: segment finished cases again, and replace results of other settings.
        read: reads a CT and checks it; handed in by tests.
    """

    def __init__(
        self,
        bundles: Sequence[ModelBundle],
        options: SegmentOptions,
        segmenter: Segmenter,
        overwrite: bool = False,
        read: Callable[..., tuple[Volume, list[Notice]]] = read_volume,
    ) -> None:
        self._bundles = bundles
        self._options = options
        self._segmenter = segmenter
        self._overwrite = overwrite
        self._read_volume = read

    def run(self, cases: Sequence[Case], progress_of: ProgressOf, stop: CancelQuery) -> Iterator[Outcome]:
        """The outcomes, in the order of the cases; an outcome may come while the next case is under way.

        Args:
            progress_of: gives a context for the time a case is in the network, with its progress callback.
            stop: asked between windows and cases. The case at hand is then cancelled and the rest not started, but a
                case that is already being written is finished.

        Closing the iterator early, or an exception like KeyboardInterrupt in it, discards what is being written.
        """
        abandoned = threading.Event()
        reader = ThreadPoolExecutor(1, "read the next CT")
        writer = ThreadPoolExecutor(1, "write the last CT")
        ahead: deque[Future[_Scan | Mapping[str, Any]]] = deque()
        behind: deque[Future[Outcome]] = deque()
        waiting = deque(cases)

        def read_next() -> None:
            if waiting and not stop():
                ahead.append(reader.submit(self._read, waiting[0]))

        try:
            read_next()
            while waiting:
                case = waiting.popleft()
                if stop() or not ahead:
                    behind.append(_settled(Outcome(case, NOT_STARTED)))
                    continue
                with progress_of(case) as progress:
                    behind.append(self._one(case, ahead.popleft(), read_next, writer, progress, stop, abandoned))
                while len(behind) > 1 or (behind and behind[0].done()):
                    yield _without_data(behind.popleft().result())
            while behind:
                yield _without_data(behind.popleft().result())
        finally:
            abandoned.set()
            reader.shutdown(cancel_futures=True)
            writer.shutdown()

    def _read(self, case: Case) -> _Scan | Mapping[str, Any]:
        """The CT, or the earlier result where the case is finished."""
        described = describe_input(case.path)
        if not self._overwrite and "files" in described:
            finished = finished_result(case.output, self._bundles, self._options, described)
            if finished is not None:
                return finished
        volume, notices = self._read_volume(case.path)
        refuse_no_ct(volume.array)
        return _Scan(volume, notices, described)

    def _one(
        self,
        case: Case,
        read: Future[_Scan | Mapping[str, Any]],
        read_next: Callable[[], None],
        writer: ThreadPoolExecutor,
        progress: Progress,
        stop: CancelQuery,
        abandoned: threading.Event,
    ) -> Future[Outcome]:
        """Takes a case through the network and leaves it to the writer."""
        progress("read", 0, 1)
        wait([read])
        read_next()
        try:
            scan = read.result()
            progress("read", 1, 1)
            if not isinstance(scan, _Scan):
                return _settled(Outcome(case, SKIPPED, scan))
            return self._segment(case, scan, writer, progress, stop, abandoned)
        except Cancelled as error:
            return _settled(Outcome(case, CANCELLED, error=error))
        except NoCtError as error:
            return _settled(Outcome(case, LEFT_OUT, error=error))
        except Exception as error:
            return _settled(Outcome(case, FAILED, error=error))

    def _segment(
        self,
        case: Case,
        scan: _Scan,
        writer: ThreadPoolExecutor,
        progress: Progress,
        stop: CancelQuery,
        abandoned: threading.Event,
    ) -> Future[Outcome]:
        job = ScanJob(
            scan.volume, scan.notices, self._bundles, self._options, case.output, scan.described, self._overwrite
        )
        with ExitStack() as until_written:
            until_written.enter_context(job)
            writes = []
            try:
                for bundle in self._bundles:
                    answer = job.segment(bundle, self._segmenter, progress, stop)
                    writes.append(writer.submit(_write, job, bundle, answer, abandoned))
            except BaseException:
                wait(writes)  # before the context removes the folder that they write to
                raise
            finally:
                self._segmenter.forget_scan()
            return writer.submit(_finish, case, job, writes, until_written.pop_all(), abandoned)


def _write(job: ScanJob, bundle: ModelBundle, answer: Segmentation, abandoned: threading.Event) -> None:
    if abandoned.is_set():
        raise Cancelled()
    job.write(bundle, answer)


def _finish(
    case: Case, job: ScanJob, writes: Sequence[Future[None]], until_written: ExitStack, abandoned: threading.Event
) -> Outcome:
    """The last step of a case, in the writer's thread: all writes before it have ended."""
    try:
        with until_written:
            for write in writes:
                write.result()
            return Outcome(case, DONE, job.finish(abandoned.is_set))
    except Cancelled as error:
        return Outcome(case, CANCELLED, error=error)
    except Exception as error:
        return Outcome(case, FAILED, error=error)


def _without_data(outcome: Outcome) -> Outcome:
    """The same outcome; an error's traceback no longer holds the CT and the tensors while the next case runs."""
    error = outcome.error
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__
    return outcome


def _settled(outcome: Outcome) -> Future[Outcome]:
    future: Future[Outcome] = Future()
    future.set_result(outcome)
    return future

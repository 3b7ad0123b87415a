"""The engine between cases: installed models, and networks that stay loaded from one case to the next.

The worker and ``agunetr segment`` both work through a :class:`Session`, so both do the same thing.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agunetr.errors import OutputError
from agunetr.worker_requests import RequestError, SegmentRequest

if TYPE_CHECKING:
    from agunetr.inference.segmenter import Segmenter, SegmentOptions
    from agunetr.many_scans.cases import Case, Outcome
    from agunetr.many_scans.pipeline import ProgressOf
    from agunetr.models.bundle import ModelBundle
    from agunetr.models.library import ModelLibrary


class Session:
    """Segments one case after the other; imports the heavy libraries at the first.

    Args:
        library: the models; the machine's own where None.
    """

    def __init__(self, library: ModelLibrary | None = None) -> None:
        self._library = library
        self._segmenter: Segmenter | None = None

    @property
    def library(self) -> ModelLibrary:
        """The installed models."""
        if self._library is None:
            from agunetr.models.library import ModelLibrary

            self._library = ModelLibrary()
        return self._library

    def models(self) -> dict[str, Any]:
        """What :func:`library_summary` gives."""
        return library_summary(self.library)

    def devices(self) -> dict[str, Any]:
        """``devices``: what :func:`agunetr.inference.device_list.found_devices` gives."""
        from agunetr.inference.device_list import found_devices

        return {"devices": [device.to_dict() for device in found_devices()]}

    def check(self, models: Sequence[str], options: Mapping[str, Any]) -> None:
        """Finds the models and reads the options, so that mistakes show before the first case.

        Raises:
            ModelError: a model is missing or broken.
            RequestError: an option is unknown or has a wrong value.
        """
        self._bundles(models)
        read_options(options)

    def segment(
        self,
        request: SegmentRequest,
        progress: Callable[[str, int, int], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> dict[str, Any]:
        """Segments one case into ``request.output`` and returns the content of its ``result.json``.

        Raises:
            AgunetrError: what was asked for cannot be done; nothing was written.
        """
        from agunetr.inference.input_state import describe_input
        from agunetr.inference.job import run_job
        from agunetr.inference.reading import read_volume
        from agunetr.inference.reference import read_reference

        options = read_options(request.options)
        bundles = self._bundles(request.models)
        if progress is not None:
            progress("read", 0, 1)
        described = describe_input(request.volume, request.series)
        volume, notices = read_volume(Path(request.volume).expanduser(), request.series)
        reference = None
        if request.reference is not None:
            reference = read_reference(request.reference, volume, request.reference_label)
        if progress is not None:
            progress("read", 1, 1)
        return run_job(
            volume,
            notices,
            bundles,
            options,
            Path(request.output).expanduser(),
            self._warm_segmenter(),
            progress,
            cancelled,
            described,
            request.overwrite,
            reference,
        )

    def segment_many(
        self,
        cases: Sequence[Case],
        models: Sequence[str],
        options: Mapping[str, Any],
        progress_of: ProgressOf,
        stop: Callable[[], bool],
        overwrite: bool = False,
    ) -> Iterator[Outcome]:
        """Segments cases one after the other, reading and writing meanwhile; see :class:`CasePipeline`.

        Raises:
            AgunetrError: no case could be segmented so: a model, an option, the device or the engine is wrong. What is
                wrong with one case is in its outcome.
        """
        from agunetr.inference.engines import choose_all
        from agunetr.inference.result_names import check_models, file_names
        from agunetr.many_scans.pipeline import CasePipeline

        settings = read_options(options)
        bundles = self._bundles(models)
        check_models(bundles, settings)
        file_names(bundles, settings)
        choose_all(settings.device, settings.engine, settings.precision)
        pipeline = CasePipeline(bundles, settings, self._warm_segmenter(), overwrite)
        return pipeline.run(cases, progress_of, stop)

    def make_output_folder(self, folder: Path) -> None:
        """Makes the folder that the folders of several cases go into.

        Raises:
            OutputError: its parent is missing, or it cannot be written to.
        """
        from agunetr.inference.writing import check_output_folder

        check_output_folder(folder)
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise OutputError(f"{folder} cannot be made ({error.strerror}).", "Choose another folder.") from error

    def discard_unfinished(self) -> None:
        """Removes what the case at hand has written so far; for a process that is about to end without it."""
        # Only where a case has got so far: the import would take seconds in a process that must end at once.
        if "agunetr.inference.result_folder" in sys.modules:
            from agunetr.inference.result_folder import discard_unfinished

            discard_unfinished()

    def _warm_segmenter(self) -> Segmenter:
        from agunetr.inference.organ_search import OrganSearch
        from agunetr.inference.segmenter import Segmenter

        if self._segmenter is None:
            self._segmenter = Segmenter(organ_search=OrganSearch.installed())
        return self._segmenter

    def _bundles(self, names: Sequence[str]) -> list[ModelBundle]:
        return [self.library.find(name) for name in dict.fromkeys(names)]


def read_options(options: Mapping[str, Any]) -> SegmentOptions:
    """``SegmentOptions`` from plain JSON values.

    Raises:
        RequestError: an option is unknown or has a wrong value.
    """
    from agunetr.inference.segmenter import SegmentOptions

    known = [field.name for field in dataclasses.fields(SegmentOptions)]
    unknown = [name for name in options if name not in known]
    if unknown:
        raise RequestError(f"There is no option named {unknown[0]!r}.", f"The options are: {', '.join(known)}.")
    try:
        return SegmentOptions(**options)
    except (TypeError, ValueError) as error:
        raise RequestError(str(error)) from error


def library_summary(library: ModelLibrary) -> dict[str, Any]:
    """``models``: one description a usable model; ``broken``: folder and reason of those that cannot be used.

    ``removable`` tells which of the latter are the user's own, so that he may remove them.
    """
    return {
        "models": [model.to_dict() for model in library.list()],
        "broken": [
            {"folder": str(folder), "reason": reason, "removable": folder.parent == library.user_folder}
            for folder, reason in library.broken()
        ],
    }

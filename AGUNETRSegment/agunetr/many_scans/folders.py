"""Which CTs a folder holds: one series of DICOM slices, or many CTs.

A folder is one scan where DICOM files lie in it directly, or where several subfolders hold the series of one study, as
archives export them; of several series the reader takes the largest. It is a folder of CTs where NIfTI, NRRD or
MetaImage files lie in it, or subfolders with DICOM files of different studies, or a single subfolder with DICOM files:
the first patient of many has the same place for results as the last.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import SimpleITK as sitk

from agunetr.errors import Notice
from agunetr.inference.dicom_series import is_dicom_file
from agunetr.inference.reading import ENDINGS
from agunetr.inference.result_names import RESULT_FILE
from agunetr.many_scans.cases import Listing

LOOKED_AT = 2000
"""Files of a subfolder that are looked at before it is taken for one without DICOM files."""
_SEGMENTATION = ".seg.nrrd"
_STUDY_UID = "0020|000d"


def list_cts(paths: Sequence[Path], results: Path) -> Listing:
    """The CTs that the paths stand for.

    Args:
        paths: CTs, and folders of CTs.
        results: the folder for the results; where it lies in a folder of CTs, it is none of them.
    """
    cts: list[Path] = []
    notices: list[Notice] = []
    many = len(paths) > 1
    for path in paths:
        found = _cts_of_folder(path, results) if path.is_dir() else None
        if found is None:
            cts.append(path)
            continue
        many = True
        cts += found.cts
        notices += found.notices
    return Listing(tuple(cts), many, tuple(notices))


def _cts_of_folder(folder: Path, results: Path) -> Listing | None:
    """What a folder of CTs holds; None for a folder that is one scan, or that the reader will have to refuse."""
    try:
        entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError:
        return None
    if any(entry.is_file() and is_dicom_file(entry) for entry in entries):
        return None
    images = [entry for entry in entries if entry.is_file() and entry.name.lower().endswith(ENDINGS)]
    files = [entry for entry in images if not entry.name.lower().endswith(_SEGMENTATION)]
    subfolders = [entry for entry in entries if entry.is_dir() and not _same(entry, results)]
    samples = {entry: _first_dicom_file(entry) for entry in subfolders}
    series = [entry for entry in subfolders if samples[entry] is not None]
    if not files and _one_study([samples[entry] for entry in series]):
        return None
    others = [entry for entry in subfolders if samples[entry] is None and not (entry / RESULT_FILE).is_file()]
    segmentations = [entry for entry in images if entry not in files]
    notices = [
        *_left_out(others, "subfolder", "subfolders", "without DICOM slices"),
        *_left_out(segmentations, "segmentation", "segmentations", f"({_SEGMENTATION})"),
    ]
    return Listing(tuple(sorted([*files, *series])), True, tuple(notices))


def _same(path: Path, other: Path) -> bool:
    return path.resolve() == other.resolve()


def _first_dicom_file(folder: Path) -> Path | None:
    files = (file for file in _files(folder) if file.name.upper() != "DICOMDIR")
    return next((file for file in itertools.islice(files, LOOKED_AT) if is_dicom_file(file)), None)


def _files(folder: Path) -> Iterator[Path]:
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return
    yield from (entry for entry in entries if entry.is_file())
    for entry in entries:
        if entry.is_dir() and not entry.is_symlink():
            yield from _files(entry)


def _one_study(samples: Sequence[Path | None]) -> bool:
    """Whether the files, one a subfolder, belong together; an anonymiser's empty UID tells nothing.

    Where there are none, the reader says what is wrong with the folder.
    """
    if len(samples) == 1:
        return False
    studies = {_study(sample) for sample in samples if sample is not None}
    return not studies or (len(studies) == 1 and "" not in studies)


def _study(path: Path) -> str:
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError:  # a report, say; the case itself will tell
        return ""
    return reader.GetMetaData(_STUDY_UID).strip("\0 ") if reader.HasMetaDataKey(_STUDY_UID) else ""


def _left_out(paths: Sequence[Path], one: str, several: str, which: str) -> list[Notice]:
    """A notice of what is no CT; none where there is none."""
    if not paths:
        return []
    what = f"1 {one} {which} was" if len(paths) == 1 else f"{len(paths)} {several} {which} were"
    return [Notice("left-out", f"{what} left out, for example {paths[0]}.")]

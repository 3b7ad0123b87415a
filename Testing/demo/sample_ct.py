"""The CT of the demo: a public sample, or a phantom where there is no network."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from monai.apps.utils import HashCheckError, download_url

from agunetr.inference.writing import write_volume
from agunetr.phantom import make_phantom

# An anonymous CT of TotalSegmentator's tests (Wasserthal et al. 2023, doi:10.1148/ryai.230024); repository Apache-2.0.
SAMPLE_URL = (
    "https://raw.githubusercontent.com/wasserth/TotalSegmentator/0e65a448d557382b1e925276212b3bec7f5aff83/"
    "tests/reference_files/example_ct.nii.gz"
)
SAMPLE_SHA256 = "dbd3ae6d614d1d7ef3a46925c30c70038ed52da6b37fdd6afdc7b9b71387e3e1"
PHANTOM_SEED = 7


def sample_ct(folder: Path, url: str = SAMPLE_URL, sha256: str = SAMPLE_SHA256) -> tuple[Path, str]:
    """The sample CT in ``folder``, downloaded once and checked, or a phantom's CT without a network.

    Args:
        folder: where it is kept; made if missing.
        url, sha256: of the sample.

    Returns:
        The file, and one sentence on what it is.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / "example_ct.nii.gz"
    if target.is_file() and _digest(target) == sha256:
        return target, f"The public sample CT, already downloaded: {target}."
    try:
        _download(url, target, sha256)
    except (OSError, RuntimeError) as error:
        reason = str(getattr(error, "reason", None) or error).rstrip(".")
        return _phantom_ct(folder), (
            f"The sample CT cannot be downloaded ({reason}), so a phantom takes its place: "
            "an imagined abdomen, no patient."
        )
    except HashCheckError:
        return _phantom_ct(folder), (
            f"What {url} gave is not the sample CT (its SHA-256 differs) and was deleted; a phantom takes its place: "
            "an imagined abdomen, no patient."
        )
    return target, f"The public sample CT, downloaded from {url}, checksum verified."


def _download(url: str, target: Path, sha256: str) -> None:
    """Download to a temporary name, verify, then rename; nothing stays after a failure."""
    part = target.with_name(f".{os.getpid()}-{target.name}")
    try:
        download_url(url, part, hash_val=sha256, hash_type="sha256", progress=False)
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


def _phantom_ct(folder: Path) -> Path:
    target = folder / f"phantom_{PHANTOM_SEED}.nii.gz"
    if not target.is_file():
        write_volume(make_phantom(PHANTOM_SEED).ct, target)
    return target


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()

"""The localiser that came with AGUNETR: a small network that finds the organ for the models that segment it."""

from __future__ import annotations

from pathlib import Path

import agunetr
from agunetr.errors import ModelError
from agunetr.models.loading import ModelBundle, load_bundle
from agunetr.models.metadata import LOCALISER


def localiser_folder() -> Path:
    """Where the localiser's folder lies: in the installed package, or in the module's resources."""
    package = Path(agunetr.__file__).resolve().parent
    packaged = package / "localisers"
    return packaged if packaged.is_dir() else package.parent / "Resources" / "Localiser"


def installed_localiser(folder: Path | str | None = None) -> ModelBundle | None:
    """The localiser in ``folder`` (:func:`localiser_folder` where None), the first by name; None if there is none.

    Raises:
        ModelError: it is damaged, or is a model of another kind.
    """
    root = Path(folder) if folder is not None else localiser_folder()
    candidates = sorted(root.glob("*/configs/metadata.json"))
    if not candidates:
        return None
    bundle = load_bundle(candidates[0].parents[1], embedded=True)
    if bundle.role != LOCALISER:
        raise ModelError(
            f"{bundle.folder} holds the model {bundle.name}, which is no localiser.",
            "Move it to the folder of the models.",
        )
    return bundle

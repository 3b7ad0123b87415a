"""What a localiser is worth: how often it finds the organ, what of it lies elsewhere, and how many windows it saves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from agunetr.inference.backends import TorchBackend
from agunetr.inference.body import body_box
from agunetr.inference.grids import image_tensor
from agunetr.inference.inferer import WindowInferer
from agunetr.inference.localisation import Doubt, Found, localise
from agunetr.inference.organ_search import OVERLAP
from agunetr.inference.resampling import prepare, prepared_grid, restore
from agunetr.inference.search import dense_search, search_near
from agunetr.inference.volume import Volume
from agunetr.models.bundle import ModelBundle
from agunetr_train.data.cases import Case
from agunetr_train.data.preparation import read_case

FINE_WINDOW, FINE_SPACING_MM, FINE_OVERLAP = (96, 96, 96), (1.0, 1.0, 1.0), 0.5
"""Of the full-size network, whose windows are counted."""


def localisation_scores(bundle: ModelBundle, cases: Sequence[tuple[str, Case]]) -> dict[str, Any]:
    """``localisation``, one row a case: what was answered and what it saves, JSON-ready.

    Args:
        bundle: the localiser.
        cases: pairs of the part (``validation``, ``test``) and the case.
    """
    backend = TorchBackend(bundle.network())
    return {"localisation": [{"case": case.name, **_score(bundle, backend, *read_case(case))} for _, case in cases]}


def _score(bundle: ModelBundle, backend: TorchBackend, image: Volume, label: Volume) -> dict[str, Any]:
    seen = prepare(image, bundle.spacing_mm, bundle.intensity_range)
    blended = WindowInferer(bundle.window, OVERLAP).infer(backend.predict, image_tensor(seen))
    answer = localise(blended.logit_difference.sigmoid().numpy(), seen.spacing_mm)
    if isinstance(answer, Doubt):
        return {"answer": f"doubt: {answer.reason}"}
    fine = prepared_grid(image, FINE_SPACING_MM, body_box(image, bundle.intensity_range[0]))
    dense = dense_search(fine, FINE_WINDOW, FINE_OVERLAP, "")
    windows = len(search_near(answer, seen, fine, dense).corners)
    return {
        "answer": "found",
        "windows_of_the_full_size_network": f"{windows} of {dense.windows_of_dense}",
        "share_of_organ_left_out": _left_out(answer, seen, label),
    }


def _left_out(found: Found, seen: Volume, label: Volume) -> float | None:
    """The share of the reference's volume that lies outside what was marked; None where the reference is empty."""
    soft = restore(label.with_array(label.array.astype(np.float32)), seen)
    organ = float(soft.sum())
    return round(float(soft[~found.marked.transpose(2, 1, 0)].sum()) / organ, 4) if organ else None

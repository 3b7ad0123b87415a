"""The demo's picture: scan, base, gated and attention in the slice with most spleen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from agunetr.inference.resampling import nearest_ras_axes, resample_mask, restore
from agunetr.inference.volume import Volume

SOFT_TISSUE_HU = (-160, 240)
ORANGE, BLUE = "#E69F00", "#56B4E9"  # told apart by colour-blind readers (Okabe and Ito 2008)


def draw(
    ct: Volume, masks: dict[str, Volume], attention: Volume | None, result: dict[str, Any], title: str, target: Path
) -> Path:
    """Write the PNG.

    Args:
        ct: the scan, HU.
        masks: model name to its mask on the scan's grid, base first, gated second.
        attention: the map of the gated model's finest gate, on any grid; None leaves that panel out.
        result: the content of ``result.json``.
        title: above the panels.
        target: the file.
    """
    counts = sum(mask.array.astype(np.int64).sum(axis=tuple(_others(ct))) for mask in masks.values())
    number = int(counts.argmax()) if counts.max() else len(counts) // 2
    scan = _axial(ct, ct.array, number)
    panels = 1 + len(masks) + (attention is not None)
    figure, axes = plt.subplots(1, panels, figsize=(4.4 * panels, 5.0), facecolor="white", layout="constrained")
    aspect = _aspect(ct)
    for axis in axes:
        axis.imshow(scan, cmap="gray", vmin=SOFT_TISSUE_HU[0], vmax=SOFT_TISSUE_HU[1], aspect=aspect)
        axis.axis("off")
    axes[0].set_title(f"Scan, axial slice {number}")
    _letters(axes[0])
    facts = {entry["name"]: entry for entry in result["models"]}
    for axis, colour, (name, mask) in zip(axes[1:], (ORANGE, BLUE), masks.items(), strict=False):
        outline = _axial(ct, mask.array, number).astype(float)
        if outline.any():
            axis.contour(outline, levels=[0.5], colors=[colour], linewidths=1.6)
            axis.contourf(outline, levels=[0.5, 1.5], colors=[colour], alpha=0.25)
        axis.set_title(f"{name}: {facts[name]['volume_ml']:.0f} ml")
    if attention is not None:
        heat = _axial(ct, restore(attention, ct, negligible=0.0), number)
        shown = axes[-1].imshow(heat, cmap="inferno", alpha=0.55, aspect=aspect, vmin=0, vmax=1)
        axes[-1].set_title("Attention of the finest gate")
        figure.colorbar(shown, ax=axes[-1], shrink=0.7, label="gate value")
    figure.suptitle(title, fontsize=13)
    figure.savefig(target, dpi=110)
    plt.close(figure)
    return target


def load_masks(folder: Path, entries: Sequence[dict[str, Any]], ct: Volume) -> dict[str, Volume]:
    """The masks of ``result.json``'s models on the scan's grid, in its order."""
    from agunetr.inference.reading import read_mask

    return {entry["name"]: ct.with_array(resample_mask(read_mask(folder / entry["mask"]), ct)) for entry in entries}


def _others(ct: Volume) -> list[int]:
    """Array axes within an axial slice."""
    axes, _ = nearest_ras_axes(ct)
    return [2 - axes[0], 2 - axes[1]]


def _axial(ct: Volume, array: np.ndarray, number: int) -> np.ndarray:
    """One axial slice as radiologists look at it: anterior up, the patient's right on the left."""
    axes, flips = nearest_ras_axes(ct)
    plane = np.take(array, number, axis=2 - axes[2])
    # What is left of the array's axes, in their order, is brought to (anterior, right).
    if 2 - axes[1] > 2 - axes[0]:
        plane = plane.T
    plane = plane[:: -1 if flips[1] else 1, :: -1 if flips[0] else 1]
    return plane[::-1, ::-1]


def _aspect(ct: Volume) -> float:
    axes, _ = nearest_ras_axes(ct)
    return ct.spacing_mm[axes[1]] / ct.spacing_mm[axes[0]]


def _letters(axis: plt.Axes) -> None:
    for letter, place in (("R", (0.02, 0.5)), ("L", (0.95, 0.5)), ("A", (0.49, 0.95)), ("P", (0.49, 0.02))):
        axis.text(*place, letter, transform=axis.transAxes, color="white", fontsize=10)

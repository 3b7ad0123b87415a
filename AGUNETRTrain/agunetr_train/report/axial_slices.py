"""Axial slices as radiologists look at them: anterior up, the patient's right on the left, in mm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke

from agunetr.errors import InputError
from agunetr.inference.body import body_box
from agunetr.inference.resampling import nearest_ras_axes
from agunetr.inference.volume import Volume

WINDOW_HU = (-175.0, 250.0)
AIR_HU = -300.0
_SCALE_BAR_MM = 50.0
_EDGE = [withStroke(linewidth=2.5, foreground="black")]
"""Around white words, which would vanish on bone or a table."""


@dataclass(frozen=True)
class AxialSlice:
    """One slice of a scan, and of everything on its grid.

    Attributes:
        scan: HU, on any orientation.
        number: from 0, along the axis of the file that runs nearest to head and foot.
    """

    scan: Volume
    number: int

    def __post_init__(self) -> None:
        slices = slice_count(self.scan)
        if not 0 <= self.number < slices:
            raise InputError(
                f"The scan has no axial slice {self.number}.", f"Give a number from 0 to {slices - 1}."
            )

    def plane(self, array: np.ndarray) -> np.ndarray:
        """The slice of an array on the scan's grid, (row, column): front to back, the patient's right to left."""
        _, flips = nearest_ras_axes(self.scan)
        plane = _axial_view(self.scan, array)[self.number]
        return plane[:: 1 if flips[1] else -1, :: 1 if flips[0] else -1]

    @property
    def extent_mm(self) -> tuple[float, float, float, float]:
        """Left, right, bottom, top, as matplotlib counts them for an image with its first row on top."""
        axes, _ = nearest_ras_axes(self.scan)
        size, spacing = self.scan.size, self.scan.spacing_mm
        return 0.0, size[axes[0]] * spacing[axes[0]], size[axes[1]] * spacing[axes[1]], 0.0

    @property
    def body_mm(self) -> tuple[float, float, float, float]:
        """Left, right, bottom, top of the part that shows the body."""
        axes, flips = nearest_ras_axes(self.scan)
        box = body_box(self.scan, AIR_HU)
        spans = []
        for patient_axis in (0, 1):
            axis = axes[patient_axis]
            first, last = box[axis]
            if not flips[patient_axis]:
                first, last = self.scan.size[axis] - last, self.scan.size[axis] - first
            spans.append((first * self.scan.spacing_mm[axis], last * self.scan.spacing_mm[axis]))
        (left, right), (top, bottom) = spans
        return left, right, bottom, top

    @property
    def proportion(self) -> float:
        """Height of the shown part over its width."""
        left, right, bottom, top = self.body_mm
        return (bottom - top) / (right - left)

    def show(self, axes: Axes) -> None:
        """Draw the scan in the study's window, with the sides' letters and a scale bar."""
        axes.imshow(
            self.plane(self.scan.array),
            cmap="gray",
            vmin=WINDOW_HU[0],
            vmax=WINDOW_HU[1],
            extent=self.extent_mm,
            interpolation="bilinear",
        )
        left, right, bottom, top = self.body_mm
        axes.set(xlim=(left, right), ylim=(bottom, top), xticks=[], yticks=[], facecolor="black")
        axes.grid(False)
        for letter, x, y in (("R", 0.025, 0.5), ("L", 0.975, 0.5), ("A", 0.5, 0.965), ("P", 0.5, 0.035)):
            axes.text(
                x, y, letter, transform=axes.transAxes, color="white", ha="center", va="center", fontsize=9,
                path_effects=_EDGE,
            )  # fmt: skip
        x, y = left + 0.04 * (right - left), bottom - 0.05 * (bottom - top)
        axes.plot([x, x + _SCALE_BAR_MM], [y, y], color="white", linewidth=2, solid_capstyle="butt")
        axes.annotate(
            f"{_SCALE_BAR_MM / 10:.0f} cm", (x, y), (0, 3), textcoords="offset points", color="white", fontsize=8,
            path_effects=_EDGE,
        )  # fmt: skip

    def outline(self, axes: Axes, mask: np.ndarray, colour: str, fill: bool) -> None:
        """Draw a mask's outline, and its area where asked."""
        plane = self.plane(mask).astype(float)
        if not plane.any():
            return
        where = {"extent": self.extent_mm, "origin": "upper"}
        if fill:
            axes.contourf(plane, levels=[0.5, 1.5], colors=[colour], alpha=0.4, **where)
        axes.contour(plane, levels=[0.5], colors=[colour], linewidths=1.3, **where)


def slice_count(volume: Volume) -> int:
    """Axial slices of a volume."""
    return len(_axial_view(volume, volume.array))


def largest_slice(mask: Volume) -> int:
    """The number of the slice with the largest area of a mask; the middle one where it is empty."""
    areas = (_axial_view(mask, mask.array) > 0).sum(axis=(1, 2))
    return int(areas.argmax()) if areas.any() else len(areas) // 2


def _axial_view(volume: Volume, array: np.ndarray) -> np.ndarray:
    """(superior, anterior, right), each still running as in the file."""
    axes, _ = nearest_ras_axes(volume)
    return np.transpose(array, (2 - axes[2], 2 - axes[1], 2 - axes[0]))

"""The frame of the body: outline, wall, diaphragm, and the coordinates that the organs are placed by."""

from __future__ import annotations

import functools

import numpy as np

from agunetr.phantom.patient import Patient
from agunetr.phantom.shapes import SmoothField, ellipsoid, smooth_maximum, smooth_minimum

REACH_MM = (260.0, 220.0, 320.0)


class Fields:
    """The random fields of a patient, drawn once and evaluated slab by slab."""

    def __init__(self, patient: Patient) -> None:
        def field(purpose: int, pitch: float) -> SmoothField:
            return SmoothField(patient.stream(purpose), pitch, REACH_MM)

        self.warp = [field(10 + axis, 55.0) for axis in range(3)]
        self.broad = field(13, 26.0)
        self.surface = field(14, 15.0)
        self.loops = field(15, 12.0)
        self.fine = field(16, 6.0)
        self.content = field(17, 20.0)
        self.vessels = field(18, 8.0)


class Slab:
    """A part of the patient on a regular grid, with the geometry of the torso. All arrays (z, y, x) float32, mm.

    Attributes:
        x, y, z: the patient's coordinates of each voxel: the grid, bent by a smooth warp, so nothing is straight.
        depth_body: depth under the skin, negative outside.
        depth_wall: depth inside the inner face of the muscular wall, negative within the wall.
        depth_dome: distance below the diaphragm, negative above.
        angle: about the body's axis from the back, positive to the left side.
    """

    def __init__(self, patient: Patient, fields: Fields, axes: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
        self.patient, self.fields, self.axes = patient, fields, axes
        grid = np.meshgrid(*(axis.astype(np.float32) for axis in axes[::-1]), indexing="ij", sparse=True)
        strength = (1.0, 0.8, 1.6)
        self.x, self.y, self.z = (
            coordinate + np.float32(patient.warp_mm * factor) * field.on_grid(*axes)
            for coordinate, factor, field in zip(grid[::-1], strength, fields.warp, strict=True)
        )
        radius = np.sqrt(self.x**2 + self.y**2) + np.float32(1e-3)
        back = self.y < 0
        exponent = patient.skin_exponent

        def depth(width: float, front: float, behind: float) -> np.ndarray:
            across = np.abs(self.x / np.float32(width)) ** exponent
            along = np.abs(self.y / np.where(back, np.float32(behind), np.float32(front))) ** exponent
            norm = np.maximum((across + along) ** np.float32(1 / exponent), 1e-3)
            return radius * (1 / norm - 1)

        self.depth_body = depth(patient.half_width, patient.half_front, patient.half_back)
        self.depth_wall = depth(patient.cavity_width, patient.cavity_front, patient.cavity_back)
        self.angle = np.arctan2(-self.x, -self.y)
        height = self._dome(self.x, self.y)
        slope = (self._dome(self.x + 2, self.y) - height) ** 2 + (self._dome(self.x, self.y + 2) - height) ** 2
        self.depth_dome = (height - self.z) / np.sqrt(1 + slope / 4)

    def _dome(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Height of the diaphragm: two domes, flat on top, steep at the wall, deepest behind."""
        patient = self.patient
        depth = np.where(y < 0, np.float32(patient.cavity_back), np.float32(patient.cavity_front))
        behind = 1 + 0.5 * np.clip(-y / np.float32(patient.cavity_back), 0, 1)
        sides = []
        for side, top in ((0.44, patient.dome_right), (-0.44, patient.dome_left)):
            off = ((x - side * patient.cavity_width) / (0.56 * patient.cavity_width)) ** 2
            off = np.minimum(off + (y / (0.94 * depth)) ** 2, 2.0)
            sides.append(top - np.float32(patient.dome_drop) * (42 * off + 58 * (off * off) ** 2) * behind)
        # Between the domes the heart presses the diaphragm down, but not to the level of the notch of two domes.
        middle = patient.dome_left - 14 - 30 * (x / (0.55 * patient.cavity_width)) ** 2
        middle -= 70 * np.clip(0.1 - y / np.float32(patient.cavity_front), 0, 1.2)
        middle -= 25 * (np.clip(y / np.float32(patient.cavity_front), 0, 1.2) ** 2) ** 2
        return smooth_maximum(smooth_maximum(*sides, 10.0), middle, 12.0)

    @functools.cached_property
    def depth_abdomen(self) -> np.ndarray:
        """Depth inside the abdomen: below the diaphragm and inside the wall."""
        return smooth_minimum(self.depth_wall, self.depth_dome, 10.0)

    @functools.cached_property
    def spine(self) -> np.ndarray:
        """Soft distance of the column of vertebrae and back muscles, which no organ enters."""
        patient = self.patient
        bodies = 22.5 - np.sqrt(self.x**2 + (1.25 * (self.y - patient.spine_y)) ** 2)
        muscles = ellipsoid(self.x, self.y, 0 * self.z, (0.0, patient.spine_y - 44, 0.0), (54.0, 27.0, 99.0))
        return np.maximum(bodies, muscles)

    @functools.cached_property
    def vessels(self) -> np.ndarray:
        """Unit field whose zero surface makes twigs of vessels."""
        return self.fields.vessels.on_grid(*self.axes)

    @functools.cached_property
    def surface(self) -> np.ndarray:
        """Unit roughness with details of some 15 mm."""
        return self.fields.surface.on_grid(*self.axes)

    @functools.cached_property
    def broad(self) -> np.ndarray:
        """Unit roughness with details of some 30 mm."""
        return self.fields.broad.on_grid(*self.axes)

    @functools.cached_property
    def fine(self) -> np.ndarray:
        """Unit roughness with details of some 6 mm."""
        return self.fields.fine.on_grid(*self.axes)

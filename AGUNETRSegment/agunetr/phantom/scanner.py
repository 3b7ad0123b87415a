"""What the scanner adds: the table, the blur of the beam and the kernel, noise, the round field."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from agunetr.phantom.patient import Patient

_FWHM_TO_SIGMA = 1 / 2.355


def paint_table(patient: Patient, hu: np.ndarray, label: np.ndarray, axes: tuple[np.ndarray, ...]) -> None:
    """A curved couch under the back: two thin dense skins with light foam between them."""
    rng = patient.stream(20)
    x, y = axes[0][None], axes[1][:, None]
    bend, thick, half = rng.uniform(400, 900), rng.uniform(18, 40), rng.uniform(180, 215)
    top = -patient.half_back - rng.uniform(1, 6) - 3 + x**2 / (2 * bend)
    below = top - y
    skin = max(1.3, 0.6 * float(axes[1][1] - axes[1][0]))
    shell = (np.abs(below) < skin) | (np.abs(below - thick + x**2 / (2.6 * bend)) < skin)
    shell &= np.abs(x) < half
    foam = (below > skin) & (below < thick - x**2 / (2.6 * bend) - skin) & (np.abs(x) < half)
    free = label == 0
    hu[free & foam[None]] = -930
    hu[free & shell[None]] = rng.uniform(0, 250)


def scan(patient: Patient, hu: np.ndarray, axes: tuple[np.ndarray, ...], spacing_mm: tuple[float, ...]) -> np.ndarray:
    """Blur and noise; (z, y, x) int16, clipped to what scanners store (-1024..3071).

    Noise grows towards the middle of the body, as attenuation makes it, and has a grain of about a millimetre in
    the slice, as reconstruction kernels make it. The blur across slices is that of a slice as thick as its spacing.
    """
    rng = patient.stream(21)
    sigma = [0.4, patient.blur_mm / spacing_mm[1], patient.blur_mm / spacing_mm[0]]
    hu = ndimage.gaussian_filter(hu, sigma, mode="nearest", truncate=3, output=np.float32)
    grain = [0.0, patient.noise_grain_mm / spacing_mm[1], patient.noise_grain_mm / spacing_mm[0]]
    x, y = axes[0][None], axes[1][:, None]
    off = np.sqrt((x / patient.half_width) ** 2 + (y / patient.half_back) ** 2)
    strength = (patient.noise_hu * (0.65 + 0.5 * np.clip(1.2 - off, 0, 1))).astype(np.float32)
    level = 1.0
    for index in range(hu.shape[0]):
        noise = rng.standard_normal(hu.shape[1:], dtype=np.float32)
        noise = ndimage.gaussian_filter(noise, grain[1:], mode="wrap")
        if index == 0:
            level = max(float(noise.std()), 1e-3)
        hu[index] += noise * (strength / level)
    if patient.circle:
        radius = 0.5 * min(axes[0][-1] - axes[0][0], axes[1][-1] - axes[1][0])
        centre = [0.5 * (axis[0] + axis[-1]) for axis in axes[:2]]
        hu[:, (x - centre[0]) ** 2 + (y - centre[1]) ** 2 > (radius * 1.02) ** 2] = -1024
    return np.clip(np.rint(hu), -1024, 3071).astype(np.int16)

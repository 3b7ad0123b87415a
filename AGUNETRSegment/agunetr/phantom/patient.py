"""One imagined patient: body size, organ sizes and places, contrast phase, scanner; all drawn from one seed.

Places are RAS+ mm in the patient's own frame: x to the right, y to the front, z upward; (0, 0) is the middle of the
body, z = 0 about the middle of the spleen (some 65 mm below the left dome of the diaphragm).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CONTRASTS = ("none", "arterial", "portal", "late")

# Mean HU by contrast phase, in the order of CONTRASTS; each patient varies them by a few per cent. Typical
# values at 120 kV, rounded.
_HU = {
    "spleen": (48, 125, 118, 90),
    "liver": (56, 72, 108, 88),
    "kidney_cortex": (34, 175, 185, 145),
    "kidney_medulla": (32, 75, 160, 145),
    "kidney_pelvis": (5, 8, 12, 420),
    "pancreas": (38, 105, 92, 68),
    "aorta": (42, 310, 155, 100),
    "vein": (42, 105, 155, 100),
    "portal": (42, 125, 175, 105),
    "gut_wall": (40, 85, 80, 60),
    "heart_muscle": (42, 110, 110, 90),
    "muscle": (52, 60, 64, 62),
}


@dataclass(frozen=True)
class Patient:
    """What :func:`draw_patient` drew. Lengths in mm, volumes in ml, intensities in HU.

    ``half_width``, ``half_front``, ``half_back`` are the semi-axes of the body; ``fat`` the thickness of the fat
    under the skin; ``cavity_*`` the semi-axes of the cavity inside the muscular wall.
    """

    seed: int
    contrast: str
    hu: dict[str, float]
    half_width: float
    half_front: float
    half_back: float
    skin_exponent: float
    fat: float
    wall: float
    cavity_width: float
    cavity_front: float
    cavity_back: float
    warp_mm: float
    dome_right: float
    dome_left: float
    dome_drop: float
    spine_y: float
    rib_pitch: float
    rib_shift: float
    bone_hu: float
    has_spleen: bool
    spleen_ml: float
    spleen_angle: float
    spleen_z: float
    spleen_tilt: float
    spleen_radii: tuple[float, float, float]
    spleen_rough: float
    spleen_gap: float
    liver_scale: float
    stomach_scale: float
    stomach_content: str
    kidney_scale: float
    bowel_share: float
    cysts: int
    lesions: int
    effusion: bool
    arms: bool
    table: bool
    circle: bool
    noise_hu: float
    noise_grain_mm: float
    blur_mm: float

    def stream(self, purpose: int) -> np.random.Generator:
        """An own random stream for one purpose, so that a change in one part leaves the others as they were."""
        return np.random.default_rng([self.seed, purpose])


def draw_patient(
    seed: int, field_of_view_mm: tuple[float, float, float], spleen: bool, contrast: str | None
) -> Patient:
    """Draw a patient who fits the field of view (bodies wider than it are cut, as in a scanner, but rarely)."""
    rng = np.random.default_rng([seed, 0])
    u = rng.uniform
    phase = str(rng.choice(CONTRASTS, p=(0.2, 0.15, 0.5, 0.15)))
    phase = contrast or phase
    hu = {organ: values[CONTRASTS.index(phase)] * u(0.9, 1.1) + u(-4, 4) for organ, values in _HU.items()}
    if u() < 0.2:
        hu["liver"] -= u(15, 45)  # a fatty liver: as dark as the spleen or darker
    thin = rng.beta(2.0, 2.6)
    half_width = min(125 + 60 * thin + u(-6, 6), 0.485 * max(field_of_view_mm[0], 235.0))
    half_depth = min(half_width * u(0.66, 0.78), 0.45 * max(field_of_view_mm[1], 190.0))
    fat = 5 + 28 * thin**1.5 * u(0.6, 1.2)
    wall = u(9, 14)
    half_back = half_depth * u(0.9, 1.0)
    cavity_back = half_back - 0.55 * fat - wall
    dome_left = 62 + u(-8, 10)
    radial = u(0.36, 0.62)
    return Patient(
        seed=seed,
        contrast=phase,
        hu=hu,
        half_width=half_width,
        half_front=half_depth,
        half_back=half_back,
        skin_exponent=u(2.15, 2.6),
        fat=fat,
        wall=wall,
        cavity_width=half_width - fat * u(0.7, 1.0) - wall,
        cavity_front=half_depth - fat * u(0.8, 1.2) - 0.7 * wall,
        cavity_back=cavity_back,
        warp_mm=u(2.5, 5.5),
        dome_right=dome_left + u(0, 24),
        dome_left=dome_left,
        dome_drop=u(0.85, 1.4),
        spine_y=-cavity_back * u(0.42, 0.52),
        rib_pitch=u(25, 31),
        rib_shift=u(-12, 12),
        bone_hu=u(130, 230),
        has_spleen=spleen,
        spleen_ml=float(np.clip(np.exp(rng.normal(np.log(205), 0.55)), 60, 700)),
        spleen_angle=u(1.02, 1.42),
        spleen_z=u(-14, 8),
        spleen_tilt=np.deg2rad(u(15, 65)),
        spleen_radii=(radial, u(1.05, 1.4), u(0.75, 1.0)),
        spleen_rough=u(1.0, 3.5),
        spleen_gap=float(1.5 + 7 * rng.beta(1, 3)),
        liver_scale=u(0.85, 1.15),
        stomach_scale=u(0.6, 1.15),
        stomach_content=str(rng.choice(["water", "food", "contrast", "air"], p=(0.4, 0.25, 0.2, 0.15))),
        kidney_scale=u(0.85, 1.12),
        bowel_share=u(0.35, 0.6),
        cysts=int(rng.poisson(0.6)),
        lesions=int(rng.poisson(0.7)),
        effusion=bool(u() < 0.1),
        arms=bool(u() < 0.12 and field_of_view_mm[0] > 2 * half_width + 70),
        table=True,
        circle=bool(u() < 0.35),
        noise_hu=float(np.clip(np.exp(rng.normal(np.log(15), 0.45)), 5, 45)),
        noise_grain_mm=u(0.4, 1.3),
        blur_mm=u(0.4, 1.0),
    )

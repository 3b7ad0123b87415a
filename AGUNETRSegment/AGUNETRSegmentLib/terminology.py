"""What the spleen is called and how it is coloured: Slicer's "General Anatomy" list, SNOMED CT 78961009."""

from __future__ import annotations

SPLEEN_NAME = "spleen"
SPLEEN_CODE = "SCT^78961009^"
SPLEEN_COLOUR = (157 / 255, 108 / 255, 162 / 255)

# Further models of one run: told apart with any colour vision (Okabe and Ito 2008).
OTHER_COLOURS = (
    (230 / 255, 159 / 255, 0.0), (86 / 255, 180 / 255, 233 / 255), (0.0, 158 / 255, 115 / 255),
    (240 / 255, 228 / 255, 66 / 255),
)

# Slicer's serialised form: category context ~ category ~ type ~ type modifier ~ region context ~ region ~ modifier,
# each code being "scheme^value^meaning".
SPLEEN_TERMINOLOGY = "~".join((
    "Segmentation category and type - 3D Slicer General Anatomy list",
    "SCT^123037004^Anatomical Structure",
    f"{SPLEEN_CODE}spleen",
    "^^",
    "Anatomic codes - DICOM master list",
    "^^",
    "^^",
))


def modelColour(number: int) -> tuple[float, float, float]:
    """The colour of the spleen of a run's first model (0), second, and so on."""
    return SPLEEN_COLOUR if number == 0 else OTHER_COLOURS[(number - 1) % len(OTHER_COLOURS)]

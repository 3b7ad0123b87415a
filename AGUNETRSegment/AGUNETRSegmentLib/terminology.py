"""What the spleen is called and how it is coloured: Slicer's "General Anatomy" list, SNOMED CT 78961009."""

from __future__ import annotations

SPLEEN_NAME = "spleen"
SPLEEN_COLOUR = (157 / 255, 108 / 255, 162 / 255)

# Slicer's serialised form: category context ~ category ~ type ~ type modifier ~ region context ~ region ~ modifier,
# each code being "scheme^value^meaning".
SPLEEN_TERMINOLOGY = "~".join((
    "Segmentation category and type - 3D Slicer General Anatomy list",
    "SCT^123037004^Anatomical Structure",
    "SCT^78961009^spleen",
    "^^",
    "Anatomic codes - DICOM master list",
    "^^",
    "^^",
))

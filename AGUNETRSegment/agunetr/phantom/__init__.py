"""A procedural phantom: an imagined abdominal CT with known truth, for demonstrations, tests and training.

It is no patient and no anatomy atlas: organs have plausible places, sizes, shapes and intensities, drawn from a
seed. :func:`make_phantom` makes one, :func:`make_phantom_around` one around a given spleen.
"""

from agunetr.phantom.around_mask import make_phantom_around
from agunetr.phantom.build import DEFAULT_SIZE, DEFAULT_SPACING_MM, Phantom, make_phantom
from agunetr.phantom.canvas import LABELS
from agunetr.phantom.patient import CONTRASTS

__all__ = [
    "CONTRASTS",
    "DEFAULT_SIZE",
    "DEFAULT_SPACING_MM",
    "LABELS",
    "Phantom",
    "make_phantom",
    "make_phantom_around",
]

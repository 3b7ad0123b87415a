"""A markups ROI becomes the engine's option for where to search."""

from __future__ import annotations

import numpy as np

from .errors import SegmentationError
from .translation import _


def regionOption(roiNode) -> list[list[float]]:
    """The box around an ROI in the world's RAS millimetres, parent transforms included, as ``region_mm`` holds it.

    An ROI that is turned gives the upright box around it: a little more is searched, never less.

    :param roiNode: a ``vtkMRMLMarkupsROINode``.
    :returns: [least, greatest] along right, anterior and superior.
    :raises SegmentationError: kind ``input`` when the ROI was not placed yet or has no size.
    """
    bounds = np.zeros(6)
    roiNode.GetRASBounds(bounds)
    region = [[float(least), float(greatest)] for least, greatest in bounds.reshape(3, 2)]
    if not np.all(np.isfinite(bounds)) or any(least >= greatest for least, greatest in region):
        raise SegmentationError(
            "input",
            _('The region "{name}" has no size yet.').format(name=roiNode.GetName()),
            _("Place it around the spleen, or select no region."),
        )
    return region


def outsideThePatient(name: str) -> SegmentationError:
    """What is wrong where the engine found nothing of the patient in a region, in the words of the panel.

    :param name: of the ROI.
    """
    return SegmentationError(
        "region",
        _('The region "{name}" lies outside the part of the CT that shows the patient.').format(name=name),
        _("Move it around the spleen, or select no region."),
    )
